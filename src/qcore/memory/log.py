"""``memory://name?mode=log``: entries that stay, and groups that each get every one of them.

The plainest reading of the contract: a log is a list, and each group a queue of its own that is
handed each entry.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import attrs

from qcore.backend import (
    Enqueue,
    Enqueued,
    Flush,
    LoggedJob,
    PeekedJob,
    QueueStats,
    Setup,
    Span,
    Start,
    Taken,
    TakeRequest,
)
from qcore.capabilities import Capabilities, as_log
from qcore.memory.adapter import MemoryBackend, MemoryStore
from qcore.memory.promises import PROMISES
from qcore.memory.store import Entry, MemoryQueue
from qcore.states import State

__all__ = ["LOG_PROMISES", "GroupQueue", "LogBackend", "MemoryLog", "Retention"]

T = TypeVar("T")

LOG_PROMISES = as_log(PROMISES)


@attrs.frozen
class _Stored:
    """One entry: its number counts from 1, its time never runs backwards."""

    number: int
    id: str
    envelope: bytes
    at_ms: int

    @property
    def shown(self) -> LoggedJob:
        return LoggedJob(self.id, self.envelope, self.at_ms / 1000)

    @property
    def job(self) -> Enqueue:
        return Enqueue(self.id, self.envelope)


@attrs.frozen
class Retention:
    """What stays: entries younger than ``seconds`` and the last ``count``; 0 is no limit."""

    seconds: float = 0.0
    count: int = 0
    lossy: bool = False


@attrs.define(eq=False)
class GroupQueue(MemoryQueue):
    """What one group has to do.

    Args:
        turn: Told apart from all groups and rewinds before it, so that no old token fits.
    """

    turn: int = 0
    _copies: set[Entry] = attrs.field(factory=set[Entry])

    def take(self, request: TakeRequest, owner: str, now: float) -> Taken:
        """As the queue's, with tokens of this turn."""
        return super().take(request, f"{owner}~{self.turn}", now)

    def redrive(self, ids: Sequence[str] | None) -> int:
        """As the queue's; what comes back lives on when its entry is gone."""
        before = list(self._dead)
        moved = super().redrive(ids)
        self._copies.update(entry for entry in before if entry not in self._dead)
        return moved

    def _unsettled(self) -> list[Entry]:
        ready = [entry for line in self._ready.values() for entry in line]
        return [*ready, *self._delayed, *self._held.values()]

    def unsettled(self) -> set[str]:
        """The ids of entries that the log must keep for this group."""
        return {entry.id for entry in self._unsettled() if entry not in self._copies}

    def drop(self, ids: Iterable[str]) -> None:
        """Let go of entries that are gone; who has one in hand may still settle it."""
        gone = set(ids)
        for line in self._ready.values():
            kept = [one for one in line if one.id not in gone or one in self._copies]
            self._dropped += len(line) - len(kept)
            line.clear()
            line.extend(kept)
        kept = [one for one in self._delayed if one.id not in gone or one in self._copies]
        self._dropped += len(self._delayed) - len(kept)
        self._delayed = kept

    def succeed(self, former: GroupQueue) -> None:
        """Take over what no rewind brings back: dead letters, and those that were redriven."""
        self._dead = former._dead
        self._copies = {one for one in former._unsettled() if one in former._copies}
        self._enqueued += len(self._dead) + len(self._copies)
        self._paused = former._paused
        for entry in self._copies:
            entry.state, entry.token = State.READY, ""
            self._ready[entry.priority].appendleft(entry)


