"""Broken stores: the reference keeps its jobs in them instead of in its own."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs

from conformance.tests.mutants.broken.adapter import BrokenAdapter, Wrapper
from qcore.backend import (
    Adapter,
    Enqueue,
    Enqueued,
    Flush,
    GateLimits,
    PeekedJob,
    QueueStats,
    Settle,
    Taken,
    TakeRequest,
    Verb,
)
from qcore.capabilities import Capabilities, Claim
from qcore.codec import decode_envelope, encode_envelope
from qcore.memory.adapter import MemoryAdapter, MemoryBackend
from qcore.memory.gates import Gates
from qcore.memory.known import Known
from qcore.memory.ledger import Ledger
from qcore.memory.rounds import Rounds
from qcore.memory.store import Entry, MemoryQueue
from qcore.options import PRIORITIES
from qcore.states import State

__all__ = [
    "ack_by_value",
    "claims_fifo",
    "deaf_to_ends",
    "extend_steals_back",
    "fair_in_name",
    "follows_unasked",
    "forgets_attempts",
    "front_reversed",
    "joins_count_calls",
    "loses_on_release",
    "move_copies",
    "move_restarts",
    "peek_takes",
    "purge_removes_held",
    "rate_in_name",
    "record_runs_ahead",
    "records_stay",
    "recovers_first_page",
    "redrive_loses_headers",
    "round_stands_still",
    "slots_of_the_dead",
    "sound_unordered",
    "stats_count_held_as_ready",
    "unfenced_ack",
]

_MANY = 20
_ORDERED = frozenset({"reentry", "priority", "at_front"})
"""What presumes that jobs have an order."""


def _broken(scheme: str, queue: type[MemoryQueue]) -> Adapter:
    """The reference over another kind of store."""
    return BrokenAdapter(scheme, _over(queue))


def _over(queue: type[MemoryQueue]) -> Adapter:
    class Backend(MemoryBackend):
        queue_type = queue

    return _of(Backend)


def _of(backend: type[MemoryBackend]) -> Adapter:
    class Sound(MemoryAdapter):
        backend_type = backend

    return Sound()


class _AckByValue(MemoryQueue):
    """Strikes off the first job in hand that looks like the one that is done."""

    def settle(self, steps: Sequence[Settle], now: float) -> list[bool]:
        return super().settle([self._alike(one) for one in steps], now)

    def _alike(self, one: Settle) -> Settle:
        entry = self._held.get(one.token)
        if entry is None or one.verb is not Verb.ACK:
            return one
        alike = (
            token
            for token, other in self._held.items()
            if _body(other.envelope) == _body(entry.envelope)
        )
        return attrs.evolve(one, token=next(alike))


def _body(envelope: bytes) -> bytes:
    return envelope.partition(b"\n")[2]


class _UnfencedAck(MemoryQueue):
    """Lets anybody ack a job who ever had it in hand."""

    def settle(self, steps: Sequence[Settle], now: float) -> list[bool]:
        return super().settle([self._whoever(one) for one in steps], now)

    def _whoever(self, one: Settle) -> Settle:
        if one.verb is not Verb.ACK:
            return one
        job = one.token.partition("|")[0]
        now_held = (token for token, entry in self._held.items() if entry.id == job)
        return attrs.evolve(one, token=next(now_held, one.token))


class _ForgetsAttempts(MemoryQueue):
    """Hands each job out as if it had never been tried."""

    def take(self, request: TakeRequest, owner: str, now: float) -> Taken:
        taken = super().take(request, owner, now)
        return attrs.evolve(taken, jobs=[attrs.evolve(job, attempt=1) for job in taken.jobs])


class _CutsIn(MemoryQueue):
    """Where many wait, puts what is new into their middle."""

    def enqueue(self, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
        told: list[Enqueued] = []
        for job in jobs:
            line = self._ready[job.priority]
            before = len(line)
            told += super().enqueue([job], now)
            if len(line) > before >= _MANY:
                line.insert(before // 2, line.pop())
        return told


class _Unordered(MemoryQueue):
    """Puts what is new anywhere among what waits."""

    def enqueue(self, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
        told: list[Enqueued] = []
        for job in jobs:
            line = self._ready[job.priority]
            before = len(line)
            told += super().enqueue([job], now)
            if len(line) > before:
                line.insert(random.randrange(len(line)), line.pop())
        return told


class _PromisesNoOrder(Wrapper):
    """Says so."""

    def open(self) -> Capabilities:
        return _unordered(super().open())


class _Modest(BrokenAdapter):
    def promises(self) -> Capabilities:
        return _unordered(super().promises())


def _unordered(promised: Capabilities) -> Capabilities:
    kept = {name: one for name, one in promised.claims.items() if name not in _ORDERED}
    return attrs.evolve(promised, claims={**kept, "order": Claim("none")})


class _FirstPageOnly(MemoryQueue):
    """Looks for leases that ran out among the oldest hundred, as often as it looks."""

    def _recover(self, now: float) -> None:
        held = list(self._held.items())
        self._held = dict(held[:100])
        super()._recover(now)
        self._held |= dict(held[100:])


class _LosesOnRelease(MemoryQueue):
    """Takes what is given back for done."""

    def settle(self, steps: Sequence[Settle], now: float) -> list[bool]:
        done = [
            attrs.evolve(one, verb=Verb.ACK) if one.verb is Verb.RELEASE else one for one in steps
        ]
        return super().settle(done, now)


class _ExtendStealsBack(MemoryQueue):
    """Gives a job back to whoever asks for more time, even after it went to somebody else."""

    def settle(self, steps: Sequence[Settle], now: float) -> list[bool]:
        for one in steps:
            if one.verb is Verb.EXTEND:
                self._steal(one.token, now)
        return super().settle(steps, now)

    def _steal(self, token: str, now: float) -> None:
        job = token.partition("|")[0]
        for other, entry in list(self._held.items()):
            if entry.id == job:
                del self._held[other]
                entry.token, entry.until = token, now + 1.0
                self._held[token] = entry


class _PeekTakes(MemoryQueue):
    """Takes what somebody only wants to see."""

    def peek(self, state: State, limit: int, offset: int, now: float) -> list[PeekedJob]:
        seen = super().peek(state, limit, offset, now)
        if state is State.READY:
            self.take(TakeRequest(limit, 60_000), "peek", now)
        return seen


class _PurgeRemovesHeld(MemoryQueue):
    """Drops what is in hand along with what is ready."""

    def purge(self, state: State) -> int:
        if state is State.READY:
            self._dropped += len(self._held)
            self._held.clear()
        return super().purge(state)


class _RedriveLosesHeaders(MemoryQueue):
    """Enqueues the body of a dead job anew."""

    def redrive(self, ids: Sequence[str] | None) -> int:
        for entry in self._dead:
            if ids is None or entry.id in ids:
                job = decode_envelope(entry.id, "", entry.envelope)
                entry.envelope = encode_envelope(attrs.evolve(job, headers=_no_headers()))
        return super().redrive(ids)


def _no_headers() -> dict[str, Any]:
    return {}


class _FairInName(MemoryQueue):
    """Takes tenants for decoration."""

    def enqueue(self, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
        return super().enqueue([attrs.evolve(job, tenant=None) for job in jobs], now)


class _Standstill(Rounds[Entry]):
    """Never goes on to the next round, so that whoever comes is served before all who wait."""

    def popleft(self) -> Entry:
        first = super().popleft()
        self._now = 0
        return first


class _RoundStandsStill(MemoryQueue):
    """Gives turns, and counts no rounds."""

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self._fair = {level: _Standstill() for level in PRIORITIES}


class _FrontReversed(MemoryQueue):
    """Puts one job after the other in front, so that the last of a call is next."""

    def enqueue(self, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
        return [one for job in jobs for one in super(_FrontReversed, self).enqueue([job], now)]


class _SlotsOfTheDead(MemoryQueue):
    """Frees no slot of a delivery whose lease ran out."""

    def _recover(self, now: float) -> None:
        expired = [entry for entry in self._held.values() if entry.until <= now]
        super()._recover(now)
        for entry in expired:
            self._gates.enter(entry, now)


class _Uncounted(Gates):
    """Keeps no count of a window."""

    def _note_window(self, gate: GateLimits, now: float) -> None:
        del gate, now


class _RateInName(MemoryQueue):
    """Takes rates for decoration."""

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self._gates = _Uncounted()


class _AtEachLevel(Gates):
    """Asks only those of one level whether they go on."""

    def open_line(self, level: int, now: float) -> deque[Entry] | None:
        lines = (line for line in self.lines() if line[0].priority == level)
        return next((line for line in lines if self.room(line[0], now)), None)


class _WideGoBy(MemoryQueue):
    """Lets the less urgent of a gate go by the more urgent if their numbers are larger."""

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self._gates = _AtEachLevel()


class _Undying(Ledger):
    """Keeps every record, whatever was asked for."""

    def tell(self, now: float) -> None:
        self.now = now


class _RecordsStay(MemoryQueue):
    """Never forgets what became of a job."""

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self.ledger = _Undying()


class _RecordRunsAhead(MemoryQueue):
    """Writes results down before it looks whose job that is."""

    def settle(self, steps: Sequence[Settle], now: float) -> list[bool]:
        for one in steps:
            self.ledger.amend(one.token.partition("|")[0], result=one.result, report=one.note)
        return super().settle(steps, now)


class _Deaf(MemoryBackend):
    """Wakes nobody who waits for an end."""

    def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        record = self.records(queue, [job_id])[0]
        if record is not None and not record.has_ended:
            self.wait([f"{queue}-of-nobody"], timeout)


class _FollowsUnasked(MemoryBackend):
    """Enqueues what is said to follow before it looks whose job that is."""

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        for one in steps:
            self._follow(one.further)
        return super().settle(queue, [attrs.evolve(one, further=()) for one in steps], flush)


class _CountsCalls(Known):
    """Takes each call for one of another member."""

    _calls = itertools.count()

    def waits_for_others(self, job: Enqueue, now: float) -> bool:
        if job.join is not None:
            job = attrs.evolve(job, join=attrs.evolve(job.join, member=str(next(self._calls))))
        return super().waits_for_others(job, now)


class _JoinsCountCalls(MemoryQueue):
    """Counts how often a job is asked for, and not by whom."""

    def __init__(self, *limits: Any) -> None:
        super().__init__(*limits)
        self._known = _CountsCalls()


class _MoveCopies(MemoryQueue):
    """Gives jobs away and keeps them."""

    def _take_out(self, state: State, gone: set[Entry]) -> None:
        del state, gone

    def welcome(self, entry: Entry, known_until: float | None) -> None:
        super().welcome(attrs.evolve(entry), known_until)


class _MoveRestarts(MemoryQueue):
    """Forgets what became of a job elsewhere."""

    def welcome(self, entry: Entry, known_until: float | None) -> None:
        entry.number, entry.attempt, entry.crashes = 0, 1, 0
        super().welcome(entry, known_until)


class _HeldCountsAsReady(MemoryQueue):
    """Counts what is stored, wherever it is."""

    def stats(self) -> QueueStats:
        told = super().stats()
        return attrs.evolve(told, ready=told.ready + told.held, held=0)


ack_by_value = _broken("ack-by-value", _AckByValue)
claims_fifo = _broken("claims-fifo", _CutsIn)
deaf_to_ends = BrokenAdapter("deaf-to-ends", _of(_Deaf))
extend_steals_back = _broken("extend-steals-back", _ExtendStealsBack)
fair_in_name = _broken("fair-in-name", _FairInName)
follows_unasked = BrokenAdapter("follows-unasked", _of(_FollowsUnasked))
forgets_attempts = _broken("forgets-attempts", _ForgetsAttempts)
front_reversed = _broken("front-reversed", _FrontReversed)
joins_count_calls = _broken("joins-count-calls", _JoinsCountCalls)
loses_on_release = _broken("loses-on-release", _LosesOnRelease)
move_copies = _broken("move-copies", _MoveCopies)
move_restarts = _broken("move-restarts", _MoveRestarts)
peek_takes = _broken("peek-takes", _PeekTakes)
purge_removes_held = _broken("purge-removes-held", _PurgeRemovesHeld)
recovers_first_page = _broken("recovers-first-page", _FirstPageOnly)
rate_in_name = _broken("rate-in-name", _RateInName)
record_runs_ahead = _broken("record-runs-ahead", _RecordRunsAhead)
records_stay = _broken("records-stay", _RecordsStay)
redrive_loses_headers = _broken("redrive-loses-headers", _RedriveLosesHeaders)
round_stands_still = _broken("round-stands-still", _RoundStandsStill)
slots_of_the_dead = _broken("slots-of-the-dead", _SlotsOfTheDead)
sound_unordered = _Modest("sound-unordered", _over(_Unordered), _PromisesNoOrder)
stats_count_held_as_ready = _broken("stats-count-held-as-ready", _HeldCountsAsReady)
unfenced_ack = _broken("unfenced-ack", _UnfencedAck)
wide_go_by = _broken("wide-go-by", _WideGoBy)
