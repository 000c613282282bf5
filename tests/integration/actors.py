"""One vocabulary for both colours, so that each scenario is written once.

``Client``, ``Line``, ``Hand`` and ``Flow`` say what a scenario may do with a connection, a queue, a
delivery and a consumer. What blocks fits as it is; what is awaited is wrapped in ``async_actors``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import qcore
from qcore.backend import Settle, Taken, TakeRequest

__all__ = ["Client", "Flow", "Hand", "Line", "SyncClient"]

N = TypeVar("N")

NOTHING: Mapping[str, str] = {}


class Hand(Protocol):
    """A delivery."""

    @property
    def job(self) -> qcore.Job:
        """The job."""
        ...

    @property
    def number(self) -> int:
        """The delivery number."""
        ...

    @property
    def attempt(self) -> int:
        """The attempt."""
        ...

    @property
    def crashes(self) -> int:
        """How often its worker died."""
        ...

    @property
    def alone(self) -> bool:
        """Whether nothing may be worked on beside it."""
        ...

    @property
    def receipt(self) -> qcore.Receipt:
        """Proof of this delivery."""
        ...

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold the job."""
        ...

    def ack(self) -> None:
        """Ack."""
        ...

    def release(self) -> None:
        """Release."""
        ...

    def retry(self, delay: float = 0.0, error: str = "") -> None:
        """Retry."""
        ...

    def dead_letter(self, reason: str) -> None:
        """Dead-letter."""
        ...

    def extend(self, lease: float) -> None:
        """Extend."""
        ...


class Flow(Protocol):
    """A consumer."""

    def __enter__(self) -> Iterator[Hand]:
        """Start."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop."""
        ...

    def close(self) -> None:
        """Close."""
        ...


class Line(Protocol):
    """A queue. ``ack_many`` and ``settle_many`` are given receipts, which have no colour."""

    def enqueue(
        self,
        body: object,
        *,
        headers: Mapping[str, str] = NOTHING,
        id: str | None = None,
        dedup: str | None = None,
        delay: float = 0.0,
        at: datetime | float | None = None,
        priority: int = 0,
        ttl: float | None = None,
        tenant: str | None = None,
        front: bool = False,
        gate: qcore.Gate | None = None,
        keep: qcore.Keep | None = None,
        join: qcore.Join | None = None,
    ) -> qcore.JobId:
        """Enqueue."""
        ...

    def enqueue_many(self, jobs: Iterable[object]) -> list[qcore.JobId]:
        """Enqueue many."""
        ...

    def reserve(self, timeout: float | None = None, lease: float | None = None) -> Hand | None:
        """Reserve."""
        ...

    def reserve_many(
        self, limit: int, timeout: float | None = None, lease: float | None = None
    ) -> Sequence[Hand]:
        """Reserve many."""
        ...

    def ack_many(self, deliveries: Iterable[object]) -> list[bool]:
        """Ack many."""
        ...

    def settle_many(self, settlements: Iterable[qcore.Settlement]) -> list[bool]:
        """Settle many."""
        ...

    def consume(self, prefetch: int = 50, lease: float | None = None) -> Flow:
        """Consume."""
        ...

    def stats(self) -> qcore.QueueStats:
        """Count."""
        ...

    def peek(
        self, state: str = "ready", limit: int = 20, offset: int = 0
    ) -> list[qcore.InspectedJob]:
        """Look."""
        ...

    def purge(self, state: str = "ready") -> int:
        """Purge."""
        ...

    def redrive(self, ids: Iterable[str] | None = None) -> int:
        """Redrive."""
        ...

    def remove(self, ids: Iterable[str]) -> int:
        """Remove."""
        ...

    def get(self, job_id: str) -> qcore.Record:
        """Get the record of a job."""
        ...

    def wait(self, job_id: str, timeout: float | None = None) -> qcore.Record:
        """Wait for the end of a job."""
        ...

    def cancel(self, job_id: str) -> qcore.State | None:
        """Cancel."""
        ...

    def reschedule(
        self, job_id: str, *, delay: float | None = None, at: datetime | float | None = None
    ) -> bool:
        """Reschedule."""
        ...

    def move(self, to: str, state: str = "ready", limit: int | None = None) -> int:
        """Move."""
        ...

    def pause(self) -> None:
        """Pause."""
        ...

    def resume(self) -> None:
        """Resume."""
        ...


class Client(Protocol):
    """A connection. ``take`` and ``settle`` are the seam's, for what workers do by themselves."""

    @property
    def capabilities(self) -> qcore.Capabilities:
        """What is promised."""
        ...

    def queue(self, name: str = "work") -> Line:
        """A queue."""
        ...

    def queues(self) -> list[str]:
        """The names of the queues."""
        ...

    def health(self) -> dict[str, Any]:
        """Facts about the broker."""
        ...

    def take(self, name: str, request: TakeRequest) -> Taken:
        """Take, as a consumer does."""
        ...

    def settle(self, name: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """Settle, as a consumer does."""
        ...

    def native(self, kind: type[N]) -> N | None:
        """The client underneath."""
        ...

    def close(self) -> None:
        """Close."""
        ...


class SyncClient:
    """A connection of code that blocks."""

    def __init__(self, connection: qcore.Connection) -> None:
        self.connection = connection

    @property
    def capabilities(self) -> qcore.Capabilities:
        """What is promised."""
        return self.connection.capabilities

    def queue(self, name: str = "work") -> qcore.Queue:
        """A queue."""
        return self.connection.queue(name)

    def queues(self) -> list[str]:
        """The names of the queues."""
        return self.connection.queues()

    def health(self) -> dict[str, Any]:
        """Facts about the broker."""
        return self.connection.health()

    def take(self, name: str, request: TakeRequest) -> Taken:
        """Take, as a consumer does."""
        return self.queue(name).session.take(name, request)

    def settle(self, name: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """Settle, as a consumer does."""
        return self.queue(name).session.settle(name, steps)

    def native(self, kind: type[N]) -> N | None:
        """The client underneath."""
        return self.connection.native(kind)

    def close(self) -> None:
        """Close."""
        self.connection.close()