class MemoryLog:
    """The entries of one queue.

    Args:
        dedup_window: Seconds that a caller's id or dedup key is known.
    """

    def __init__(self, dedup_window: float) -> None:
        self.intake = MemoryQueue(1, 1, dedup_window)
        self.turns = 0
        self._entries: list[_Stored] = []
        self._by_id: dict[str, _Stored] = {}
        self._last = 0
        self._dropped_ms = -1

    def append(self, jobs: Sequence[Enqueue], now: float) -> tuple[list[Enqueued], list[Enqueue]]:
        """Store the jobs that are not known yet; says what became of each, and which are new."""
        outcomes = self.intake.enqueue(jobs, now)
        self.intake.purge(State.READY)
        new = [job for job, one in zip(jobs, outcomes, strict=True) if one.created]
        for job in new:
            self._last += 1
            at_ms = max([int(now * 1000), *(one.at_ms for one in self._entries[-1:])])
            entry = _Stored(self._last, job.id, job.envelope, at_ms)
            self._entries.append(entry)
            self._by_id[job.id] = entry
        return outcomes, [Enqueue(job.id, job.envelope) for job in new]

    def trim(self, retention: Retention, now: float, groups: Sequence[GroupQueue]) -> None:
        """Drop what need not stay, the oldest first, unless a group has yet to settle it."""
        most = retention.count or len(self._entries)
        too_many = len(self._entries) - most
        oldest_ms = (now - retention.seconds) * 1000 if retention.seconds else -1.0
        wanted = {one for group in groups for one in group.unsettled()}
        cut = 0
        for entry in self._entries:
            is_over = cut < too_many or entry.at_ms <= oldest_ms
            if not is_over or (entry.id in wanted and not retention.lossy):
                break
            cut += 1
        if not cut:
            return
        gone = self._entries[:cut]
        del self._entries[:cut]
        self._dropped_ms = gone[-1].at_ms
        for entry in gone:
            if self._by_id[entry.id] is entry:
                del self._by_id[entry.id]
        for group in groups:
            group.drop(one.id for one in gone)

    def place(self, start: Start) -> int | None:
        """How many entries lie before a start; ``None`` if it is gone."""
        if start.kind == "all":
            return 0
        if start.kind == "new":
            return len(self._entries)
        if start.kind == "time":
            gone = start.millis <= self._dropped_ms
            times = self._entries
            return None if gone else bisect.bisect_left(times, start.millis, key=lambda e: e.at_ms)
        entry = self._by_id.get(start.id)
        return None if entry is None else entry.number - self._entries[0].number

    def jobs_from(self, place: int) -> list[Enqueue]:
        """What a group gets that begins there."""
        return [entry.job for entry in self._entries[place:]]

    def read(self, span: Span) -> list[LoggedJob] | None:
        """Entries in order; ``None`` if the log does not reach back that far."""
        low, high = self.place(span.start), self._end(span.end)
        after = self.place(Start("id", span.after)) if span.after else -1
        if low is None or high is None or after is None:
            return None
        if span.newest_first:
            high = after if span.after else high
            return [one.shown for one in reversed(self._entries[low:high])][: span.limit]
        low = max(low, after + 1)
        return [one.shown for one in self._entries[low:high][: span.limit]]

    def _end(self, end: Start) -> int | None:
        if end.kind == "all":
            return len(self._entries)
        if end.kind == "time":
            return bisect.bisect_right(self._entries, end.millis, key=lambda e: e.at_ms)
        place = self.place(end)
        return None if place is None else place + 1

    def find(self, job_id: str) -> LoggedJob | None:
        """The entry of a job, or ``None``."""
        entry = self._by_id.get(job_id)
        return None if entry is None else entry.shown

    def oldest_ms(self, group: GroupQueue) -> int | None:
        """When the oldest entry was stored that a group has not settled."""
        wanted = group.unsettled()
        return next((entry.at_ms for entry in self._entries if entry.id in wanted), None)


