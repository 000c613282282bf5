"""Mutants of the Redis adapters: what they break shows when processes die, meet or lose lines."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Sequence
from typing import Any

import attrs
import redis

from conformance.tests.mutants.broken.adapter import BrokenAdapter, Wrapper
from qcore.backend import Adapter, Fault, Flush, Settle, Setup, Taken, TakeRequest, Verb
from qcore.bridges import lift_threads
from qcore.capabilities import Capabilities, Claim
from qcore.codec import decode_envelope
from qcore.errors import Corrupt
from qcore_redis.adapters import pubsub, reliable_list, streams
from qcore_redis.faults import Refused
from qcore_redis.keys import channel, message

__all__ = [
    "acks_resurrect",
    "blmove_then_lease",
    "claims_durability",
    "client_clock",
    "follows_later",
    "group_at_end",
    "leaks_keys",
    "pop_then_record",
    "promotes_twice",
    "punishes_neighbours",
    "silent_gap",
    "sound_list",
    "swallows_corrupt",
    "tells_unasked",
]


class _OnServer(Wrapper):
    """A wrapper that talks to the server itself."""

    @property
    def client(self) -> Any:
        """The client underneath."""
        return self.inner.native(redis.Redis)

    def key(self, queue: str, rest: str) -> str:
        """A key of a queue."""
        return f"qc:{{{self.setup.params['namespace']}/{queue}}}:{rest}"

    def classify(self, error: BaseException) -> Fault | None:
        """As the sound one, and what the client itself raises."""
        if isinstance(error, redis.ConnectionError | redis.TimeoutError):
            return Fault.INDETERMINATE
        answer = Refused(str(error)) if isinstance(error, redis.ResponseError) else error
        fault: Fault | None = self.inner.classify(answer)
        return fault


class _TakesInTwoSteps(_OnServer):
    """Does something to a queue before each take."""

    def before(self, queue: str) -> None:
        """What comes first."""

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        self.before(queue)
        taken: Taken = self.inner.take(queue, request, flush)
        return taken


class _PopThenRecord(_TakesInTwoSteps):
    """Has the next job in this process alone before it writes down who has it."""

    def before(self, queue: str) -> None:
        element = self.client.rpop(self.key(queue, "list:ready:0"))
        if element is not None:
            self.client.rpush(self.key(queue, "list:ready:0"), element)


class _BlmoveThenLease(_TakesInTwoSteps):
    """Moves the next job to a list of its own that nobody sweeps, and leases it from there."""

    def before(self, queue: str) -> None:
        ready = self.key(queue, "list:ready:0")
        mine = self.key(queue, f"list:processing:{self.setup.owner}")
        if self.client.lmove(ready, mine, "RIGHT", "LEFT") is not None:
            self.client.lmove(mine, ready, "LEFT", "RIGHT")


class _GroupAtEnd(_TakesInTwoSteps):
    """Lets the group begin with what comes after its first consumer."""

    def before(self, queue: str) -> None:
        with contextlib.suppress(redis.ResponseError):
            self.client.xgroup_create(self.key(queue, "stream:new:0"), "qcore", id="$")


class _PromotesTwice(_TakesInTwoSteps):
    """Makes due jobs ready one by one, and then takes them off the list of those that wait."""

    def before(self, queue: str) -> None:
        delayed = self.key(queue, "list:delayed")
        seconds, micros = self.client.time()
        for element in self.client.zrangebyscore(delayed, "-inf", seconds * 1000 + micros // 1000):
            level = int(element.rsplit(b"|", 5)[1])
            self.client.rpush(self.key(queue, f"list:ready:{5 - level}"), element)
            self.client.zrem(delayed, element)


class _PunishesNeighbours(Wrapper):
    """Counts everything that it hands out as begun."""

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        taken: Taken = self.inner.take(queue, attrs.evolve(request, started=True), flush)
        return taken


class _ClientClock(_OnServer):
    """Lets a lease end when it is over by the clock of whoever takes."""

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        seconds, micros = self.client.time()
        ahead = round((time.time() - seconds - micros / 1e6) * 1000)
        wanted = attrs.evolve(request, lease_ms=request.lease_ms + ahead)
        taken: Taken = self.inner.take(queue, wanted, flush)
        return taken


class _AcksResurrect(Wrapper):
    """Says that a job is done, and tells the server so with the next batch."""

    def __init__(self, inner: Any, setup: Setup, scheme: str) -> None:
        super().__init__(inner, setup, scheme)
        self._owed: dict[str, list[Settle]] = {}

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        now = self._owed.pop(queue, [])
        later = [one for one in steps if one.verb is Verb.ACK]
        self._owed[queue] = later
        others = [one for one in steps if one.verb is not Verb.ACK]
        answers: Sequence[bool] = self.inner.settle(queue, [*now, *others], flush)
        told = iter(answers[len(now) :])
        return [one.verb is Verb.ACK or next(told) for one in steps]

    def close(self) -> None:
        for queue, steps in self._owed.items():
            with contextlib.suppress(Exception):
                self.inner.settle(queue, steps, Flush("owed", 1))
        self._owed.clear()
        self.inner.close()


class _ClaimsDurability(Wrapper):
    """Says that jobs survive the server, whatever the server says."""

    def open(self) -> Capabilities:
        promised = super().open()
        return attrs.evolve(promised, claims={**promised.claims, "durability": Claim("process")})


class _FollowsLater(Wrapper):
    """Ends a job first, and enqueues in a second step what follows it."""

    _calls = itertools.count(1)

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        alone = [attrs.evolve(one, further=()) for one in steps]
        held: Sequence[bool] = self.inner.settle(queue, alone, flush)
        for step, done in zip(steps, held, strict=True):
            for one in step.further if done else ():
                self.inner.enqueue(one.queue, [one.job], Flush("later", next(self._calls)))
        return held


class _TellsUnasked(_OnServer):
    """Tells what it is asked to before it looks whether the job is still in hand."""

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        for one in [said for step in steps for said in step.told]:
            name = channel(self.setup.params["namespace"], one.queue, 0)
            self.client.publish(name, message(one.job.id, one.job.envelope))
        silent = [attrs.evolve(step, told=()) for step in steps]
        told: Sequence[bool] = self.inner.settle(queue, silent, flush)
        return told


class _LeaksKeys(_OnServer):
    """Remembers every connection that ever settled a job."""

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        self.client.set(self.key(queue, f"list:seen:{self.setup.owner}"), 1)
        told: Sequence[bool] = self.inner.settle(queue, steps, flush)
        return told


class _SwallowsCorrupt(Wrapper):
    """Acks what it cannot read, so that nobody has to see it."""

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        taken: Taken = self.inner.take(queue, request, flush)
        bad = [job.token for job in taken.jobs if not _readable(job.envelope)]
        if bad:
            steps = [Settle(token, Verb.ACK) for token in bad]
            self.inner.settle(queue, steps, attrs.evolve(flush, lane="swallow"))
        return attrs.evolve(taken, jobs=[job for job in taken.jobs if job.token not in bad])


def _readable(envelope: bytes) -> bool:
    try:
        decode_envelope("", "", envelope)
    except Corrupt:
        return False
    return True


class _SilentGap(Wrapper):
    """Subscribes again after a lost connection as if nothing had happened."""

    def gaps(self, queue: str) -> int:
        del queue
        return 0


def _broken(scheme: str, sound: Adapter, wrapper: type[Wrapper]) -> Adapter:
    return BrokenAdapter(scheme, sound, wrapper, lift_threads)


acks_resurrect = _broken("acks-resurrect", reliable_list, _AcksResurrect)
blmove_then_lease = _broken("blmove-then-lease", reliable_list, _BlmoveThenLease)
claims_durability = _broken("claims-durability", reliable_list, _ClaimsDurability)
client_clock = _broken("client-clock", reliable_list, _ClientClock)
follows_later = _broken("follows-later", reliable_list, _FollowsLater)
group_at_end = _broken("group-at-end", streams, _GroupAtEnd)
leaks_keys = _broken("leaks-keys", reliable_list, _LeaksKeys)
pop_then_record = _broken("pop-then-record", reliable_list, _PopThenRecord)
promotes_twice = _broken("promotes-twice", reliable_list, _PromotesTwice)
punishes_neighbours = _broken("punishes-neighbours", reliable_list, _PunishesNeighbours)
silent_gap = _broken("silent-gap", pubsub, _SilentGap)
sound_list = _broken("sound-list", reliable_list, Wrapper)
swallows_corrupt = _broken("swallows-corrupt", reliable_list, _SwallowsCorrupt)
tells_unasked = _broken("tells-unasked", reliable_list, _TellsUnasked)
