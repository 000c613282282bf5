"""A queue whose calls are written down, and what the checker may expect of its adapter.

In go calls as programs make them, out come the same results; beside it a history grows, which
``checker.check`` judges. The facades of qcore are used as they are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import qcore

from .bed import Bed
from .checker import Report, check
from .guarantees import Guarantees, Order
from .history import History, load
from .scenes import LONG, at_once
from .waiting import scaled

__all__ = ["RecordedQueue", "busy_hour"]


class RecordedQueue:
    """A queue, and the history of the one who uses it.

    Args:
        queue: What is used.
        history: Where it is written down.
        lease: Seconds of a lease, where there are any.
    """

    def __init__(self, queue: qcore.Queue, history: History, lease: float | None = None) -> None:
        self._queue = queue
        self._history = history
        self._lease = lease

    def enqueue(self, job_id: str, *, priority: int = 0) -> None:
        """Store a job, whose id stands in its body."""
        name = self._queue.name
        with self._history.call("enqueue", queue=name, job=job_id, priority=priority) as call:
            self._queue.enqueue(job_id.encode(), priority=priority)
            call.ok()

    def reserve(self, timeout: float) -> qcore.Delivery | None:
        """Take a job."""
        details: dict[str, Any] = {} if self._lease is None else {"lease": self._lease}
        with self._history.call("reserve", queue=self._queue.name, **details) as call:
            delivery = self._queue.reserve(timeout=timeout, lease=self._lease)
            if delivery is None:
                call.empty()
            else:
                call.ok(
                    job=delivery.job.body.decode(),
                    receipt=delivery.receipt.token,
                    number=delivery.number,
                    attempt=delivery.attempt,
                )
        return delivery

    def ack(self, delivery: qcore.Delivery) -> None:
        """End a delivery."""
        job, receipt = delivery.job.body.decode(), delivery.receipt.token
        with self._history.call("ack", queue=self._queue.name, job=job, receipt=receipt) as call:
            delivery.ack()
            call.ok()


def busy_hour(bed: Bed, folder: Path, share: int, priorities: Sequence[int] = (0,)) -> Report:
    """Let three producers with ``share`` jobs each, and four consumers, work side by side.

    Half of the jobs are there before anybody consumes: in a queue that is always short nothing
    can be overtaken.

    Returns:
        What the checker says; that every job was acked has been seen.
    """

    def produce(name: str, jobs: int) -> int:
        with History(folder, name) as history:
            queue = RecordedQueue(bed.connect().queue("q"), history)
            for number in range(jobs):
                queue.enqueue(f"{name}-{number}", priority=random.choice(priorities))
        return 0

    def consume(name: str) -> int:
        acked = 0
        with History(folder, name) as history:
            queue = RecordedQueue(bed.connect().queue("q"), history, LONG)
            while delivery := queue.reserve(scaled(1.0)):
                queue.ack(delivery)
                acked += 1
        return acked

    bed.queue().subscribe()
    early = share // 2
    at_once(*(partial(produce, f"early{number}", early) for number in range(3)))
    producers = [partial(produce, f"late{number}", share - early) for number in range(3)]
    consumers = [partial(consume, f"c{number}") for number in range(4)]
    acked = sum(at_once(*producers, *consumers))
    if acked != 3 * share:
        raise AssertionError(f"{acked} of {3 * share} jobs were acked")
    return check(load(folder), _promised(bed))


def _promised(bed: Bed) -> Guarantees:
    """What the adapter claims, in the checker's words."""
    return Guarantees(
        order=Order(str(bed.capabilities.value("order"))),
        priority=bed.claims("priority"),
        attempts=bed.claims("attempts"),
        fenced=bed.claims("fenced"),
        lease=LONG if bed.claims("lease") else None,
        slack=bed.slack,
    )
