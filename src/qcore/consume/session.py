"""A session: one open backend with its lanes, for callers that block.

In: calls of many threads. Out: their own results, or errors of qcore's tree. A session belongs
to one process; its nonce, locks and sockets are never used on the other side of a fork.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

from qcore.backend import (
    Backend,
    Enqueue,
    Enqueued,
    Flush,
    Records,
    Settle,
    Taken,
    TakeRequest,
    Verb,
)
from qcore.capabilities import Capabilities
from qcore.consume.commit import Effect, Pause, Reentered, closed
from qcore.consume.ending import Await, Recall, ending
from qcore.consume.faults import explaining
from qcore.consume.flushes import Flushes, Terms
from qcore.consume.leftovers import Leftovers
from qcore.consume.reserve import Admit, Discard, Found, Take, Wait, reserving, shares
from qcore.consume.unanswered import Unanswered
from qcore.errors import Closed, QcoreError
from qcore.log import JOB_UNFIT, Logger
from qcore.record import Record
from qcore.sansio import run

__all__ = ["LANES", "RING_AGAIN", "Session", "Stopped", "check", "tokens_of", "weight_of"]

P = ParamSpec("P")
T = TypeVar("T")

LANES = ("enqueue", "take", "settle")
"""The lanes of a queue; what a take brings too late is released by a settle, so that ends last."""

RING_AGAIN = 0.005
"""Seconds until waits that were about to begin when they were interrupted are interrupted again."""


class Stopped(Exception):
    """A reserve was told to stop looking; never leaves qcore."""


def tokens_of(parts: Sequence[Found]) -> list[str]:
    """The tokens of all jobs that a take brought."""
    return [job.token for part in parts for job in part.taken.jobs]


def weight_of(steps: Sequence[Settle]) -> int:
    """What steps weigh in a flush: one each, and one for whatever follows them or is told."""
    return sum(1 + len(step.further) + len(step.told) for step in steps)


def check(stopped: Callable[[], bool]) -> None:
    """Stop looking if told so.

    Raises:
        Stopped: If ``stopped`` says so.
    """
    if stopped():
        raise Stopped


class Session:
    """One open backend.

    Args:
        backend: What to talk to; opened by ``open``.
        patience: Seconds that a call is tried while the broker is away.
        monotonic: Tells the time.
    """

    def __init__(self, backend: Backend, patience: float, monotonic: Callable[[], float]) -> None:
        self.backend = backend
        self.patience = patience
        self._monotonic = monotonic
        self._closing = threading.Event()
        self._closer = threading.Lock()
        self._waits: set[object] = set()
        self._leftovers = Leftovers()
        self._unanswered = Unanswered()
        self._opened: tuple[Capabilities, Flushes] | None = None
        self._log = Logger()

    @property
    def capabilities(self) -> Capabilities:
        """What the broker promises, as found at open."""
        if self._opened is None:
            raise Closed("the session is not open yet")
        return self._opened[0]

    @property
    def _flushes(self) -> Flushes:
        if self._opened is None:
            raise Closed("the session is not open yet")
        return self._opened[1]

    def open(self) -> Capabilities:
        """Reach the broker.

        Raises:
            Unavailable: If it cannot be reached now.
            Rejected: If it refuses this user.
        """
        found = self.look("open the connection", self.backend.open)
        self._log = Logger(adapter=found.adapter)
        terms = Terms(
            patience=self.patience,
            monotonic=self._monotonic,
            classify=self.backend.classify,
            most=found.limits.batch,
            replay="replay" in found,
            log=self._log,
        )
        self._opened = found, Flushes(terms)
        return found

    def enqueue(self, queue: str, jobs: Sequence[Enqueue]) -> Sequence[Enqueued]:
        """Store jobs, in one flush with those of other threads."""
        self.check_open()
        flush = partial(self.backend.enqueue, queue)
        return self._flushes.lane("enqueue", queue, flush).submit(jobs)

    def settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """End or extend deliveries, in one flush with those of other threads."""
        self.check_open()
        return self._settle(queue, steps)

    def _settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        flush = partial(self.backend.settle, queue)
        return self._flushes.lane("settle", queue, flush).submit(steps, weight=weight_of(steps))

    def take(self, queue: str, request: TakeRequest) -> Taken:
        """Take jobs, in one flush with other threads that want the same lease."""
        return (self._take(queue, request)).taken

    def _take(self, queue: str, request: TakeRequest) -> Found:
        """As ``take``, and when it was asked for.

        Does not wait for a broker that is away: the reserve loop does, which knows for how long.
        """
        self.check_open()
        flush, orphaned = partial(self._flush_takes, queue), partial(self._orphaned, queue)
        lane = self._flushes.lane("take", queue, flush, orphaned)
        kind = request.lease_ms, request.started
        parts: Sequence[Found] = lane.submit([request], weight=request.limit, kind=kind)
        return parts[0]

    def _flush_takes(
        self, queue: str, requests: Sequence[TakeRequest], number: Flush
    ) -> Sequence[Found]:
        limits = [one.limit for one in requests]
        whole = TakeRequest(sum(limits), requests[0].lease_ms, requests[0].started)
        # A lease begins when the try is sent that is answered.
        asked_at = self._monotonic()
        taken = self._leftovers.take(queue, whole.limit)
        if taken is None:
            number = self._unanswered.numbered(queue, whole, number)
            taken = self.backend.take(queue, whole, number)
            self._unanswered.answered(queue)
        *parts, surplus = shares(limits, Found(taken, asked_at))
        if surplus.taken.jobs:
            self._orphaned(queue, [surplus])
        if self._closing.is_set():
            # Nobody will be there to work on them.
            self._orphaned(queue, parts)
            raise closed()
        return parts

    def _orphaned(self, queue: str, parts: Sequence[Found]) -> None:
        if self.capabilities.value("settlement") == "automatic":
            self._leftovers.keep(queue, [part.taken for part in parts])
            self.backend.interrupt()
        else:
            self.give_back(queue, tokens_of(parts))

    def give_back(self, queue: str, tokens: Sequence[str]) -> bool:
        """Release deliveries that nobody will work on; if that fails, their lease ends them.

        Returns:
            Whether it was tried: not in a signal handler that interrupted a settle of its thread.
        """
        if tokens and "release" in self.capabilities:
            try:
                self._settle(queue, [Settle(token, Verb.RELEASE) for token in tokens])
            except Reentered:
                return False
            except QcoreError:
                return True
        return True

    def reserve(
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

        def perform(step: Take | Discard | Wait | Pause) -> Any:
            nonlocal woken
            if isinstance(step, Discard):
                return self._discard(queue, step)
            if isinstance(step, Wait):
                self._wait(queue, step.seconds, stopped)
                woken = True
                return None
            check(stopped)
            if isinstance(step, Take):
                found = self._take(queue, request)
                woken = False
                return found
            if self._flushes.rest(step.seconds):
                return True
            raise closed()

        try:
            return run(reserving(timeout, self._monotonic, admit), perform)
        except BaseException:
            if woken:
                self._pass_on(queue, request)
            raise

    def _pass_on(self, queue: str, request: TakeRequest) -> None:
        """Look once more for a caller who was woken and then left: what woke it is for others."""
        with suppress(QcoreError):
            self._orphaned(queue, [self._take(queue, request)])

    def _wait(self, queue: str, seconds: float, stopped: Callable[[], bool]) -> None:
        with self._waiting():
            check(stopped)
            self.look("wait for jobs", self.backend.wait, [queue], seconds)

    def await_end(self, timeout: float | None, queue: str, job_id: str) -> Record | None:
        """Look at a record until its job has ended, at most ``timeout`` seconds.

        Returns:
            The record as it was seen last; ``None`` if there is none.
        """
        backend = cast("Records", self.backend)

        def perform(step: Recall | Await | Pause) -> Any:
            if isinstance(step, Recall):
                return self.look("read the record", backend.records, queue, [job_id])[0]
            if isinstance(step, Await):
                with self._waiting():
                    return self.look("await the end", backend.wait_end, queue, job_id, step.seconds)
            if self._flushes.rest(step.seconds):
                return True
            raise closed()

        return run(ending(timeout, self._monotonic), perform)

    @contextmanager
    def _waiting(self) -> Generator[None]:
        """Be among those whom ``interrupt`` wakes."""
        wait = object()
        try:
            self._waits.add(wait)
            yield
        finally:
            self._waits.discard(wait)

    def _discard(self, queue: str, step: Discard) -> None:
        self._log.warning(JOB_UNFIT, queue=queue, count=len(step.unfit), reason=step.unfit[0].note)
        if "dead_letter" not in self.capabilities:
            return
        try:
            self._settle(queue, step.unfit)
        except QcoreError:
            raise
        except BaseException:
            self.give_back(queue, step.fit)
            raise

    def insist(self, doing: str, function: Callable[[], T], *, effect: Effect) -> T:
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
        return self._flushes.insist(again, repeatable=effect is Effect.SAME)

    def look(self, doing: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the backend once for what changes nothing, with its errors mapped.

        Raises:
            Closed: If the session is closed.
            QcoreError: What the backend's error means; never ``Indeterminate``.
        """
        return self._call(doing, partial(function, *args, **kwargs), looking=True)

    def _call(self, doing: str, function: Callable[[], T], *, looking: bool) -> T:
        self.check_open()
        try:
            with explaining(self.backend.classify, doing, looking=looking):
                return function()
        except Exception:
            self.check_open()
            raise

    def check_open(self) -> None:
        """Refuse to go on after ``close``.

        Raises:
            Closed: If the session is closed.
        """
        if self._closing.is_set():
            raise closed()

    def interrupt(self) -> None:
        """Wake every wait, so that it looks whether it should stop; safe in a signal handler."""
        waits = set(self._waits)
        self.backend.interrupt()
        if waits:
            ringing = threading.Thread(target=self._ring, args=(waits,), name="qcore-bell")
            ringing.daemon = True
            ringing.start()

    def _ring(self, waits: set[object]) -> None:
        # A wait that was only about to begin has not heard the first ring.
        time.sleep(RING_AGAIN)
        while not waits.isdisjoint(self._waits):
            self.backend.interrupt()
            time.sleep(RING_AGAIN)

    def hurry(self) -> None:
        """Try nothing twice from now on: what cannot be done at once fails."""
        if self._opened is not None:
            self._flushes.hurry()

    def close(self) -> None:
        """Wake waiters, let flushes end within ``patience``, and close the backend.

        Raises:
            QcoreError: What an error of the backend means; it is closed all the same.
        """
        with self._closer:
            if self._closing.is_set():
                return
            self._closing.set()
        self.hurry()
        self.interrupt()
        with explaining(self.backend.classify, "close the connection"):
            if self._opened is not None:
                self._flushes.finish(LANES)
            self.backend.close()
