"""Bridges lift an adapter of one colour to the other.

``lift_inline`` is for backends whose calls return at once (memory); ``lift_threads`` is for those
that do I/O and costs a thread hop a call (about 0.1 ms). Either way ``wait`` sleeps in a thread,
one for all tasks that wait for the same queues: whatever ends its sleep wakes them all, early for
some, and their takes share a flush. Cancelling a task takes it out; with the last one the backend
is interrupted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from qcore.backend import (
    AsyncBackend,
    Backend,
    Control,
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    Groups,
    History,
    Inspection,
    LoggedJob,
    PeekedJob,
    QueueStats,
    Records,
    Settle,
    Span,
    Start,
    Subscriptions,
    Taken,
    TakeRequest,
)
from qcore.capabilities import Capabilities
from qcore.record import Record
from qcore.states import State

__all__ = ["lift_inline", "lift_threads"]

N = TypeVar("N")
T = TypeVar("T")

_MOST_CALLS = 32
_MOST_WAITS = 256
_RING_AGAIN = 0.005
_SAME_TIME = 0.02
"""Seconds by which a wait may end late rather than have a timer of its own."""


def lift_inline(backend: Backend) -> AsyncBackend:
    """An async backend that calls ``backend`` on the event loop; only ``wait`` leaves it."""
    return _Lifted(backend, threads=False)


def lift_threads(backend: Backend) -> AsyncBackend:
    """An async backend that makes every call of ``backend`` in a thread."""
    return _Lifted(backend, threads=True)


class _Watch:
    """One thread that waits, and the tasks for which it does."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at
        self.tasks: set[asyncio.Future[None]] = set()

    def end(self, thread: asyncio.Future[None]) -> None:
        """Wake the tasks, with the error if there is one."""
        error = None if thread.cancelled() else thread.exception()
        for task in self.tasks:
            if task.done():
                continue
            if error is None:
                task.set_result(None)
            else:
                task.set_exception(error)


class _Waits:
    """The waits of all tasks, in one thread for all that wait for the same."""

    def __init__(self, backend: Backend, wait: Callable[[tuple[str, ...], float], None]) -> None:
        self._backend = backend
        self._wait = wait
        self._pool = ThreadPoolExecutor(_MOST_WAITS, thread_name_prefix="qcore-wait")
        self._watches: dict[tuple[str, ...], _Watch] = {}

    async def wait(self, key: tuple[str, ...], timeout: float) -> None:
        """Sleep until the backend says that it may have come, at most ``timeout`` seconds."""
        loop = asyncio.get_running_loop()
        watch = self._watches.get(key) or self._start(loop, key, timeout)
        task: asyncio.Future[None] = loop.create_future()
        watch.tasks.add(task)
        ends_at = loop.time() + timeout
        try:
            async with asyncio.timeout_at(ends_at if ends_at < watch.ends_at else None):
                await task
        except TimeoutError:
            return
        except asyncio.CancelledError:
            watch.tasks.discard(task)
            self._end_unless_wanted(loop, key, watch)
            raise
        finally:
            watch.tasks.discard(task)

    def _start(
        self, loop: asyncio.AbstractEventLoop, key: tuple[str, ...], timeout: float
    ) -> _Watch:
        watch = self._watches[key] = _Watch(loop.time() + timeout - _SAME_TIME)
        thread = loop.run_in_executor(self._pool, self._wait, key, timeout)

        def ended(thread: asyncio.Future[None]) -> None:
            del self._watches[key]
            watch.end(thread)

        thread.add_done_callback(ended)
        return watch

    def _end_unless_wanted(
        self, loop: asyncio.AbstractEventLoop, key: tuple[str, ...], watch: _Watch
    ) -> None:
        """Interrupt, again if the thread had not begun to wait, until somebody joins or it ends."""
        if self._watches.get(key) is watch and not watch.tasks:
            self._backend.interrupt()
            loop.call_later(_RING_AGAIN, self._end_unless_wanted, loop, key, watch)

    async def close(self) -> None:
        """End every thread."""
        while self._watches:
            self._backend.interrupt()
            await asyncio.sleep(_RING_AGAIN)
        self._pool.shutdown(wait=False)


