"""Group commit for the tasks of one event loop; see ``commit`` for what it promises.

A flush runs in a task of its own, so that cancelling one caller disturbs no other. A caller that
was cancelled before its items were sent leaves them unsent; results that arrive for a caller
that has gone are given to ``orphaned``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from qcore.consume.commit import Call, closed, next_batch
from qcore.errors import Indeterminate

__all__ = ["AsyncLane"]

I = TypeVar("I")  # noqa: E741  (input and output read best as one letter each)
O = TypeVar("O")  # noqa: E741


@attrs.define(eq=False)
class _TaskCall(Call[I], Generic[I, O]):
    """A call with the future of its results."""

    answer: asyncio.Future[Sequence[O]] = attrs.field(kw_only=True)


class AsyncLane(Generic[I, O]):
    """Shares the round trips of many tasks.

    Args:
        flush: Sends a batch and returns one result for each item.
        most: How much one flush may weigh.
        orphaned: Gets the results of a caller that was cancelled meanwhile.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[I]], Awaitable[Sequence[O]]],
        most: int,
        orphaned: Callable[[Sequence[O]], None] | None = None,
    ) -> None:
        self._flush = flush
        self._most = most
        self._orphaned = orphaned
        self._waiting: deque[_TaskCall[I, O]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        """How many calls stand in line, those under way left out."""
        return len(self._waiting)

    async def submit(
        self, items: Sequence[I], *, weight: int | None = None, kind: object = None
    ) -> Sequence[O]:
        """Send ``items`` with whatever else is waiting, and return their results.

        Args:
            items: What to send.
            weight: What they weigh; one each by default.
            kind: Only calls of one kind share a flush.

        Raises:
            QcoreError: What the flush raised; all callers that shared it get the same.
            Closed: If the lane was closed before they were sent.
        """
        if self._closed:
            raise closed()
        answer: asyncio.Future[Sequence[O]] = asyncio.get_running_loop().create_future()
        weight = len(items) if weight is None else weight
        call: _TaskCall[I, O] = _TaskCall(items, weight, kind, answer=answer)
        self._waiting.append(call)
        self._start()
        try:
            return await answer
        except asyncio.CancelledError:
            call.gone = True
            # The answer may have come in the very moment of the cancellation.
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                self._hand_back(answer.result())
            raise

    async def finish(self) -> None:
        """Let all that is waiting be sent, and refuse whatever comes later."""
        while self._task is not None:
            await asyncio.wait([self._task])
        self._closed = True

    def abandon(self) -> None:
        """End the flush that is under way, and refuse whatever waits and whatever comes later."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())
            self._task.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        """Go on with what came meanwhile, also when the task was cancelled before its first step.

        Whoever cancels all tasks of a loop at its end still wants those to settle their jobs.
        """
        self._task = None
        if self._closed:
            _fail(self._waiting, closed())
            self._waiting.clear()
        elif self._waiting:
            self._start()

    async def _drain(self) -> None:
        while batch := next_batch(self._waiting, self._most):
            try:
                await self._flush_batch(batch)
            except BaseException:
                _fail(batch, Indeterminate("the task that sent this batch was cancelled"))
                raise

    async def _flush_batch(self, batch: Sequence[_TaskCall[I, O]]) -> None:
        try:
            results = await self._flush([item for call in batch for item in call.items])
        except Exception as error:  # noqa: BLE001  (every caller raises it)
            _fail(batch, error)
        else:
            self._hand_out(batch, results)

    def _hand_out(self, batch: Sequence[_TaskCall[I, O]], results: Sequence[O]) -> None:
        start = 0
        for call in batch:
            part = results[start : start + len(call.items)]
            start += len(call.items)
            if call.answer.done():
                self._hand_back(part)
            else:
                call.answer.set_result(part)

    def _hand_back(self, results: Sequence[O]) -> None:
        if self._orphaned is not None:
            self._orphaned(results)


def _fail(calls: Iterable[_TaskCall[I, O]], error: Exception) -> None:
    for call in calls:
        if not call.answer.done():
            call.answer.set_exception(error)
