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
from enum import Enum, auto
from typing import Any, Generic, TypeVar

import attrs

from qcore.errors import Closed, Indeterminate, QcoreError, Unavailable
from qcore.policy import backoff
from qcore.sansio import Program

__all__ = [
    "Call",
    "Effect",
    "Lane",
    "Pause",
    "Reentered",
    "Send",
    "closed",
    "committing",
    "next_batch",
]

I = TypeVar("I")  # noqa: E741  (input and output read best as one letter each)
O = TypeVar("O")  # noqa: E741


@attrs.frozen
class Send:
    """Send the flush, again if need be."""


@attrs.frozen
class Pause:
    """Let ``seconds`` pass. The reply says whether to go on, or the connection is closing."""

    seconds: float


class Effect(Enum):
    """What a call does to the broker, which decides what a lost reply means."""

    NONE = auto()
    """It only looks: no doubt is possible, and it may be made again."""
    SAME = auto()
    """It changes something, and made again comes to the same."""
    ONCE = auto()
    """Made again it would do more, or answer something else."""


def committing(
    patience: float, monotonic: Callable[[], float], *, replay: bool, insist: bool = True
) -> Program[Send | Pause, Any]:
    """Send one flush until it is answered or ``patience`` seconds are over.

    Args:
        patience: Seconds to go on trying.
        monotonic: Tells the time.
        replay: Whether a flush may be sent again although it may have been done.
        insist: Whether one that certainly was not done is sent again as well.

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
        except QcoreError as error:
            if isinstance(failed, Indeterminate):
                # Once in doubt, a later refusal says nothing about the first try.
                if not isinstance(error, Unavailable):
                    raise failed from error
            elif not (insist and isinstance(error, Unavailable)):
                raise
            else:
                failed = error
        remaining = deadline - monotonic()
        if remaining <= 0 or not (yield Pause(min(backoff(failures), remaining))):
            raise failed
        failures += 1


class Reentered(Unavailable):
    """A call was made from a signal handler that interrupted a like call of the same thread."""


@attrs.define(eq=False)
class Call(Generic[I]):
    """What one caller wants to be sent.

    Attributes:
        items: The caller's items; they stay together.
        weight: What they weigh together.
        kind: Only calls of one kind share a flush.
        gone: Whether the caller was interrupted or cancelled meanwhile.
    """

    items: Sequence[I]
    weight: int
    kind: object
    gone: bool = False


C = TypeVar("C", bound=Call[Any])


def next_batch(waiting: deque[C], most: int) -> list[C]:
    """Take from ``waiting`` the calls that fit into one flush together, at least one.

    Calls whose caller has gone are left out: what was never sent need not be.
    """
    batch: list[C] = []
    room = most
    while waiting:
        call = waiting[0]
        if not call.gone:
            if batch and (call.weight > room or call.kind != batch[0].kind):
                break
            room -= call.weight
            batch.append(call)
        waiting.popleft()
    return batch


def closed() -> Closed:
    """The error of everything that comes after ``close``."""
    return Closed("the connection is closed; open a new one")


@attrs.define(eq=False)
class _ThreadCall(Call[I], Generic[I, O]):
    """A call with, later, its results or the error."""

    results: Sequence[O] | None = None
    error: Exception | None = None

    @property
    def answered(self) -> bool:
        return self.results is not None or self.error is not None

    def outcome(self) -> Sequence[O]:
        if self.results is not None:
            return self.results
        raise self.error or Indeterminate("the thread that sent this batch was interrupted")


class Lane(Generic[I, O]):
    """Shares the round trips of many threads.

    Args:
        flush: Sends a batch and returns one result for each item.
        most: How much one flush may weigh.
        orphaned: Gets the results of a caller that was interrupted meanwhile.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[I]], Sequence[O]],
        most: int,
        orphaned: Callable[[Sequence[O]], None] | None = None,
    ) -> None:
        self._flush = flush
        self._most = most
        self._orphaned = orphaned
        self._waiting: deque[_ThreadCall[I, O]] = deque()
        self._turn = threading.Lock()
        self._inside: set[int] = set()
        self._closed = False

    def __len__(self) -> int:
        """How many calls stand in line, those under way left out."""
        return len(self._waiting)

    def submit(
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
            Reentered: If called from a signal handler that interrupted this very call.
        """
        me = threading.get_ident()
        if me in self._inside:
            raise Reentered("a signal handler interrupted a call like this one; do it afterwards")
        weight = len(items) if weight is None else weight
        call: _ThreadCall[I, O] = _ThreadCall(items, weight, kind)
        try:
            self._inside.add(me)
            self._waiting.append(call)
            self._flush_until(call)
        except BaseException:
            call.gone = True
            self._hand_back(call)
            raise
        finally:
            self._inside.discard(me)
        return call.outcome()

    def finish(self, timeout: float) -> None:
        """Send what is waiting, and refuse whatever comes later.

        Args:
            timeout: Seconds to let the flush end that is under way.
        """
        if self._turn.acquire(timeout=timeout):
            try:
                while self._waiting:
                    self._flush_next()
                self._closed = True
            finally:
                self._turn.release()
        self._closed = True

    def _flush_until(self, call: _ThreadCall[I, O]) -> None:
        # Whoever gets the turn flushes for all that queued up behind the last one. A call that is
        # neither answered nor waiting was in the hands of a thread that was interrupted.
        with self._turn:
            while self._waiting and not call.answered:
                if self._closed:
                    raise closed()
                self._flush_next()

    def _flush_next(self) -> None:
        batch = next_batch(self._waiting, self._most)
        if not batch:
            return
        try:
            results = self._flush([item for call in batch for item in call.items])
        except Exception as error:  # noqa: BLE001  (every caller raises it)
            for call in batch:
                call.error = error
            return
        start = 0
        for call in batch:
            call.results = results[start : start + len(call.items)]
            start += len(call.items)
            if call.gone:
                self._hand_back(call)

    def _hand_back(self, call: _ThreadCall[I, O]) -> None:
        if self._orphaned is not None and call.results is not None:
            results, call.results = call.results, None
            self._orphaned(results)
