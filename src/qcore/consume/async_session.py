"""A session for the tasks of one event loop; see ``session`` for what it does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from qcore.backend import (
    AsyncBackend,
    AsyncRecords,
    Enqueue,
    Enqueued,
    Flush,
    Settle,
    Taken,
    TakeRequest,
    Verb,
)
from qcore.capabilities import Capabilities
from qcore.consume.async_flushes import AsyncFlushes
from qcore.consume.commit import Effect, Pause, closed
from qcore.consume.ending import Await, Recall, ending
from qcore.consume.faults import explaining
from qcore.consume.flushes import Terms
from qcore.consume.leftovers import Leftovers
from qcore.consume.reserve import Admit, Discard, Found, Take, Wait, reserving, shares
from qcore.consume.session import LANES, RING_AGAIN, check, tokens_of, weight_of
from qcore.consume.unanswered import Unanswered
from qcore.errors import Closed, QcoreError
from qcore.log import JOB_UNFIT, Logger
from qcore.record import Record
from qcore.sansio import arun

__all__ = ["AsyncSession"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSession:
    """One open backend, for asyncio.

    Args:
        backend: What to talk to; opened by ``open``.
        patience: Seconds that a call is tried while the broker is away.
        monotonic: Tells the time.
    """

    def __init__(
        self, backend: AsyncBackend, patience: float, monotonic: Callable[[], float]
    ) -> None:
        self.backend = backend
        self.patience = patience
        self._monotonic = monotonic
        self._closing: asyncio.Task[None] | None = None
        self._waits: set[object] = set()
        self._leftovers = Leftovers()
        self._unanswered = Unanswered()
        self._errands: set[asyncio.Task[None]] = set()
        self._opened: tuple[Capabilities, AsyncFlushes] | None = None
        self._log = Logger()

    @property
    def capabilities(self) -> Capabilities:
        """What the broker promises, as found at open."""
        if self._opened is None:
            raise Closed("the session is not open yet")
        return self._opened[0]

    @property
    def _flushes(self) -> AsyncFlushes:
        if self._opened is None:
            raise Closed("the session is not open yet")
        return self._opened[1]

    async def open(self) -> Capabilities:
        """Reach the broker.

        Raises:
            Unavailable: If it cannot be reached now.
            Rejected: If it refuses this user.
        """
        found = await self.look("open the connection", self.backend.open)
        self._log = Logger(adapter=found.adapter)
        terms = Terms(
            patience=self.patience,
            monotonic=self._monotonic,
            classify=self.backend.classify,
            most=found.limits.batch,
            replay="replay" in found,
            log=self._log,
        )
        self._opened = found, AsyncFlushes(terms)
        return found

    async def enqueue(self, queue: str, jobs: Sequence[Enqueue]) -> Sequence[Enqueued]:
        """Store jobs, in one flush with those of other tasks."""
        self.check_open()
        flush = partial(self.backend.enqueue, queue)
        return await self._flushes.lane("enqueue", queue, flush).submit(jobs)

    async def settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """End or extend deliveries, in one flush with those of other tasks."""
        self.check_open()
        return await self._settle(queue, steps)

    async def _settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        flush = partial(self.backend.settle, queue)
        lane = self._flushes.lane("settle", queue, flush)
        return await lane.submit(steps, weight=weight_of(steps))

    async def take(self, queue: str, request: TakeRequest) -> Taken:
        """Take jobs, in one flush with other tasks that want the same lease."""
        return (await self._take(queue, request)).taken

    async def _take(self, queue: str, request: TakeRequest) -> Found:
        """As ``take``, and when it was asked for.

        Does not wait for a broker that is away: the reserve loop does, which knows for how long.
        """
        self.check_open()
        flush, orphaned = partial(self._flush_takes, queue), partial(self._orphaned, queue)
        lane = self._flushes.lane("take", queue, flush, orphaned)
        kind = request.lease_ms, request.started
        parts: Sequence[Found] = await lane.submit([request], weight=request.limit, kind=kind)
        return parts[0]

    async def _flush_takes(
        self, queue: str, requests: Sequence[TakeRequest], number: Flush
    ) -> Sequence[Found]:
        limits = [one.limit for one in requests]
        whole = TakeRequest(sum(limits), requests[0].lease_ms, requests[0].started)
        # A lease begins when the try is sent that is answered.
        asked_at = self._monotonic()
        taken = self._leftovers.take(queue, whole.limit)
        if taken is None:
            number = self._unanswered.numbered(queue, whole, number)
            taken = await self.backend.take(queue, whole, number)
            self._unanswered.answered(queue)
        *parts, surplus = shares(limits, Found(taken, asked_at))
        if surplus.taken.jobs:
            self._orphaned(queue, [surplus])
        if self._closing is not None:
            # Nobody will be there to work on them.
            await self._release(queue, tokens_of(parts))
            raise closed()
        return parts

    def _orphaned(self, queue: str, parts: Sequence[Found]) -> None:
        if self.capabilities.value("settlement") == "automatic":
            self._leftovers.keep(queue, [part.taken for part in parts])
            self.backend.interrupt()
        else:
            _ = self._errand(self._release(queue, tokens_of(parts)))

    async def give_back(self, queue: str, tokens: Sequence[str]) -> None:
        """Release deliveries that nobody will work on; if that fails, their lease ends them.

        Goes on when the caller is cancelled.
        """
        await asyncio.shield(self._errand(self._release(queue, tokens)))

    async def _release(self, queue: str, tokens: Sequence[str]) -> None:
        if tokens and "release" in self.capabilities:
            with suppress(QcoreError):
                await self._settle(queue, [Settle(token, Verb.RELEASE) for token in tokens])

    def _errand(self, errand: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that must not end with the task that wants it; ``close`` waits for it."""
        task = asyncio.get_running_loop().create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    async def reserve(
        self,
        queue: str,
        request: TakeRequest,
        timeout: float | None,
        admit: Admit[T],
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[T]:
        """Take jobs, waiting for them up to ``timeout`` seconds.

        Raises:
            Stopped: As soon as ``stopped`` says so.
        """
        woken = False

        async def perform(step: Take | Discard | Wait | Pause) -> Any:
            nonlocal woken
            if isinstance(step, Discard):
                return await self._discard(queue, step)
            if isinstance(step, Wait):
                await self._wait(queue, step.seconds, stopped)
                woken = True
                return None
            check(stopped)
            if isinstance(step, Take):
                found = await self._take(queue, request)
                woken = False
                return found
            if await self._flushes.rest(step.seconds):
                return True
            raise closed()

        try:
            return await arun(reserving(timeout, self._monotonic, admit), perform)
        except BaseException:
            if woken:
                _ = self._errand(self._pass_on(queue, request))
            raise

    async def _pass_on(self, queue: str, request: TakeRequest) -> None:
        """Look once more for a caller who was woken and then left: what woke it is for others."""
        with suppress(QcoreError):
            self._orphaned(queue, [await self._take(queue, request)])

    async def _wait(self, queue: str, seconds: float, stopped: Callable[[], bool]) -> None:
        with self._waiting():
            check(stopped)
            await self.look("wait for jobs", self.backend.wait, [queue], seconds)

    async def await_end(self, timeout: float | None, queue: str, job_id: str) -> Record | None:
        """Look at a record until its job has ended, at most ``timeout`` seconds.

        Returns:
            The record as it was seen last; ``None`` if there is none.
        """
        backend = cast("AsyncRecords", self.backend)

        async def perform(step: Recall | Await | Pause) -> Any:
            if isinstance(step, Recall):
                return (await self.look("read the record", backend.records, queue, [job_id]))[0]
            if isinstance(step, Await):
                with self._waiting():
                    await self.look("await the end", backend.wait_end, queue, job_id, step.seconds)
                return None
            if await self._flushes.rest(step.seconds):
                return True
            raise closed()

        return await arun(ending(timeout, self._monotonic), perform)

    @contextmanager
    def _waiting(self) -> Generator[None]:
        """Be among those whom ``interrupt`` wakes."""
        wait = object()
        try:
            self._waits.add(wait)
            yield
        finally:
            self._waits.discard(wait)

    async def _discard(self, queue: str, step: Discard) -> None:
        self._log.warning(JOB_UNFIT, queue=queue, count=len(step.unfit), reason=step.unfit[0].note)
        if "dead_letter" not in self.capabilities:
            return
        try:
            await self._settle(queue, step.unfit)
        except asyncio.CancelledError:
            _ = self._errand(self._release(queue, step.fit))
            raise

    async def insist(
        self, doing: str, function: Callable[[], Awaitable[T]], *, effect: Effect
    ) -> T:
        """Call the backend, within patience again while it is away.

        Args:
            doing: What is done, for messages.
            function: Calls it.
            effect: What it does to the broker.

        Raises:
            QcoreError: What the backend's error means.
        """
        self.check_open()
        again = partial(self._call, doing, function, looking=effect is Effect.NONE)
        return await self._flushes.insist(again, repeatable=effect is Effect.SAME)

    async def look(
        self, doing: str, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call the backend once for what changes nothing, with its errors mapped.

        Raises:
            Closed: If the session is closed.
            QcoreError: What the backend's error means; never ``Indeterminate``.
        """
        return await self._call(doing, partial(function, *args, **kwargs), looking=True)

    async def _call(self, doing: str, function: Callable[[], Awaitable[T]], *, looking: bool) -> T:
        self.check_open()
        try:
            with explaining(self.backend.classify, doing, looking=looking):
                return await function()
        except Exception:
            self.check_open()
            raise

    def check_open(self) -> None:
        """Refuse to go on after ``close``.

        Raises:
            Closed: If the session is closed.
        """
        if self._closing is not None:
            raise closed()

    def interrupt(self) -> None:
        """Wake every wait, so that it looks whether it should stop."""
        self._ring(set(self._waits))

    def _ring(self, waits: set[object]) -> None:
        self.backend.interrupt()
        # A wait that was only about to begin has not heard it.
        if waits := waits & self._waits:
            asyncio.get_running_loop().call_later(RING_AGAIN, self._ring, waits)

    def hurry(self) -> None:
        """Try nothing twice from now on: what cannot be done at once fails."""
        if self._opened is not None:
            self._flushes.hurry()

    async def close(self) -> None:
        """Wake waiters, let flushes end within ``patience``, and close the backend.

        Goes on when the caller is cancelled; who calls again waits for the same end.

        Raises:
            QcoreError: What an error of the backend means; it is closed all the same.
        """
        if self._closing is None:
            self._closing = asyncio.get_running_loop().create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self.hurry()
        self.interrupt()
        with explaining(self.backend.classify, "close the connection"):
            if self._errands:
                await asyncio.wait(self._errands, timeout=self.patience)
            if self._opened is not None:
                await self._flushes.finish(LANES)
            await self.backend.close()
