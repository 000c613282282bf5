"""A small crowd that works while a server is broken under it, and what it remembers of that.

Producers and consumers are threads with connections of their own. They go on whatever happens,
and write down what they were told: which jobs were stored, which came, which were acked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future

import attrs

import qcore

from .bed import Bed
from .waiting import scaled, wait_until

__all__ = ["Crowd", "Handed", "too_early"]


@attrs.frozen
class Handed:
    """One handing out of a job: its id, its number, and when it was asked for and came."""

    job_id: str
    asked_at: float
    came_at: float
    number: int


class Crowd:
    """Two producers and two consumers.

    Args:
        bed: The test bed.
        url: Where their queue is.
        lease: Seconds of a lease.
    """

    def __init__(self, bed: Bed, url: str, lease: float) -> None:
        self._bed = bed
        self._lease = lease
        self._over = threading.Event()
        self._satisfied = threading.Event()
        self.stored: list[str] = []
        self.handed: list[Handed] = []
        self.acked: dict[str, float] = {}
        self._consuming = [self._begin(url, self._consume) for _ in range(2)]
        self._producing = [self._begin(url, self._produce) for _ in range(2)]

    def _begin(self, url: str, act: Callable[[qcore.Queue], None]) -> Future[None]:
        queue = self._bed.connect(url).queue("q")
        return self._bed.start(lambda: act(queue))

    def _produce(self, queue: qcore.Queue) -> None:
        while not self._satisfied.is_set():
            try:
                self.stored.append(queue.enqueue(b"work"))
            except (qcore.Unavailable, qcore.Indeterminate):
                continue
            time.sleep(0.002)

    def _consume(self, queue: qcore.Queue) -> None:
        while not self._over.is_set():
            asked_at = time.monotonic()
            try:
                found = queue.reserve(timeout=0.2, lease=self._lease)
                if found is None:
                    continue
                self.note(found, asked_at)
                found.ack()
            except (qcore.Unavailable, qcore.Indeterminate, qcore.LeaseLost):
                continue
            self.acked[found.job.id] = time.monotonic()

    def note(self, found: qcore.Delivery, asked_at: float) -> None:
        """Remember that a job came."""
        came = Handed(found.job.id, asked_at, time.monotonic(), found.number)
        self.handed.append(came)

    def go_on(self, count: int = 20) -> None:
        """Wait until so many more jobs were stored and acked."""
        stored, acked = len(self.stored) + count, len(self.acked) + count
        wait_until(
            lambda: len(self.stored) >= stored and len(self.acked) >= acked,
            within=20.0,
            what="the crowd stores and acks jobs",
        )

    def stop(self, queue: qcore.Queue) -> None:
        """Let it come to rest, and take what is left until nothing can be hidden any more."""
        self._satisfied.set()
        for one in self._producing:
            one.result(scaled(30.0))
        wait_until(lambda: not queue.stats().ready, within=30.0, what="nothing is ready")
        self._over.set()
        for one in self._consuming:
            one.result(scaled(30.0))
        self._drain(queue)

    def _drain(self, queue: qcore.Queue) -> None:
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < self._lease + self._bed.recovery:
            asked_at = time.monotonic()
            if (found := queue.reserve(timeout=0.1)) is None:
                if not queue.stats().held:
                    return
                continue
            self.note(found, asked_at)
            found.ack()
            quiet_since = self.acked[found.job.id] = time.monotonic()

    @property
    def lost(self) -> set[str]:
        """Jobs that were stored, as somebody was told, and never came."""
        return set(self.stored) - {one.job_id for one in self.handed}

    @property
    def risen(self) -> list[Handed]:
        """What came although it was asked for after its ack had returned."""
        return [
            one
            for one in self.handed
            if one.job_id in self.acked and one.asked_at > self.acked[one.job_id]
        ]

    def doubled(self, slack: float) -> list[Handed]:
        """What was handed out again before the lease of the time before can have been over."""
        return too_early(self.handed, self._lease - slack)


def too_early(handed: Iterable[Handed], after: float) -> list[Handed]:
    """What was handed out again sooner than so many seconds behind the time before.

    In the order of the broker: what it sent before it stood still may come last.
    """
    last: dict[str, Handed] = {}
    found: list[Handed] = []
    for one in sorted(handed, key=lambda each: (each.number, each.came_at)):
        before = last.get(one.job_id)
        if before is not None and one.came_at - before.asked_at < after:
            found.append(one)
        last[one.job_id] = one
    return found