class LogBackend(MemoryBackend):
    """A connection to the logs of a store."""

    def __init__(
        self, setup: Setup, store: MemoryStore, left: Callable[[MemoryStore], None]
    ) -> None:
        super().__init__(setup, store, left)
        params = setup.params
        self._retention = Retention(
            params["retention"], params["retention_count"], bool(params["lossy"])
        )

    def open(self) -> Capabilities:
        """Say what is promised; there is nothing to reach."""
        return LOG_PROMISES

    def close(self) -> None:
        """Drop the answers kept for replays, and with the last connection the store."""
        with self._store.lock:
            for log in self._logs.values():
                log.intake.forget_owner(self._owner)
        super().close()

    @property
    def _logs(self) -> dict[tuple[str, str], MemoryLog]:
        return self._store.logs

    def _log(self, line: str) -> MemoryLog:
        """The log that a line belongs to, made if there is none."""
        key = self._line(line.partition("/")[0])
        log = self._logs.get(key)
        if log is None:
            log = self._logs[key] = MemoryLog(self._params["dedup_window"])
        return log

    def _made(self, log: MemoryLog, jobs: Sequence[Enqueue]) -> GroupQueue:
        log.turns += 1
        params = self._params
        group = GroupQueue(params["crash_limit"], params["delivery_cap"], 1.0, turn=log.turns)
        group.enqueue(jobs, self._clock.time())
        return group

    def _group(self, line: str) -> GroupQueue:
        """What a group has to do; one that nobody began has everything to do."""
        found = self._store.queues.get(self._line(line))
        if isinstance(found, GroupQueue):
            return found
        log = self._log(line)
        return self._made(log, log.jobs_from(0))

    def _of(self, queue: str) -> dict[str, GroupQueue]:
        """The groups of a queue, by their lines."""
        namespace, _ = self._line(queue)
        return {
            name: line
            for (space, name), line in self._store.queues.items()
            if space == namespace and name.partition("/")[0] == queue
            if isinstance(line, GroupQueue)
        }

    def _keep(self, queue: str) -> None:
        with self._store.lock:
            self._store.queues[self._line(queue)] = self._group(queue)

    def _act(self, queue: str, act: Callable[[MemoryQueue, float], T]) -> T:
        with self._store.lock:
            self._keep(queue)
            return super()._act(queue, act)

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Store all jobs, for every group."""
        if not jobs:
            return []
        with self._store.lock:
            log = self._log(queue)
            return log.intake.once(self._owner, flush, lambda: self._append(queue, log, jobs))

    def _append(self, queue: str, log: MemoryLog, jobs: Sequence[Enqueue]) -> list[Enqueued]:
        now = self._clock.time()
        groups = self._of(queue)
        outcomes, new = log.append(jobs, now)
        for line, group in groups.items():
            group.enqueue(new, now)
            if self.sleepers(line):
                self._ring(line, group, now)
        log.trim(self._retention, now, list(groups.values()))
        return outcomes

    def queues(self) -> Sequence[str]:
        """The names of the queues in this namespace that were ever used."""
        with self._store.lock:
            here, _ = self._line("")
            return sorted(name for space, name in self._logs if space == here)

    def stats(self, queue: str) -> QueueStats:
        """Counts by state, and the age of what is oldest."""
        with self._store.lock:
            log, group = self._log_of(queue), self._group(queue)
            oldest = log.oldest_ms(group)
            age = None if oldest is None else max(0.0, self._clock.time() - oldest / 1000)
            return attrs.evolve(group.stats(), oldest=age)

    def _log_of(self, line: str) -> MemoryLog:
        """The log that a line belongs to, or one that is empty."""
        known = self._logs.get(self._line(line.partition("/")[0]))
        return known or MemoryLog(self._params["dedup_window"])

    def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state."""
        with self._store.lock:
            return self._group(queue).peek(state, limit, offset, self._clock.time())

    def begin(self, line: str, start: Start) -> bool:
        """Make a group, unless there is one."""
        with self._store.lock:
            return line in self._of(line.partition("/")[0]) or self._begin(line, start) is not None

    def _begin(self, line: str, start: Start) -> GroupQueue | None:
        log = self._log(line)
        place = log.place(start)
        if place is None:
            return None
        group = self._made(log, log.jobs_from(place))
        self._store.queues[self._line(line)] = group
        return group

    def rewind(self, line: str, start: Start) -> bool:
        """Let a group begin anew."""
        with self._store.lock:
            former = self._of(line.partition("/")[0]).get(line)
            group = self._begin(line, start)
            if group is None:
                return False
            if former is not None:
                group.succeed(former)
            self._ring(line, group, self._clock.time())
            return True

    def end(self, line: str) -> None:
        """Remove a group."""
        with self._store.lock:
            self._store.queues.pop(self._line(line), None)

    def groups(self, queue: str) -> Sequence[str]:
        """The names of the groups."""
        with self._store.lock:
            return sorted(line.partition("/")[2] or "default" for line in self._of(queue))

    def read(self, queue: str, span: Span) -> Sequence[LoggedJob] | None:
        """Entries in order."""
        with self._store.lock:
            return self._log_of(queue).read(span)

    def find(self, queue: str, job_id: str) -> LoggedJob | None:
        """The entry of a job."""
        with self._store.lock:
            return self._log_of(queue).find(job_id)
