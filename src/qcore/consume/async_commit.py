"""Group commit for the tasks of one event loop; see ``commit`` for what it promises.

A flush runs in a task of its own, so that cancelling one caller disturbs no other. A caller that
was cancelled before its items were sent leaves them unsent, unless there is an ``orphaned`` to
give the results of such callers to.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import attrs

from qcore.consume.commit import next_batch

__all__ = ["AsyncLane"]

I = TypeVar("I")  # noqa: E741  (input and output read best as one letter each)
O = TypeVar("O")  # noqa: E741


@attrs.define(eq=False)
class _Call(Generic[I, O]):
    items: Sequence[I]
    answer: asyncio.Future[Sequence[O]]


class AsyncLane(Generic[I, O]):
    """Shares the round trips of many tasks.

    Args:
        flush: Sends a batch and returns one result for each item.
        most: How much one flush may weigh.
        weight: What one item weighs; 1 by default.
        orphaned: Gets the results of a caller that was cancelled meanwhile.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[I]], Awaitable[Sequence[O]]],
        most: int,
        weight: Callable[[I], int] = lambda _: 1,
        orphaned: Callable[[Sequence[O]], Awaitable[None]] | None = None,
    ) -> None:
        self._flush = flush
        self._most = most
        self._weight = weight
        self._orphaned = orphaned
        self._waiting: deque[_Call[I, O]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, items: Sequence[I]) -> Sequence[O]:
        """Send ``items`` with whatever else is waiting, and return their results.

        Raises:
            QcoreError: What the flush raised; all callers that shared it get the same.
        """
        loop = asyncio.get_running_loop()
        call = _Call[I, O](items, loop.create_future())
        self._waiting.append(call)
        if self._task is None:
            self._task = loop.create_task(self._drain())
        return await call.answer

    async def idle(self) -> None:
        """Return when nothing is waiting and no flush is under way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        try:
            while self._waiting:
                await self._flush_next()
        finally:
            self._task = None

    async def _flush_next(self) -> None:
        batch: list[_Call[I, O]] = next_batch(
            self._waiting, lambda call: call.items, self._weight, self._most
        )
        if self._orphaned is None:
            batch = [call for call in batch if not call.answer.done()]
        # Where results can be handed back they are fetched even for a caller that has gone: a
        # wait may have left something at the broker that only the next take clears up.
        if not batch:
            return
        try:
            results = await self._flush([item for call in batch for item in call.items])
        except BaseException as error:
            _fail(batch, error)
            if not isinstance(error, Exception):
                raise
            return
        start = 0
        for call in batch:
            part = results[start : start + len(call.items)]
            start += len(call.items)
            await self._answer(call, part)

    async def _answer(self, call: _Call[I, O], part: Sequence[O]) -> None:
        if not call.answer.done():
            call.answer.set_result(part)
        elif self._orphaned is not None:
            await self._orphaned(part)


def _fail(batch: Sequence[_Call[I, O]], error: BaseException) -> None:
    for call in batch:
        if call.answer.done():
            continue
        if isinstance(error, asyncio.CancelledError):
            call.answer.cancel()
        else:
            call.answer.set_exception(error)
