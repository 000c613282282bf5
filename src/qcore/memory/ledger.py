"""The records of one queue in memory. Not thread-safe; told the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import attrs

from qcore.record import Record, Try
from qcore.states import Event, State

__all__ = ["Ledger"]

_TRIES = 5
_STAYS = {State.DONE: 0, State.DEAD: 1, State.DROPPED: 2}
_SAID = (Event.RETRY, Event.DEAD_LETTER, Event.EXHAUST)
"""What ends a delivery with a note."""


class _Job(Protocol):
    """What a record says of a stored job."""

    id: str
    state: State
    number: int
    attempt: int
    crashes: int
    until: float
    note: str


@attrs.define
class _Page:
    record: Record
    keep_ms: tuple[int, int, int]
    stays_until: float = math.inf


@attrs.define
class Ledger:
    """What is kept of the jobs that are tracked.

    Attributes:
        now: The time, as last told.
        ended: Whether a job has ended since that was last asked and set back.
    """

    now: float = 0.0
    ended: bool = False
    _pages: dict[str, _Page] = attrs.field(factory=dict[str, _Page])
    _look_at: float = math.inf
    """No record goes before this moment."""

    def tell(self, now: float) -> None:
        """Take note of the time, and forget what was kept until then."""
        self.now = now
        if now < self._look_at:
            return
        self._pages = {
            job_id: page for job_id, page in self._pages.items() if page.stays_until > now
        }
        self._look_at = min((page.stays_until for page in self._pages.values()), default=math.inf)

    def is_open(self, job_id: str) -> bool:
        """Whether a job of this id has a record, and has not ended."""
        page = self._pages.get(job_id)
        return page is not None and not page.record.has_ended

    def begin(self, job: _Job, keep_ms: tuple[int, int, int] | None) -> None:
        """Begin the record of a new job, or none; what was kept of another of its id is gone."""
        self._pages.pop(job.id, None)
        if keep_ms is None:
            return
        due = job.until if job.state is State.DELAYED else None
        record = Record(job.id, job.state, self.now, self.now, due_at=due)
        self._pages[job.id] = _Page(record, keep_ms)

    def note(self, job: _Job, event: Event, worker: str = "") -> None:
        """Note what happened to a job, which has changed by now."""
        page = self._pages.get(job.id)
        if page is None:
            return
        before = page.record
        now = max(self.now, before.changed_at)
        page.record = attrs.evolve(
            before,
            state=job.state,
            changed_at=now,
            due_at=job.until if job.state is State.DELAYED else None,
            taken_at=now if job.state is State.HELD else before.taken_at,
            ended_at=None,
            number=job.number,
            attempt=job.attempt,
            crashes=job.crashes,
            worker=worker or before.worker,
            note="" if event is Event.ACK else job.note,
            tries=_tries(before, job, event, now),
        )
        page.stays_until = math.inf
        if job.state in _STAYS:
            self._end(page, now)

    def _end(self, page: _Page, now: float) -> None:
        self.ended = True
        page.record = attrs.evolve(page.record, ended_at=now)
        stays = page.keep_ms[_STAYS[page.record.state]]
        page.stays_until = math.inf if stays < 0 else now + stays / 1000
        self._look_at = min(self._look_at, page.stays_until)
        if not stays:
            del self._pages[page.record.id]

    def reschedule(self, job: _Job) -> None:
        """Note that a delayed job is due at another time."""
        self.note(job, Event.RETRY)

    def amend(self, job_id: str, *, result: bytes = b"", report: str = "") -> None:
        """Put a result or a report into a record."""
        page = self._pages.get(job_id)
        if page is not None:
            kept = page.record
            page.record = attrs.evolve(
                kept,
                stored_result=result or kept.stored_result,
                stored_report=report or kept.stored_report,
            )

    def records(self, ids: Sequence[str]) -> list[Record | None]:
        """The records of these jobs."""
        pages = [self._pages.get(job_id) for job_id in ids]
        return [None if page is None else page.record for page in pages]


def _tries(before: Record, job: _Job, event: Event, now: float) -> Sequence[Try]:
    if before.state is not State.HELD:
        return before.tries
    taken_at = before.enqueued_at if before.taken_at is None else before.taken_at
    note = job.note if event in _SAID else ""
    last = Try(before.number, before.attempt, taken_at, now, event.value, note)
    return (*before.tries, last)[-_TRIES:]
