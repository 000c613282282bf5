"""Bridges lift an adapter of one colour to the other.

``lift_inline`` is for backends whose calls return at once (memory); ``lift_threads`` is for those
that do I/O and costs a thread hop a call (about 0.1 ms). Either way ``wait`` sleeps in a thread;
cancelling it interrupts the backend, which wakes every waiter early and loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from qcore.backend import (
    AsyncBackend,
    Backend,
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    Inspection,
    PeekedJob,
    QueueStats,
    Settle,
    Taken,
    TakeRequest,
)
from qcore.capabilities import Capabilities
from qcore.states import State

__all__ = ["lift_inline", "lift_threads"]

N = TypeVar("N")
T = TypeVar("T")

_MOST_THREADS = 256


def lift_inline(backend: Backend) -> AsyncBackend:
    """An async backend that calls ``backend`` on the event loop; only ``wait`` leaves it."""
    return _Lifted(backend, threads=False)


def lift_threads(backend: Backend) -> AsyncBackend:
    """An async backend that makes every call of ``backend`` in a thread."""
    return _Lifted(backend, threads=True)


class _Lifted:
    def __init__(self, backend: Backend, *, threads: bool) -> None:
        self._backend = backend
        self._threads = threads
        self._pool = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="qcore-bridge")

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        if not self._threads:
            return function(*args)
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    @property
    def _inspection(self) -> Inspection:
        return cast("Inspection", self._backend)

    async def open(self) -> Capabilities:
        return await self._call(self._backend.open)

    def interrupt(self) -> None:
        self._backend.interrupt()

    async def close(self) -> None:
        self._backend.interrupt()
        await self._call(self._backend.close)
        self._pool.shutdown(wait=False)

    async def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Sequence[Enqueued]:
        return await self._call(self._backend.enqueue, queue, jobs, flush)

    async def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        return await self._call(self._backend.take, queue, request, flush)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pool, self._backend.wait, queues, timeout)
        except asyncio.CancelledError:
            self._backend.interrupt()
            raise

    async def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        return await self._call(self._backend.settle, queue, steps, flush)

    async def health(self) -> Mapping[str, Any]:
        return await self._call(self._backend.health)

    def classify(self, error: BaseException) -> Fault | None:
        return self._backend.classify(error)

    def native(self, kind: type[N]) -> N | None:
        return self._backend.native(kind)

    async def queues(self) -> Sequence[str]:
        return await self._call(self._inspection.queues)

    async def stats(self, queue: str) -> QueueStats:
        return await self._call(self._inspection.stats, queue)

    async def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        return await self._call(self._inspection.peek, queue, state, limit, offset)

    async def purge(self, queue: str, state: State) -> int:
        return await self._call(self._inspection.purge, queue, state)

    async def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        return await self._call(self._inspection.redrive, queue, ids)

    async def remove(self, queue: str, ids: Sequence[str]) -> int:
        return await self._call(self._inspection.remove, queue, ids)
