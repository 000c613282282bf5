"""Group commit: while one flush is under way, everything that comes meanwhile goes into the next.

In: items of many callers. Out: for each caller the results of its own items, in order. No
latency is added when idle, and batches grow by themselves under load. A flush whose reply was
lost is sent again under the same number, so that it takes effect once; when the broker stays
away for longer than ``patience`` seconds, every caller of that flush gets the error.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs

from qcore.errors import Indeterminate, Unavailable
from qcore.policy import backoff
from qcore.sansio import Program

__all__ = ["Lane", "Pause", "Send", "committing", "next_batch"]

I = TypeVar("I")  # noqa: E741  (input and output read best as one letter each)
O = TypeVar("O")  # noqa: E741


@attrs.frozen
class Send:
    """Send the flush, again if need be."""


@attrs.frozen
class Pause:
    """Let ``seconds`` pass. The reply says whether to go on, or the connection is closing."""

    seconds: float


def committing(
    patience: float, monotonic: Callable[[], float], *, replay: bool
) -> Program[Send | Pause, Any]:
    """Send one flush until it is answered or ``patience`` seconds are over.

    Args:
        patience: Seconds to go on trying.
        monotonic: Tells the time.
        replay: Whether a flush may be sent again although it may have been done.

    Raises:
        Unavailable: If it was certainly never done.
        Indeterminate: If it may have been done.
    """
    deadline = monotonic() + patience
    failed: Indeterminate | Unavailable | None = None
    failures = 0
    while True:
        try:
            return (yield Send())
        except Indeterminate as error:
            failed = error
            if not replay:
                raise
        except Unavailable as error:
            # Once in doubt, a later refusal says nothing about the first try.
            failed = failed if isinstance(failed, Indeterminate) else error
        remaining = deadline - monotonic()
        if remaining <= 0 or not (yield Pause(min(backoff(failures), remaining))):
            raise failed
        failures += 1


@attrs.define(eq=False)
class _Call(Generic[I, O]):
    """One caller's items and, later, their results or the error."""

    items: Sequence[I]
    results: Sequence[O] | None = None
    error: BaseException | None = None
    gone: bool = False

    @property
    def answered(self) -> bool:
        return self.results is not None or self.error is not None

    def outcome(self) -> Sequence[O]:
        if self.results is not None:
            return self.results
        raise self.error or Indeterminate("the thread that sent this batch was interrupted")


def next_batch(
    waiting: deque[Any],
    items_of: Callable[[Any], Sequence[I]],
    weight: Callable[[I], int],
    most: int,
) -> list[Any]:
    """Take from ``waiting`` the calls that fit into one flush together, at least one."""
    batch: list[Any] = []
    room = most
    while waiting:
        cost = sum(map(weight, items_of(waiting[0])))
        if batch and cost > room:
            break
        room -= cost
        batch.append(waiting.popleft())
    return batch


class Lane(Generic[I, O]):
    """Shares the round trips of many threads.

    Args:
        flush: Sends a batch and returns one result for each item.
        most: How much one flush may weigh.
        weight: What one item weighs; 1 by default.
        orphaned: Gets the results of a caller that was interrupted meanwhile.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[I]], Sequence[O]],
        most: int,
        weight: Callable[[I], int] = lambda _: 1,
        orphaned: Callable[[Sequence[O]], None] | None = None,
    ) -> None:
        self._flush = flush
        self._most = most
        self._weight = weight
        self._orphaned = orphaned
        self._waiting: deque[_Call[I, O]] = deque()
        self._turn = threading.Lock()

    def submit(self, items: Sequence[I]) -> Sequence[O]:
        """Send ``items`` with whatever else is waiting, and return their results.

        Raises:
            QcoreError: What the flush raised; all callers that shared it get the same.
        """
        call = _Call[I, O](items)
        self._waiting.append(call)
        try:
            # Whoever gets the turn flushes for all that queued up behind the last one.
            with self._turn:
                while not call.answered:
                    self._flush_next()
        except BaseException:
            call.gone = True
            self._hand_back(call)
            raise
        return call.outcome()

    def finish(self, timeout: float) -> None:
        """Let the flush that is under way end, for at most ``timeout`` seconds."""
        if self._turn.acquire(timeout=timeout):
            self._turn.release()

    def _flush_next(self) -> None:
        batch: list[_Call[I, O]] = next_batch(
            self._waiting, lambda call: call.items, self._weight, self._most
        )
        try:
            results = self._flush([item for call in batch for item in call.items])
        except Exception as error:  # noqa: BLE001  (every caller raises it)
            for call in batch:
                call.error = error
            return
        except BaseException:
            for call in batch:
                call.error = Indeterminate("the thread that sent this batch was interrupted")
            raise
        start = 0
        for call in batch:
            call.results = results[start : start + len(call.items)]
            start += len(call.items)
            if call.gone:
                self._hand_back(call)

    def _hand_back(self, call: _Call[I, O]) -> None:
        if self._orphaned is not None and call.results is not None:
            self._orphaned(call.results)
