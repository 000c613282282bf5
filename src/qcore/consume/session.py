"""A session: one open backend with its lanes, for callers that block.

In: calls of many threads. Out: their own results, or errors of qcore's tree. A session belongs
to one process; its nonce, locks and sockets are never used on the other side of a fork.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from qcore.backend import (
    Backend,
    Enqueue,
    Enqueued,
    Flush,
    Settle,
    Taken,
    TakeRequest,
    Verb,
)
from qcore.capabilities import Capabilities
from qcore.consume.commit import Lane, Pause, Send, committing
from qcore.consume.faults import explained
from qcore.consume.reserve import Admit, Discard, Found, Take, Wait, combined, reserving
from qcore.errors import Closed, QcoreError
from qcore.log import BROKER_BACK, BROKER_LOST, JOB_UNFIT, Logger
from qcore.sansio import run

__all__ = ["Session", "Stopped"]

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """A reserve was told to stop looking; never leaves qcore."""


class Session:
    """One open backend.

    Args:
        backend: What to talk to; opened by ``open``.
        patience: Seconds that a flush is tried while the broker is away.
        monotonic: Tells the time.
    """

    def __init__(self, backend: Backend, patience: float, monotonic: Callable[[], float]) -> None:
        self.backend = backend
        self._patience = patience
        self._monotonic = monotonic
        self._lanes: dict[tuple[str, str], Lane[Any, Any]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._capabilities: Capabilities | None = None
        self._away = False
        self._log = Logger()

    @property
    def capabilities(self) -> Capabilities:
        """What the broker promises, as found at open."""
        if self._capabilities is None:
            raise Closed("the session is not open yet")
        return self._capabilities

    def open(self) -> Capabilities:
        """Reach the broker.

        Raises:
            Unavailable: If it cannot be reached now.
            Rejected: If it refuses this user.
        """
        self._capabilities = self.call("open the connection", self.backend.open)
        self._log = Logger(adapter=self._capabilities.adapter)
        return self._capabilities

    def enqueue(self, queue: str, jobs: Sequence[Enqueue]) -> Sequence[Enqueued]:
        """Store jobs, in one flush with those of other threads."""

        def flush(items: Sequence[Enqueue], number: Flush) -> Sequence[Enqueued]:
            return self.backend.enqueue(queue, items, number)

        return self._lane("enqueue", queue, flush).submit(jobs)

    def settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """End or extend deliveries, in one flush with those of other threads."""

        def flush(items: Sequence[Settle], number: Flush) -> Sequence[bool]:
            return self.backend.settle(queue, items, number)

        return self._lane("settle", queue, flush).submit(steps)

    def take(self, queue: str, request: TakeRequest) -> Taken:
        """Take jobs, in one flush with other threads that want the same lease."""

        def flush(limits: Sequence[int], number: Flush) -> Sequence[Taken]:
            whole = TakeRequest(sum(limits), request.lease_ms, request.started)
            return combined(limits, self.backend.take(queue, whole, number))

        def orphaned(parts: Sequence[Taken]) -> None:
            self.give_back(queue, [job.token for part in parts for job in part.jobs])

        name = f"take.{request.lease_ms}.{request.started:d}"
        lane = self._lane(name, queue, flush, weight=lambda limit: limit, orphaned=orphaned)
        parts: Sequence[Taken] = lane.submit([request.limit])
        return parts[0]

    def give_back(self, queue: str, tokens: Sequence[str]) -> None:
        """Release deliveries that nobody will work on; if that fails, their lease ends them."""
        if tokens and "release" in self.capabilities:
            with contextlib.suppress(QcoreError):
                self.settle(queue, [Settle(token, Verb.RELEASE) for token in tokens])

    def reserve(
        self,
        queue: str,
        request: TakeRequest,
        timeout: float | None,
        admit: Admit[T],
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[T]:
        """Take jobs, waiting for them up to ``timeout`` seconds."""

        def perform(step: Take | Discard | Wait | Pause) -> Any:
            if stopped():
                raise Stopped
            if isinstance(step, Take):
                asked_at = self._monotonic()
                return Found(self.take(queue, request), asked_at)
            if isinstance(step, Discard):
                return self._discard(queue, step.steps)
            if isinstance(step, Wait):
                return self.call("wait for jobs", self.backend.wait, [queue], step.seconds)
            return not self._closing.wait(step.seconds)

        return run(reserving(timeout, self._monotonic, admit), perform)

    def _discard(self, queue: str, steps: Sequence[Settle]) -> None:
        self._log.warning(JOB_UNFIT, queue=queue, count=len(steps), reason=steps[0].note)
        if "dead_letter" in self.capabilities:
            self.settle(queue, steps)

    def call(self, doing: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the backend once, with its errors mapped.

        Raises:
            Closed: If the session is closed.
            QcoreError: What the backend's error means.
        """
        self.check_open()
        try:
            return function(*args, **kwargs)
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

    def close(self) -> None:
        """Wake waiters, let flushes end within ``patience``, and close the backend."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self.backend.interrupt()
        deadline = self._monotonic() + self._patience
        for lane in list(self._lanes.values()):
            lane.finish(max(0.0, deadline - self._monotonic()))
        self.backend.close()

    def _lane(
        self,
        name: str,
        queue: str,
        flush: Callable[[Sequence[Any], Flush], Sequence[Any]],
        weight: Callable[[Any], int] = lambda _: 1,
        orphaned: Callable[[Sequence[Any]], None] | None = None,
    ) -> Lane[Any, Any]:
        self.check_open()
        lane = self._lanes.get((name, queue))
        if lane is None:
            numbered = self._numbered(name, flush)
            fresh = Lane[Any, Any](numbered, self.capabilities.limits.batch, weight, orphaned)
            with self._lock:
                lane = self._lanes.setdefault((name, queue), fresh)
        return lane

    def _numbered(
        self, name: str, flush: Callable[[Sequence[Any], Flush], Sequence[Any]]
    ) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """``flush`` with a number for each batch, sent again when its reply is lost."""
        numbers = itertools.count(1)
        replay = "replay" in self.capabilities

        def send(items: Sequence[Any]) -> Sequence[Any]:
            number = Flush(name, next(numbers))

            def perform(step: Send | Pause) -> Any:
                if isinstance(step, Pause):
                    return self._rest(step.seconds)
                return self._tried(name, flush, items, number)

            return run(committing(self._patience, self._monotonic, replay=replay), perform)

        return send

    def _tried(
        self,
        name: str,
        flush: Callable[[Sequence[Any], Flush], Sequence[Any]],
        items: Sequence[Any],
        number: Flush,
    ) -> Sequence[Any]:
        try:
            results = flush(items, number)
        except Exception as error:
            doing = f"{name.partition('.')[0]} jobs"
            raise explained(error, self.backend.classify, doing) from error
        if self._away:
            self._away = False
            self._log.info(BROKER_BACK)
        return results

    def _rest(self, seconds: float) -> bool:
        if not self._away:
            self._away = True
            self._log.warning(BROKER_LOST)
        return not self._closing.wait(seconds)
