"""The flushes of one session, for the tasks of one event loop; see ``flushes``."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from qcore.backend import Flush
from qcore.consume.async_commit import AsyncLane
from qcore.consume.commit import Pause, Send, closed
from qcore.consume.faults import explaining
from qcore.consume.flushes import Terms
from qcore.log import BROKER_BACK, BROKER_LOST
from qcore.sansio import arun

__all__ = ["AsyncFlushes", "FlushItemsAsync"]

T = TypeVar("T")

FlushItemsAsync = Callable[[Sequence[Any], Flush], Awaitable[Sequence[Any]]]
"""Sends a batch under a number and gives one result for each item."""


class AsyncFlushes:
    """The lanes of one session.

    Args:
        terms: What they go by.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lanes: dict[tuple[str, str], AsyncLane[Any, Any]] = {}
        self._hurried = asyncio.Event()
        self._finished = False
        self._away = False

    def lane(
        self,
        name: str,
        queue: str,
        flush: FlushItemsAsync,
        orphaned: Callable[[Sequence[Any]], None] | None = None,
    ) -> AsyncLane[Any, Any]:
        """As ``Flushes.lane``.

        Raises:
            Closed: If the lanes were finished.
        """
        lane = self._lanes.get((name, queue))
        if lane is None:
            if self._finished:
                raise closed()
            send = partial(self._send, name, itertools.count(1), flush, insist=orphaned is None)
            lane = AsyncLane[Any, Any](send, self._terms.most, orphaned)
            self._lanes[name, queue] = lane
        return lane

    async def insist(self, function: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """As ``Flushes.insist``."""

        async def perform(step: Send | Pause) -> Any:
            return await (self.rest(step.seconds) if isinstance(step, Pause) else function())

        result: T = await arun(self._terms.committing(replay=repeatable, insist=True), perform)
        return result

    async def rest(self, seconds: float) -> bool:
        """Let time pass while the broker is away; whether to go on then."""
        if not self._away:
            self._away = True
            self._terms.log.warning(BROKER_LOST)
        try:
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        except TimeoutError:
            return True
        return False

    def hurry(self) -> None:
        """Try nothing twice from now on: what cannot be done at once fails."""
        self._hurried.set()

    async def finish(self, names: Sequence[str]) -> None:
        """Send what is waiting, lanes of these names in this order, and refuse what comes later."""
        try:
            async with asyncio.timeout(self._terms.patience):
                for name in names:
                    self._finished = name == names[-1]
                    for key, lane in list(self._lanes.items()):
                        if key[0] == name:
                            await lane.finish()
        except TimeoutError:
            self._finished = True
            for lane in self._lanes.values():
                lane.abandon()

    async def _send(
        self,
        name: str,
        numbers: Iterator[int],
        flush: FlushItemsAsync,
        items: Sequence[Any],
        *,
        insist: bool,
    ) -> Sequence[Any]:
        """Send one flush under a number of its own, again if need be."""
        number = Flush(name, next(numbers))

        async def perform(step: Send | Pause) -> Any:
            if isinstance(step, Pause):
                return await self.rest(step.seconds)
            return await self._tried(flush, items, number)

        program = self._terms.committing(replay=self._terms.replay, insist=insist)
        results: Sequence[Any] = await arun(program, perform)
        return results

    async def _tried(
        self, flush: FlushItemsAsync, items: Sequence[Any], number: Flush
    ) -> Sequence[Any]:
        with explaining(self._terms.classify, f"{number.lane} jobs"):
            results = await flush(items, number)
        if self._away:
            self._away = False
            self._terms.log.info(BROKER_BACK)
        return results
