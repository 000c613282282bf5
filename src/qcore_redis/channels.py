"""What the Pub/Sub adapter says and understands, written once for both colours.

A queue is one channel. A message is the job's id, a newline, and the envelope. Nothing is kept:
taking a job ends it, and who does not listen gets none. A subscription that broke is made again,
and each time that this succeeds a gap is counted, since messages may have passed unheard.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import attrs

from qcore.backend import Enqueue, Enqueued, Settle, Setup, Taken, TakenJob, Verb
from qcore.capabilities import Capabilities
from qcore.errors import UnsupportedCapability
from qcore.log import SUBSCRIPTION_GAP, Logger
from qcore_redis.keys import channel, message
from qcore_redis.ports.settings import database_of
from qcore_redis.probe import Facts, shown
from qcore_redis.promises import PUBSUB, reached

__all__ = ["Channels", "Line", "ended", "enqueued", "taken"]

Words = tuple[Any, ...]
S = TypeVar("S")

_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_NO_ID = "without-an-id"


class Channels:
    """The commands of one connection.

    Args:
        setup: What the URL said.
    """

    def __init__(self, setup: Setup) -> None:
        self._namespace = str(setup.params["namespace"])
        self._database = database_of(setup)
        self._best = reached(PUBSUB, setup)
        self._is_cluster = setup.topology == "cluster"
        self._sharded = bool(setup.params["sharded"])
        kind = "S" if self._sharded else ""
        self._publish, self._subscribe = f"{kind}PUBLISH", f"{kind}SUBSCRIBE"

    @property
    def needed(self) -> tuple[str, str]:
        """The commands that the server must have."""
        return self._publish.lower(), self._subscribe.lower()

    def promised(self, facts: Facts) -> Capabilities:
        """What holds on this server.

        Raises:
            UnsupportedCapability: If it cannot shard channels and the URL asks for that.
        """
        if self._sharded and not all(facts.has(command) for command in self.needed):
            raise UnsupportedCapability(
                PUBSUB.adapter,
                "sharded",
                f"the server has no {self._publish}; use Redis 7, Valkey 7.2 or newer, "
                "or leave sharded out",
            )
        found = attrs.evolve(self._best, facts=shown(facts))
        if self.counts:
            return found
        why = "a node counts its own listeners alone; set sharded=true"
        return found.lowered("receivers", value=False, why=why)

    @property
    def counts(self) -> bool:
        """Whether the answer to a publication counts all who heard it."""
        return self._sharded or not self._is_cluster

    def publish(self, queue: str, jobs: Sequence[Enqueue]) -> list[Words]:
        """One command for each job."""
        name = self._name(queue)
        return [(self._publish, name, message(job.id, job.envelope)) for job in jobs]

    def subscribe(self, queue: str) -> Words:
        """The command that listens."""
        return (self._subscribe, self._name(queue))

    def _name(self, queue: str) -> str:
        return channel(self._namespace, queue, self._database)


def enqueued(
    jobs: Sequence[Enqueue], receivers: Sequence[Any], *, counts: bool = True
) -> list[Enqueued]:
    """What became of each job, and how many heard it, where the answer ``counts`` them."""
    return [
        Enqueued(job.id, receivers=int(heard) if counts else None)
        for job, heard in zip(jobs, receivers, strict=True)
    ]


def taken(payloads: Sequence[bytes], *, more: bool) -> Taken:
    """The jobs in these messages."""
    return Taken([_job(payload) for payload in payloads], more=more)


def _job(payload: bytes) -> TakenJob:
    job_id, newline, envelope = payload.partition(b"\n")
    if newline and _ID.fullmatch(job_id):
        return TakenJob(token="", id=job_id.decode("ascii"), envelope=envelope)
    # Somebody else's message. An empty envelope cannot be read either, and shows nothing of it.
    return TakenJob(token="", id=_NO_ID, envelope=b"")


def ended(steps: Sequence[Settle]) -> list[bool]:
    """Settle what taking has ended already: an ack is true, everything else impossible.

    Raises:
        UnsupportedCapability: If a step is no ack.
    """
    for step in steps:
        if step.verb is not Verb.ACK:
            PUBSUB.need(step.verb.value)
    return [True] * len(steps)


@attrs.define(eq=False)
class Line(Generic[S]):
    """What one connection knows of one queue.

    Attributes:
        queue: Its name.
        subscription: What listens to it, if anything does.
        gaps: How often something may have passed unheard.
    """

    queue: str
    subscription: S | None = None
    gaps: int = 0
    _missed: str = ""

    def lost(self, why: str) -> None:
        """Nobody listens any more."""
        self.subscription = None
        self._missed = why

    def heard_by(self, subscription: S) -> None:
        """Somebody listens, for the first time or again.

        A gap counts from here on and not from the loss: who looks a second time at what a queue
        told of, because it may have missed something, must do so after it listens again.
        """
        self.subscription = subscription
        if not self._missed:
            return
        self.gaps += 1
        Logger(adapter=PUBSUB.adapter).warning(
            SUBSCRIPTION_GAP, queue=self.queue, gaps=self.gaps, reason=self._missed
        )
        self._missed = ""
