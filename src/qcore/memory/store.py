"""One queue in memory: the contract in its plainest words. Not thread-safe; told the time."""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import attrs

from qcore.backend import (
    Enqueue,
    Enqueued,
    Flush,
    PeekedJob,
    QueueStats,
    Settle,
    Taken,
    TakenJob,
    TakeRequest,
    Verb,
)
from qcore.memory.entry import Entry
from qcore.memory.gates import Gates
from qcore.memory.known import Known
from qcore.memory.ledger import Ledger
from qcore.memory.rounds import Rounds
from qcore.options import PRIORITIES
from qcore.states import INSPECTABLE, Event, State

__all__ = ["Entry", "MemoryQueue"]

T = TypeVar("T")

_URGENT_FIRST = tuple(reversed(PRIORITIES))


@attrs.define
class MemoryQueue:
    """The jobs of one queue.

    Args:
        crash_limit: Crashes before a job is set aside.
        delivery_cap: Lost deliveries before a job is set aside.
        dedup_window: Seconds that a caller's id or dedup key is known.

    Attributes:
        ledger: The records of the jobs that are tracked.
    """

    crash_limit: int
    delivery_cap: int
    dedup_window: float
    _ready: dict[int, deque[Entry]] = attrs.field(
        factory=lambda: {level: deque[Entry]() for level in _URGENT_FIRST}
    )
    _fair: dict[int, Rounds[Entry]] = attrs.field(
        factory=lambda: {level: Rounds[Entry]() for level in _URGENT_FIRST}
    )
    _is_fair: bool = False
    _gates: Gates = attrs.field(factory=Gates)
    _delayed: list[Entry] = attrs.field(factory=list[Entry])
    _held: dict[str, Entry] = attrs.field(factory=dict[str, Entry])
    _dead: list[Entry] = attrs.field(factory=list[Entry])
    _known: Known = attrs.field(factory=Known)
    _answers: dict[tuple[str, str], tuple[int, Any]] = attrs.field(
        factory=dict[tuple[str, str], tuple[int, Any]]
    )
    ledger: Ledger = attrs.field(factory=Ledger)
    _paused: bool = False
    _enqueued: int = 0
    _acked: int = 0
    _dropped: int = 0

    def once(self, owner: str, flush: Flush, act: Callable[[], T]) -> T:
        """Act, or give the first answer again if this very flush was answered before."""
        number, kept = self._answers.get((owner, flush.lane), (0, None))
        if number == flush.number:
            first: T = kept
            return first
        answer = act()
        self._answers[owner, flush.lane] = (flush.number, answer)
        return answer

    def forget_owner(self, owner: str) -> None:
        """Drop the answers kept for a connection that closed."""
        self._answers = {key: kept for key, kept in self._answers.items() if key[0] != owner}

    def enqueue(self, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
        """Store the jobs that are not known yet."""
        self._known.forget(now)
        fronts: list[Entry] = []
        stored = [self._store(job, now, fronts) for job in jobs]
        for entry in reversed(fronts):
            self._ready[entry.priority].appendleft(entry)
        return stored

    def _store(self, job: Enqueue, now: float, fronts: list[Entry]) -> Enqueued:
        keys = [f"id {job.id}"] if job.unique else []
        keys += [f"dedup {job.dedup}"] if job.dedup is not None else []
        if (first := self._known.first(keys)) is not None:
            return Enqueued(first, created=False)
        is_open = job.unique and self.ledger.is_open(job.id)
        if is_open or self._known.waits_for_others(job, now):
            return Enqueued(job.id, created=False)
        for key in keys:
            self._known.add(key, job.id, now + self.dedup_window)
        entry = Entry(job.id, job.envelope, job.priority, tenant=job.tenant or "", gate=job.gate)
        self._is_fair = self._is_fair or job.tenant is not None
        self._enqueued += 1
        due = now + job.delay_ms / 1000 if job.at_ms is None else job.at_ms / 1000
        if job.ttl_ms is not None:
            entry.expires = max(due, now) + job.ttl_ms / 1000
        if due > now:
            entry.state = State.DELAYED
            self._delay(entry, due)
        elif job.front:
            fronts.append(entry)
        else:
            self._append(entry)
        self.ledger.begin(entry, job.keep_ms)
        return Enqueued(job.id)

    def _append(self, entry: Entry) -> None:
        """Put a job behind all others, or among tenants behind those of its own."""
        if self._is_fair:
            self._fair[entry.priority].append(entry.tenant, entry)
        else:
            self._ready[entry.priority].append(entry)

    def _lines(self) -> Iterator[deque[Entry] | Rounds[Entry]]:
        """Where jobs are ready, most urgent first, and what came back before what has a turn."""
        for level in _URGENT_FIRST:
            yield self._ready[level]
            yield self._fair[level]

    def _all_lines(self) -> Iterator[deque[Entry] | Rounds[Entry]]:
        """The same, and then what waits at gates."""
        yield from self._lines()
        yield from self._gates.lines()

    def _put_back(self, entry: Entry) -> None:
        """Put a job that came out of hands before all others."""
        if entry.gate is None:
            self._ready[entry.priority].appendleft(entry)
        else:
            self._gates.give_back(entry, entry.gate)

    def _let_go(self, entry: Entry) -> None:
        del self._held[entry.token]
        self._gates.leave(entry)

    def _delay(self, entry: Entry, due: float) -> None:
        entry.until = due
        bisect.insort(self._delayed, entry, key=lambda other: other.until)

    def take(self, request: TakeRequest, owner: str, now: float) -> Taken:
        """Recover, promote, then lease what is ready, most urgent first."""
        if self._paused:
            return Taken([])
        self._recover(now)
        self._promote(now)
        until = now + request.lease_ms / 1000
        jobs = [
            self._lease(entry, owner, until, started=request.started or entry.lost > 0)
            for entry in self._choose(request.limit, now)
        ]
        more = any(self._lines()) or self._gates.passable(now) > 0
        return Taken(jobs, more, self.next_due(now))

    def lease_anew(self, taken: Taken, until: float) -> Taken:
        """The jobs of a take that still hold, their leases ending at this time."""
        jobs = [job for job in taken.jobs if job.token in self._held]
        for job in jobs:
            self._held[job.token].until = until
        return attrs.evolve(taken, jobs=jobs)

    def _choose(self, limit: int, now: float) -> list[Entry]:
        chosen: list[Entry] = []
        for level in _URGENT_FIRST:
            while len(chosen) < limit and (line := self._first_line(level, now)):
                # A job that was in dying hands goes out alone, so that it can harm no other.
                if chosen and line[0].lost:
                    return chosen
                if self._goes_on(line.popleft(), chosen, now) and chosen[0].lost:
                    return chosen
        return chosen

    def _first_line(self, level: int, now: float) -> deque[Entry] | Rounds[Entry] | None:
        """Where the next job of a level is, if there is one."""
        waiting = self._gates.open_line(level, now)
        return waiting or self._ready[level] or self._fair[level] or None

    def _goes_on(self, entry: Entry, chosen: list[Entry], now: float) -> bool:
        """Choose a job, unless it is late or has to wait at its gate."""
        if entry.expires <= now:
            self._drop(entry, Event.LATE)
            return False
        if entry.gate is not None and not self._gates.room(entry, now):
            self._gates.park(entry, entry.gate)
            return False
        self._gates.enter(entry, now)
        chosen.append(entry)
        return True

    def _lease(self, entry: Entry, owner: str, until: float, *, started: bool) -> TakenJob:
        entry.move(Event.TAKE)
        entry.number += 1
        entry.expires = math.inf
        entry.until, entry.started = until, started
        entry.token = f"{entry.id}|{entry.number}|{owner}"
        self._held[entry.token] = entry
        self.ledger.note(entry, Event.TAKE, owner)
        return TakenJob(
            token=entry.token,
            id=entry.id,
            envelope=entry.envelope,
            number=entry.number,
            attempt=entry.attempt,
            crashes=entry.crashes,
            alone=entry.lost > 0,
        )

    def _recover(self, now: float) -> None:
        expired = sorted(
            (entry for entry in self._held.values() if entry.until <= now),
            key=lambda entry: entry.until,
        )
        for entry in reversed(expired):
            self._let_go(entry)
            entry.lost += 1
            if entry.started:
                entry.attempt += 1
                entry.crashes += 1
            if entry.crashes >= self.crash_limit:
                self._bury(entry, Event.EXHAUST, f"its worker died {entry.crashes} times")
            elif entry.lost >= self.delivery_cap:
                self._bury(entry, Event.EXHAUST, f"{entry.lost} deliveries were lost")
            else:
                entry.move(Event.EXPIRE)
                self.ledger.note(entry, Event.EXPIRE)
                self._put_back(entry)

    def _promote(self, now: float) -> None:
        due = self._count_due(now)
        entries = self._delayed[:due]
        del self._delayed[:due]
        for entry in entries:
            entry.move(Event.DUE)
            self.ledger.note(entry, Event.DUE)
        if self._is_fair:
            # A flow of its own: neither before other tenants nor behind a backlog of its tenant.
            for entry in entries:
                self._fair[entry.priority].append(f"{entry.tenant}+", entry)
        else:
            for entry in reversed(entries):
                self._ready[entry.priority].appendleft(entry)

    def available(self, now: float) -> int:
        """How many jobs a take would find."""
        if self._paused:
            return 0
        ready = sum(map(len, self._lines())) + self._gates.passable(now)
        expired = sum(entry.until <= now for entry in self._held.values())
        return ready + expired + self._count_due(now)

    def _count_due(self, now: float) -> int:
        return bisect.bisect_right(self._delayed, now, key=lambda entry: entry.until)

    def next_due(self, now: float) -> float | None:
        """Seconds until something becomes due or a lease ends; ``None`` if nothing will."""
        if self._paused:
            return None
        moments = [entry.until for entry in self._held.values()]
        moments += [entry.until for entry in self._delayed[:1]]
        window = self._gates.next_window(now)
        moments += [] if window is None else [window]
        return max(0.0, min(moments) - now) if moments else None

    def _bury(self, entry: Entry, event: Event, reason: str) -> None:
        entry.move(event)
        entry.note = reason
        self.ledger.note(entry, event)
        self._dead.append(entry)

    def settle(self, steps: Sequence[Settle], now: float) -> list[bool]:
        """Do each step whose token holds its delivery."""
        released: list[Entry] = []
        held = [self._settle(one, now, released) for one in steps]
        # At the head, in the order in which they were given back together.
        for entry in reversed(released):
            self._put_back(entry)
        return held

    def _settle(self, one: Settle, now: float, released: list[Entry]) -> bool:
        entry = self._held.get(one.token)
        if entry is None or entry.until <= now:
            return False
        if one.verb is Verb.EXTEND:
            entry.until = now + one.millis / 1000
        elif one.verb is Verb.START:
            entry.started = True
        elif one.verb is Verb.REPORT:
            self.ledger.amend(entry.id, report=one.note)
        else:
            self._let_go(entry)
            self._end(entry, one, now, released)
        return True

    def _end(self, entry: Entry, one: Settle, now: float, released: list[Entry]) -> None:
        if one.verb is Verb.ACK:
            entry.move(Event.ACK)
            self.ledger.amend(entry.id, result=one.result)
            self.ledger.note(entry, Event.ACK)
            self._acked += 1
        elif one.verb is Verb.RELEASE:
            entry.move(Event.RELEASE)
            self.ledger.note(entry, Event.RELEASE)
            released.append(entry)
        elif one.verb is Verb.RETRY:
            entry.move(Event.RETRY)
            entry.attempt += 1
            entry.note = one.note
            self._delay(entry, now + one.millis / 1000)
            self.ledger.note(entry, Event.RETRY)
        else:
            self._bury(entry, Event.DEAD_LETTER, one.note)

    def pause(self) -> None:
        """Deliver nothing."""
        self._paused = True

    def resume(self) -> None:
        """Deliver again."""
        self._paused = False

    def stats(self) -> QueueStats:
        """Counts by state."""
        return QueueStats(
            ready=sum(map(len, self._all_lines())),
            delayed=len(self._delayed),
            held=len(self._held),
            dead=len(self._dead),
            enqueued=self._enqueued,
            acked=self._acked,
            dropped=self._dropped,
            paused=self._paused,
        )

    def peek(self, state: State, limit: int, offset: int, now: float) -> list[PeekedJob]:
        """Jobs in one state, next one first."""
        entries = list(self._in_state(state))[offset : offset + limit]
        timed = state in (State.DELAYED, State.HELD)
        return [
            PeekedJob(
                id=entry.id,
                state=state,
                stored=entry.envelope,
                due_in=max(0.0, entry.until - now) if timed else None,
                number=entry.number,
                attempt=entry.attempt,
                crashes=entry.crashes,
                note=entry.note,
            )
            for entry in entries
        ]

    def _in_state(self, state: State) -> Iterable[Entry]:
        if state is State.READY:
            return self._all_ready()
        if state is State.HELD:
            return sorted(self._held.values(), key=lambda entry: entry.until)
        return self._delayed if state is State.DELAYED else self._dead

    def _all_ready(self) -> Iterator[Entry]:
        for line in self._all_lines():
            yield from line

    def purge(self, state: State) -> int:
        """Drop all jobs in one state."""
        doomed = list(self._in_state(state))
        for entry in doomed:
            self._drop(entry, Event.PURGE)
        if state is State.READY:
            for line in self._all_lines():
                line.clear()
        elif state is State.DELAYED:
            self._delayed.clear()
        else:
            self._dead.clear()
        return len(doomed)

    def _drop(self, entry: Entry, event: Event) -> None:
        entry.move(event)
        self.ledger.note(entry, event)
        self._dropped += 1

    def cancel(self, job_id: str) -> State | None:
        """Drop one job, wherever it is; says in which state it was."""
        for state in INSPECTABLE:
            entry = next((one for one in self._in_state(state) if one.id == job_id), None)
            if entry is not None:
                self._remove(entry)
                self._drop(entry, Event.CANCEL)
                return state
        return None

    def _remove(self, entry: Entry) -> None:
        if entry.state is State.READY:
            next(line for line in self._all_lines() if entry in line).remove(entry)
        elif entry.state is State.HELD:
            self._let_go(entry)
        else:
            (self._delayed if entry.state is State.DELAYED else self._dead).remove(entry)

    def reschedule(self, job_id: str, due: float, now: float) -> bool:
        """Make a delayed job due at another time; says whether there is one."""
        entry = next((one for one in self._delayed if one.id == job_id), None)
        if entry is None:
            return False
        self._delayed.remove(entry)
        entry.expires += max(due, now) - entry.until
        self._delay(entry, due)
        self.ledger.reschedule(entry)
        return True

    def move_to(self, other: MemoryQueue, state: State, limit: int | None, now: float) -> int:
        """Bring the first jobs of a state to another queue, but for those that it knows."""
        self._known.forget(now)
        known = other.known_ids(now)
        fresh = {one.id: one for one in self._in_state(state) if one.id not in known}
        # What is kept of a job is asked for where it was enqueued.
        records = zip(self.ledger.records([*fresh]), other.ledger.records([*fresh]), strict=True)
        kept = [any(pair) for pair in records]
        fit = [one for one, stays in zip(fresh.values(), kept, strict=True) if not stays][:limit]
        self._take_out(state, set(fit))
        for entry in fit:
            other.welcome(entry, self._known.part_with(entry.id))
        self._enqueued -= len(fit)
        return len(fit)

    def known_ids(self, now: float) -> set[str]:
        """The ids that no job may come with: of those that are here or were, unless they left."""
        self._known.forget(now)
        kept = {one.id for state in INSPECTABLE for one in self._in_state(state)}
        return kept | self._known.ids()

    def _take_out(self, state: State, gone: set[Entry]) -> None:
        if state is State.READY:
            for line in [*self._ready.values(), *self._gates.lines()]:
                kept = [one for one in line if one not in gone]
                line.clear()
                line.extend(kept)
            for rounds in self._fair.values():
                rounds.remove_all(gone)
        elif state is State.DELAYED:
            self._delayed = [one for one in self._delayed if one not in gone]
        else:
            self._dead = [one for one in self._dead if one not in gone]

    def welcome(self, entry: Entry, known_until: float | None) -> None:
        """Take over a job of another queue, and until when its id is known if a caller gave it."""
        self._enqueued += 1
        self._known.welcome(entry.id, known_until)
        self._is_fair = self._is_fair or bool(entry.tenant)
        if entry.state is State.DELAYED:
            self._delay(entry, entry.until)
            return
        if entry.state is State.DEAD:
            entry.move(Event.REDRIVE)
            entry.attempt, entry.crashes, entry.lost = 1, 0, 0
        self._append(entry)

    def redrive(self, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again."""
        chosen = self._exhume(ids)
        for entry in chosen:
            entry.move(Event.REDRIVE)
            entry.attempt, entry.crashes, entry.lost = 1, 0, 0
            self.ledger.note(entry, Event.REDRIVE)
            self._append(entry)
        return len(chosen)

    def remove(self, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        chosen = self._exhume(ids)
        for entry in chosen:
            self._drop(entry, Event.PURGE)
        return len(chosen)

    def _exhume(self, ids: Sequence[str] | None) -> list[Entry]:
        wanted = None if ids is None else set(ids)
        chosen: list[Entry] = []
        kept: list[Entry] = []
        for entry in self._dead:
            (chosen if wanted is None or entry.id in wanted else kept).append(entry)
        self._dead = kept
        return chosen
