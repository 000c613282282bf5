"""The mandatory core of the seam, in both colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from qcore.backend.values import Enqueue, Enqueued, Fault, Flush, Settle, Taken, TakeRequest
from qcore.capabilities import Capabilities

__all__ = ["AsyncBackend", "Backend"]

N = TypeVar("N")


class Backend(Protocol):
    """An adapter for callers that block. Safe for use by many threads."""

    def open(self) -> Capabilities:
        """Reach the broker, find out what it can do, and say what can be promised."""
        ...

    def interrupt(self) -> None:
        """Make every ``wait`` of every thread return soon; harmless at any time."""
        ...

    def close(self) -> None:
        """Give back everything that this connection holds of its own; harmless twice."""
        ...

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Store all jobs in one step, or none."""
        ...

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Take what is due and ready in one step: expired leases, due jobs, new jobs."""
        ...

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until there may be work, at most ``timeout`` seconds. Takes nothing."""
        ...

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Do each step whose token still holds its delivery; ``False`` for those that do not."""
        ...

    def health(self) -> Mapping[str, Any]:
        """Facts about the broker now, such as ``latency`` in seconds."""
        ...

    def classify(self, error: BaseException) -> Fault | None:
        """What an error that escaped from this backend means; ``None`` if it is a bug."""
        ...

    def native(self, kind: type[N]) -> N | None:
        """The underlying client if it is a ``kind``: the one way around this seam."""
        ...


class AsyncBackend(Protocol):
    """The same for asyncio. Belongs to one event loop; cancelling a call must leave it usable."""

    async def open(self) -> Capabilities:
        """As ``Backend.open``."""
        ...

    def interrupt(self) -> None:
        """As ``Backend.interrupt``."""
        ...

    async def close(self) -> None:
        """As ``Backend.close``."""
        ...

    async def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Sequence[Enqueued]:
        """As ``Backend.enqueue``."""
        ...

    async def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """As ``Backend.take``."""
        ...

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        """As ``Backend.wait``; cancelling it loses nothing."""
        ...

    async def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """As ``Backend.settle``."""
        ...

    async def health(self) -> Mapping[str, Any]:
        """As ``Backend.health``."""
        ...

    def classify(self, error: BaseException) -> Fault | None:
        """As ``Backend.classify``."""
        ...

    def native(self, kind: type[N]) -> N | None:
        """As ``Backend.native``."""
        ...
