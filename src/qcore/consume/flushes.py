"""The flushes of one session: lanes by operation and queue, numbers, patience; for threads.

In: a function that sends one batch under a number. Out: a lane that shares it among callers.
While the broker is away a flush is tried again within ``patience`` seconds; ``hurry`` ends that.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import attrs

from qcore.backend import Fault, Flush
from qcore.consume.commit import Lane, Pause, Send, closed, committing
from qcore.consume.faults import explaining
from qcore.errors import QcoreError
from qcore.log import BROKER_BACK, BROKER_LOST, Logger
from qcore.sansio import Program, run

__all__ = ["FlushItems", "Flushes", "Terms"]

T = TypeVar("T")

FlushItems = Callable[[Sequence[Any], Flush], Sequence[Any]]
"""Sends a batch under a number and gives one result for each item."""


@attrs.frozen
class Terms:
    """What flushes go by.

    Attributes:
        patience: Seconds that a call is tried while the broker is away.
        monotonic: Tells the time.
        classify: What an error of the backend means.
        most: Items in one flush.
        replay: Whether a flush may be sent again although it may have been done.
        log: Where to say that the broker was lost, and is back.
    """

    patience: float
    monotonic: Callable[[], float]
    classify: Callable[[BaseException], Fault | None]
    most: int
    replay: bool
    log: Logger

    def committing(self, *, replay: bool, insist: bool) -> Program[Send | Pause, Any]:
        """The program of one flush."""
        return committing(self.patience, self.monotonic, replay=replay, insist=insist)


class Flushes:
    """The lanes of one session.

    Args:
        terms: What they go by.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lanes: dict[tuple[str, str], Lane[Any, Any]] = {}
        # A signal handler may ask for a lane while the thread below it makes one.
        self._lock = threading.RLock()
        self._hurried = threading.Event()
        self._finished = False
        self._away = False

    def lane(
        self,
        name: str,
        queue: str,
        flush: FlushItems,
        orphaned: Callable[[Sequence[Any]], None] | None = None,
    ) -> Lane[Any, Any]:
        """The lane of one operation on one queue.

        Args:
            name: The operation; a session has few, since brokers keep an answer for each.
            queue: The queue.
            flush: Sends a batch.
            orphaned: Gets results that nobody is there for any more. With it, a broker that is
                away is not waited for: the caller goes on asking for as long as it likes.

        Raises:
            Closed: If the lanes were finished.
        """
        lane = self._lanes.get((name, queue))
        if lane is None:
            with self._lock:
                if self._finished:
                    raise closed()
                send = partial(self._send, name, itertools.count(1), flush, orphaned)
                fresh = Lane[Any, Any](send, self._terms.most, orphaned)
                lane = self._lanes.setdefault((name, queue), fresh)
        return lane

    def insist(self, function: Callable[[], T], *, repeatable: bool) -> T:
        """Call until it is answered or patience is over, if in doubt only what is repeatable."""

        def perform(step: Send | Pause) -> Any:
            return self.rest(step.seconds) if isinstance(step, Pause) else function()

        result: T = run(self._terms.committing(replay=repeatable, insist=True), perform)
        return result

    def rest(self, seconds: float) -> bool:
        """Let time pass while the broker is away; whether to go on then."""
        if not self._away:
            self._away = True
            self._terms.log.warning(BROKER_LOST)
        return not self._hurried.wait(seconds)

    def hurry(self) -> None:
        """Try nothing twice from now on: what cannot be done at once fails."""
        self._hurried.set()

    def finish(self, names: Sequence[str]) -> None:
        """Send what is waiting, lanes of these names in this order, and refuse what comes later."""
        deadline = self._terms.monotonic() + self._terms.patience
        for name in names:
            with self._lock:
                self._finished = name == names[-1]
                lanes = [lane for key, lane in self._lanes.items() if key[0] == name]
            for lane in lanes:
                lane.finish(max(0.0, deadline - self._terms.monotonic()))

    def _send(
        self,
        name: str,
        numbers: Iterator[int],
        flush: FlushItems,
        orphaned: Callable[[Sequence[Any]], None] | None,
        items: Sequence[Any],
    ) -> Sequence[Any]:
        """Send one flush under a number of its own, again if need be."""
        number = Flush(name, next(numbers))

        def perform(step: Send | Pause) -> Any:
            if isinstance(step, Pause):
                return self.rest(step.seconds)
            return self._tried(flush, items, number)

        replay, insist = self._terms.replay, orphaned is None
        try:
            results: Sequence[Any] = run(
                self._terms.committing(replay=replay, insist=insist), perform
            )
        except QcoreError:
            raise
        except BaseException:
            if orphaned is not None and replay:
                # What came for the interrupted call is asked for once more, to be given back.
                with suppress(Exception):
                    orphaned(flush(items, number))
            raise
        return results

    def _tried(self, flush: FlushItems, items: Sequence[Any], number: Flush) -> Sequence[Any]:
        with explaining(self._terms.classify, f"{number.lane} jobs"):
            results = flush(items, number)
        if self._away:
            self._away = False
            self._terms.log.info(BROKER_BACK)
        return results
