"""A session for the tasks of one event loop; see ``session`` for what it does."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from qcore.backend import (
    AsyncBackend,
    Enqueue,
    Enqueued,
    Flush,
    Settle,
    Taken,
    TakeRequest,
    Verb,
)
from qcore.capabilities import Capabilities
from qcore.consume.async_commit import AsyncLane
from qcore.consume.commit import Pause, Send, committing
from qcore.consume.faults import explained
from qcore.consume.reserve import Admit, Discard, Found, Take, Wait, combined, reserving
from qcore.consume.session import Stopped
from qcore.errors import Closed, QcoreError
from qcore.log import BROKER_BACK, BROKER_LOST, JOB_UNFIT, Logger
from qcore.sansio import arun

__all__ = ["AsyncSession"]

P = ParamSpec("P")
T = TypeVar("T")


class AsyncSession:
    """One open backend, for asyncio.

    Args:
        backend: What to talk to; opened by ``open``.
        patience: Seconds that a flush is tried while the broker is away.
        monotonic: Tells the time.
    """

    def __init__(
        self, backend: AsyncBackend, patience: float, monotonic: Callable[[], float]
    ) -> None:
        self.backend = backend
        self._patience = patience
        self._monotonic = monotonic
        self._lanes: dict[tuple[str, str], AsyncLane[Any, Any]] = {}
        self._closing = asyncio.Event()
        self._capabilities: Capabilities | None = None
        self._away = False
        self._log = Logger()

    @property
    def capabilities(self) -> Capabilities:
        """What the broker promises, as found at open."""
        if self._capabilities is None:
            raise Closed("the session is not open yet")
        return self._capabilities

    async def open(self) -> Capabilities:
        """Reach the broker.

        Raises:
            Unavailable: If it cannot be reached now.
            Rejected: If it refuses this user.
        """
        self._capabilities = await self.call("open the connection", self.backend.open)
        self._log = Logger(adapter=self._capabilities.adapter)
        return self._capabilities

    async def enqueue(self, queue: str, jobs: Sequence[Enqueue]) -> Sequence[Enqueued]:
        """Store jobs, in one flush with those of other tasks."""

        async def flush(items: Sequence[Enqueue], number: Flush) -> Sequence[Enqueued]:
            return await self.backend.enqueue(queue, items, number)

        return await self._lane("enqueue", queue, flush).submit(jobs)

    async def settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """End or extend deliveries, in one flush with those of other tasks."""

        async def flush(items: Sequence[Settle], number: Flush) -> Sequence[bool]:
            return await self.backend.settle(queue, items, number)

        return await self._lane("settle", queue, flush).submit(steps)

    async def take(self, queue: str, request: TakeRequest) -> Taken:
        """Take jobs, in one flush with other tasks that want the same lease."""

        async def flush(limits: Sequence[int], number: Flush) -> Sequence[Taken]:
            whole = TakeRequest(sum(limits), request.lease_ms, request.started)
            return combined(limits, await self.backend.take(queue, whole, number))

        async def orphaned(parts: Sequence[Taken]) -> None:
            await self.give_back(queue, [job.token for part in parts for job in part.jobs])

        name = f"take.{request.lease_ms}.{request.started:d}"
        lane = self._lane(name, queue, flush, weight=lambda limit: limit, orphaned=orphaned)
        parts: Sequence[Taken] = await lane.submit([request.limit])
        return parts[0]

    async def give_back(self, queue: str, tokens: Sequence[str]) -> None:
        """Release deliveries that nobody will work on; if that fails, their lease ends them."""
        if tokens and "release" in self.capabilities:
            with contextlib.suppress(QcoreError):
                await self.settle(queue, [Settle(token, Verb.RELEASE) for token in tokens])

    async def reserve(
        self,
        queue: str,
        request: TakeRequest,
        timeout: float | None,
        admit: Admit[T],
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[T]:
        """Take jobs, waiting for them up to ``timeout`` seconds."""

        async def perform(step: Take | Discard | Wait | Pause) -> Any:
            if stopped():
                raise Stopped
            if isinstance(step, Take):
                asked_at = self._monotonic()
                return Found(await self.take(queue, request), asked_at)
            if isinstance(step, Discard):
                return await self._discard(queue, step.steps)
            if isinstance(step, Wait):
                return await self.call("wait for jobs", self.backend.wait, [queue], step.seconds)
            return await self._open_after(step.seconds)

        return await arun(reserving(timeout, self._monotonic, admit), perform)

    async def _discard(self, queue: str, steps: Sequence[Settle]) -> None:
        self._log.warning(JOB_UNFIT, queue=queue, count=len(steps), reason=steps[0].note)
        if "dead_letter" in self.capabilities:
            await self.settle(queue, steps)

    async def call(
        self, doing: str, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call the backend once, with its errors mapped.

        Raises:
            Closed: If the session is closed.
            QcoreError: What the backend's error means.
        """
        self.check_open()
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            self.check_open()
            raise explained(error, self.backend.classify, doing) from error

    def check_open(self) -> None:
        """Refuse to go on after ``close``.

        Raises:
            Closed: If the session is closed.
        """
        if self._closing.is_set():
            raise Closed("the connection is closed; open a new one")

    def interrupt(self) -> None:
        """Wake every wait, so that it looks whether it should stop."""
        self.backend.interrupt()

    async def close(self) -> None:
        """Wake waiters, let flushes end within ``patience``, and close the backend."""
        if self._closing.is_set():
            return
        self._closing.set()
        self.backend.interrupt()
        flushes = asyncio.gather(*(lane.idle() for lane in self._lanes.values()))
        try:
            await asyncio.wait_for(flushes, self._patience)
        except TimeoutError:
            self._log.warning(BROKER_LOST)
        await self.backend.close()

    def _lane(
        self,
        name: str,
        queue: str,
        flush: Callable[[Sequence[Any], Flush], Awaitable[Sequence[Any]]],
        weight: Callable[[Any], int] = lambda _: 1,
        orphaned: Callable[[Sequence[Any]], Awaitable[None]] | None = None,
    ) -> AsyncLane[Any, Any]:
        self.check_open()
        lane = self._lanes.get((name, queue))
        if lane is None:
            numbered = self._numbered(name, flush)
            most = self.capabilities.limits.batch
            lane = AsyncLane[Any, Any](numbered, most, weight, orphaned)
            self._lanes[name, queue] = lane
        return lane

    def _numbered(
        self, name: str, flush: Callable[[Sequence[Any], Flush], Awaitable[Sequence[Any]]]
    ) -> Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]:
        """``flush`` with a number for each batch, sent again when its reply is lost."""
        numbers = itertools.count(1)
        replay = "replay" in self.capabilities

        async def send(items: Sequence[Any]) -> Sequence[Any]:
            number = Flush(name, next(numbers))

            async def perform(step: Send | Pause) -> Any:
                if isinstance(step, Pause):
                    return await self._rest(step.seconds)
                return await self._tried(name, flush, items, number)

            return await arun(committing(self._patience, self._monotonic, replay=replay), perform)

        return send

    async def _tried(
        self,
        name: str,
        flush: Callable[[Sequence[Any], Flush], Awaitable[Sequence[Any]]],
        items: Sequence[Any],
        number: Flush,
    ) -> Sequence[Any]:
        try:
            results = await flush(items, number)
        except Exception as error:
            doing = f"{name.partition('.')[0]} jobs"
            raise explained(error, self.backend.classify, doing) from error
        if self._away:
            self._away = False
            self._log.info(BROKER_BACK)
        return results

    async def _rest(self, seconds: float) -> bool:
        if not self._away:
            self._away = True
            self._log.warning(BROKER_LOST)
        return await self._open_after(seconds)

    async def _open_after(self, seconds: float) -> bool:
        """Whether the session is still open when ``seconds`` have passed."""
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return True
        return False
