"""Optional parts of the seam, each small enough to be read at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qcore.backend.values import LoggedJob, PeekedJob, QueueStats, Span, Start
from qcore.record import Record
from qcore.states import State

__all__ = [
    "AsyncControl",
    "AsyncGroups",
    "AsyncHistory",
    "AsyncInspection",
    "AsyncRecords",
    "AsyncSubscriptions",
    "Control",
    "Groups",
    "History",
    "Inspection",
    "Records",
    "Subscriptions",
]


class Inspection(Protocol):
    """Optional: looking into a queue and moving what waits there."""

    def queues(self) -> Sequence[str]:
        """The names of the queues in this namespace, sorted."""
        ...

    def stats(self, queue: str) -> QueueStats:
        """Counts, taken in one step."""
        ...

    def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state, next one first; changes nothing."""
        ...

    def purge(self, queue: str, state: State) -> int:
        """Drop all jobs in one state; held ones cannot be purged. Says how many."""
        ...

    def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again, all or those named: attempt 1, crashes 0. Says how many."""
        ...

    def remove(self, queue: str, ids: Sequence[str]) -> int:
        """Drop the named dead jobs. Says how many there were."""
        ...


class AsyncInspection(Protocol):
    """As ``Inspection``, awaited."""

    async def queues(self) -> Sequence[str]:
        """As ``Inspection.queues``."""
        ...

    async def stats(self, queue: str) -> QueueStats:
        """As ``Inspection.stats``."""
        ...

    async def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """As ``Inspection.peek``."""
        ...

    async def purge(self, queue: str, state: State) -> int:
        """As ``Inspection.purge``."""
        ...

    async def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """As ``Inspection.redrive``."""
        ...

    async def remove(self, queue: str, ids: Sequence[str]) -> int:
        """As ``Inspection.remove``."""
        ...


class Control(Protocol):
    """Optional: steering a queue; each capability stands for the methods that need it."""

    def pause(self, queue: str) -> None:
        """``pause``: let ``take`` find nothing until ``resume``, also after a restart."""
        ...

    def resume(self, queue: str) -> None:
        """``pause``: go on, and wake those who wait for work."""
        ...

    def cancel(self, queue: str, job_id: str) -> State | None:
        """``cancel``: drop one job, wherever it is, in one step; says in which state it was.

        Of one that is held every later settle is refused.
        """
        ...

    def reschedule(self, queue: str, job_id: str, delay_ms: int, at_ms: int | None) -> bool:
        """``reschedule``: make a job due at another time, if it is delayed; says whether it was.

        The times are those of ``Enqueue``; a ttl begins when the job is due.
        """
        ...

    def move(self, queue: str, to: str, state: State, limit: int | None) -> int:
        """``move``: bring the first jobs of one state to another queue; says how many.

        Each is in one of both at any time, and counts as ``enqueued`` where it is. Dead ones are
        ready there, as after ``redrive``; what is ready goes behind what waits there. One whose id
        is known there stays, and is not counted.
        """
        ...


class AsyncControl(Protocol):
    """As ``Control``, awaited."""

    async def pause(self, queue: str) -> None:
        """As ``Control.pause``."""
        ...

    async def resume(self, queue: str) -> None:
        """As ``Control.resume``."""
        ...

    async def cancel(self, queue: str, job_id: str) -> State | None:
        """As ``Control.cancel``."""
        ...

    async def reschedule(self, queue: str, job_id: str, delay_ms: int, at_ms: int | None) -> bool:
        """As ``Control.reschedule``."""
        ...

    async def move(self, queue: str, to: str, state: State, limit: int | None) -> int:
        """As ``Control.move``."""
        ...


class Records(Protocol):
    """Optional: ``records``, what is kept about jobs that were enqueued with ``keep_ms``.

    A record changes in the same step as the state of its job. One whose time is over is not there.
    """

    def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        """The records of jobs; ``None`` for each of which there is none."""
        ...

    def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        """Sleep until a job has ended or has no record, at most ``timeout`` seconds.

        An end that came before is not missed. Returning early is allowed.
        """
        ...


class AsyncRecords(Protocol):
    """As ``Records``, awaited."""

    async def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        """As ``Records.records``."""
        ...

    async def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        """As ``Records.wait_end``; cancelling it is harmless."""
        ...


class Groups(Protocol):
    """Optional: several readers of one log.

    A line is a queue as one group sees it: ``queue/group``, or the queue's bare name for the
    group ``default``. The mandatory core and ``Inspection`` are called with lines. A group that
    nobody began begins with the oldest entry, at its first take.
    """

    def begin(self, line: str, start: Start) -> bool:
        """Make a group, unless there is one; ``False`` if the log does not reach that far back."""
        ...

    def rewind(self, line: str, start: Start) -> bool:
        """Let a group begin anew: what is in hand is lost to its holders, dead letters stay."""
        ...

    def end(self, line: str) -> None:
        """Remove a group with its leases and dead letters; the entries stay for others."""
        ...

    def groups(self, queue: str) -> Sequence[str]:
        """The names of the groups of a queue, sorted."""
        ...


class AsyncGroups(Protocol):
    """As ``Groups``, awaited."""

    async def begin(self, line: str, start: Start) -> bool:
        """As ``Groups.begin``."""
        ...

    async def rewind(self, line: str, start: Start) -> bool:
        """As ``Groups.rewind``."""
        ...

    async def end(self, line: str) -> None:
        """As ``Groups.end``."""
        ...

    async def groups(self, queue: str) -> Sequence[str]:
        """As ``Groups.groups``."""
        ...


class History(Protocol):
    """Optional: reading a log, which changes nothing."""

    def read(self, queue: str, span: Span) -> Sequence[LoggedJob] | None:
        """Entries in order; ``None`` if the log does not reach back to where they begin."""
        ...

    def find(self, queue: str, job_id: str) -> LoggedJob | None:
        """The entry of a job, or ``None``."""
        ...


class AsyncHistory(Protocol):
    """As ``History``, awaited."""

    async def read(self, queue: str, span: Span) -> Sequence[LoggedJob] | None:
        """As ``History.read``."""
        ...

    async def find(self, queue: str, job_id: str) -> LoggedJob | None:
        """As ``History.find``."""
        ...


class Subscriptions(Protocol):
    """Optional: for adapters that only reach whoever listens."""

    def subscribe(self, queue: str) -> None:
        """Listen; in effect when this returns."""
        ...

    def gaps(self, queue: str) -> int:
        """How often a listener of this connection may have missed something."""
        ...


class AsyncSubscriptions(Protocol):
    """As ``Subscriptions``, awaited."""

    async def subscribe(self, queue: str) -> None:
        """As ``Subscriptions.subscribe``."""
        ...

    def gaps(self, queue: str) -> int:
        """As ``Subscriptions.gaps``."""
        ...
