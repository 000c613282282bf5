"""What the many do in a run with a history: producers and consumers that write down all they do.

The name of a job stands in its body, before a bar; what follows is noise, so that a body which
changed on its way is seen. Process ids are never used twice, so names made from them are unique.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import attrs

import qcore
from qcore_conformance.events import Details
from qcore_conformance.history import Call, History
from tests.crash.workers import Part
from tests.integration.actors import Hand, Line

__all__ = ["QUEUE", "Told", "consume", "produce", "reserve", "sha_of", "told_of"]

QUEUE = "work"


@attrs.frozen
class Told:
    """How the workers of a run write down what they do.

    Attributes:
        folder: Where the history lies.
        lease: Seconds of a lease.
        kept: What may be said of the lease of a job that beats keep; ``None``: no end is known.
    """

    folder: Path
    lease: float
    kept: float | None


def sha_of(body: bytes) -> str:
    """A digest of a body."""
    return hashlib.sha256(body).hexdigest()[:16]


def told_of(hand: Hand | qcore.Delivery, lease: float | None) -> Details:
    """What a reserve says of a job that it returned."""
    told = Details(
        job=hand.job.body.partition(b"|")[0].decode(),
        sha=sha_of(hand.job.body),
        receipt=hand.receipt.token,
        number=hand.number,
        attempt=hand.attempt,
    )
    if lease is not None:
        told["lease"] = lease
    return told


class Member:
    """One worker of the crowd."""

    def __init__(self, part: Part, name: str, told: Told) -> None:
        self.told = told
        self.history = History(told.folder, name)
        self.line: Line = part.line()
        self.chance = random.Random()
        self._stopping = threading.Event()
        self._endings: list[Callable[[], None]] = []
        self._part = part
        threading.Thread(target=self._listen, daemon=True).start()
        part.say("ready")

    def _listen(self) -> None:
        self._part.hear()
        self._stopping.set()
        for end in self._endings:
            end()

    def when_told(self, end: Callable[[], None]) -> None:
        """Do this as well when the test tells us to stop, or at once if it has."""
        self._endings.append(end)
        if self.stopping:
            end()

    @property
    def stopping(self) -> bool:
        """Whether the test told us to stop."""
        return self._stopping.is_set()

    def rest(self, longest: float) -> None:
        """Work, or do nothing, for a while."""
        time.sleep(self.chance.uniform(0, longest))

    def settle(self, hand: Hand, told: Details) -> None:
        """End a delivery in one of its ways."""
        job = Details(queue=QUEUE, job=told.get("job", ""), receipt=told.get("receipt", ""))
        lot = self.chance.random()
        with suppress(qcore.QcoreError):
            if lot < 0.06:
                self._call("release", job, hand.release)
            elif lot < 0.15:
                job["delay"] = 0.05
                self._call("retry", job, lambda: hand.retry(0.05, "again"))
            elif lot < 0.17:
                self._call("dead", job, lambda: hand.dead_letter("no good"))
            else:
                self._call("ack", job, hand.ack)

    def _call(self, verb: str, details: Details, act: Callable[[], None]) -> None:
        with self.history.call(verb, **details) as call:
            act()
            call.ok()


def produce(part: Part, name: str, told: Told) -> None:
    """Enqueue jobs of all sorts, one by one and in batches."""
    me = Member(part, name, told)
    count = 0
    while not me.stopping:
        batch: list[qcore.NewJob] = []
        with suppress(qcore.QcoreError), ExitStack() as stack:
            calls: list[Call] = []
            for _ in range(me.chance.choice((1, 1, 1, 4))):
                count += 1
                job, details = _draft(me.chance, f"{me.history.process}-{count:06d}")
                batch.append(job)
                calls.append(stack.enter_context(me.history.call("enqueue", **details)))
            me.line.enqueue_many(batch)
            for call in calls:
                call.ok()
        me.rest(0.02)
    part.say("stopped", count)


def _draft(chance: random.Random, name: str) -> tuple[qcore.NewJob, Details]:
    body = f"{name}|".encode() + chance.randbytes(chance.choice((8, 2000)))
    delay = chance.choice((0.0, 0.0, 0.0, 0.0, chance.uniform(0.05, 0.3)))
    priority = chance.choice((0, 0, 0, 0, 4, -4))
    unique = chance.random() < 0.3
    job = qcore.NewJob(body, id=name if unique else None, delay=delay, priority=priority)
    return job, Details(queue=QUEUE, job=name, sha=sha_of(body), delay=delay, priority=priority)


def consume(part: Part, name: str, told: Told) -> None:
    """Work through a consumer, which takes ahead and keeps what it holds."""
    me = Member(part, name, told)
    flow = me.line.consume(prefetch=8)

    def close() -> None:
        # What it gives back was delivered, and no history knows to whom.
        with me.history.call("reserve", queue=QUEUE) as call:
            flow.close()
            call.info("closed")

    me.when_told(close)
    with flow as hands:
        while True:
            with me.history.call("reserve", queue=QUEUE) as call:
                hand = next(hands, None)
                if hand is None:
                    call.info("closed")
                    break
                facts = told_of(hand, told.kept)
                call.ok(**facts)
            # Now and then a job takes longer than its lease, which has to be kept.
            me.rest(0.008 if me.chance.random() < 0.99 else 2 * told.lease)
            me.settle(hand, facts)
    part.say("stopped")


def reserve(part: Part, name: str, told: Told) -> None:
    """Work through batches, which are held for one lease."""
    me = Member(part, name, told)
    while not me.stopping:
        for hand, facts in _batch(me):
            me.rest(0.01)
            me.settle(hand, facts)
    part.say("stopped")


def _batch(me: Member) -> list[tuple[Hand, Details]]:
    found: list[tuple[Hand, Details]] = []
    lease = me.told.lease
    with (
        suppress(qcore.QcoreError),
        me.history.call("reserve", queue=QUEUE, lease=lease) as call,
    ):
        found = [(hand, told_of(hand, lease)) for hand in me.line.reserve_many(5, 0.3, lease)]
        for _, facts in found:
            call.ok(**facts)
        if not found:
            call.empty()
    return found