class _Calls:
    """Threads for calls, no more than calls were under way at one time.

    An executor of many threads starts another if the last call's thread has not come back to it
    yet. So each thread here is an executor of its own, and free as soon as its call is done.
    """

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_MOST_CALLS)
        self._threads: list[ThreadPoolExecutor] = []
        self._free: deque[ThreadPoolExecutor] = deque()

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call it in a thread; one that is cancelled goes on there."""
        async with self._room:
            thread = self._free.pop() if self._free else self._start()
            done = thread.submit(function, *args)
            # Told before the task that waits, which so finds it free for its next call.
            done.add_done_callback(lambda _: self._free.append(thread))
            return await asyncio.wrap_future(done)

    def _start(self) -> ThreadPoolExecutor:
        self._threads.append(thread := ThreadPoolExecutor(1, thread_name_prefix="qcore-call"))
        return thread

    def close(self) -> None:
        """Let every thread end with its call."""
        for thread in self._threads:
            thread.shutdown(wait=False)


class _Lifted:
    def __init__(self, backend: Backend, *, threads: bool) -> None:
        self._backend = backend
        self._threads = threads
        self._calls = _Calls()
        self._waits = _Waits(backend, backend.wait)
        self._ends = _Waits(backend, self._wait_end)

    async def _call(self, function: Callable[..., T], *args: Any) -> T:
        if not self._threads:
            return function(*args)
        return await self._calls.call(function, *args)

    @property
    def _inspection(self) -> Inspection:
        return cast("Inspection", self._backend)

    @property
    def _control(self) -> Control:
        return cast("Control", self._backend)

    @property
    def _subscriptions(self) -> Subscriptions:
        return cast("Subscriptions", self._backend)

    async def open(self) -> Capabilities:
        return await self._call(self._backend.open)

    def interrupt(self) -> None:
        self._backend.interrupt()

    async def close(self) -> None:
        await self._waits.close()
        await self._ends.close()
        await self._call(self._backend.close)
        self._calls.close()

    async def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Sequence[Enqueued]:
        return await self._call(self._backend.enqueue, queue, jobs, flush)

    async def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        return await self._call(self._backend.take, queue, request, flush)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        await self._waits.wait(tuple(queues), timeout)

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

    async def cancel(self, queue: str, job_id: str) -> State | None:
        return await self._call(self._control.cancel, queue, job_id)

    async def reschedule(self, queue: str, job_id: str, delay_ms: int, at_ms: int | None) -> bool:
        return await self._call(self._control.reschedule, queue, job_id, delay_ms, at_ms)

    async def move(self, queue: str, to: str, state: State, limit: int | None) -> int:
        return await self._call(self._control.move, queue, to, state, limit)

    async def pause(self, queue: str) -> None:
        await self._call(self._control.pause, queue)

    async def resume(self, queue: str) -> None:
        await self._call(self._control.resume, queue)

    def _wait_end(self, key: tuple[str, ...], timeout: float) -> None:
        queue, job_id = key
        self._records.wait_end(queue, job_id, timeout)

    @property
    def _records(self) -> Records:
        return cast("Records", self._backend)

    async def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        return await self._call(self._records.records, queue, ids)

    async def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        await self._ends.wait((queue, job_id), timeout)

    async def subscribe(self, queue: str) -> None:
        await self._call(self._subscriptions.subscribe, queue)

    def gaps(self, queue: str) -> int:
        return self._subscriptions.gaps(queue)

    @property
    def _groups(self) -> Groups:
        return cast("Groups", self._backend)

    @property
    def _history(self) -> History:
        return cast("History", self._backend)

    async def begin(self, line: str, start: Start) -> bool:
        return await self._call(self._groups.begin, line, start)

    async def rewind(self, line: str, start: Start) -> bool:
        return await self._call(self._groups.rewind, line, start)

    async def end(self, line: str) -> None:
        await self._call(self._groups.end, line)

    async def groups(self, queue: str) -> Sequence[str]:
        return await self._call(self._groups.groups, queue)

    async def read(self, queue: str, span: Span) -> Sequence[LoggedJob] | None:
        return await self._call(self._history.read, queue, span)

    async def find(self, queue: str, job_id: str) -> LoggedJob | None:
        return await self._call(self._history.find, queue, job_id)
