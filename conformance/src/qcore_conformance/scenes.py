"""What scenarios have in common: acting at the same time, jobs that must come or must not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import qcore

from .bed import Bed
from .waiting import scaled

__all__ = [
    "CLOCKS",
    "LONG",
    "at_once",
    "drained",
    "endings",
    "lined_up",
    "pass_time",
    "quiet",
    "taken",
    "taking_ahead",
]

T = TypeVar("T")

LONG = 60.0
"""Seconds of a lease that does not end during a test."""
CLOCKS = 0.01
"""Seconds by which two clocks of one machine may disagree about an interval."""
_MUST_HAPPEN = 10.0
_MUST_NOT_HAPPEN = 0.2


def at_once(*actions: Callable[[], T]) -> list[T]:
    """Do all of this at the same time, each in a thread of its own; the results are in order."""
    barrier = Barrier(len(actions))

    def act(action: Callable[[], T]) -> T:
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(act, actions))


def taken(queue: qcore.Queue, lease: float | None = None) -> qcore.Delivery:
    """Take a job that must come.

    Raises:
        AssertionError: If none came in time.
    """
    delivery = queue.reserve(timeout=scaled(_MUST_HAPPEN), lease=lease)
    if delivery is None:
        raise AssertionError(f"no job came out of {queue!r} in {scaled(_MUST_HAPPEN):g} s")
    return delivery


def quiet(queue: qcore.Queue, seconds: float | None = None) -> bool:
    """Whether no job comes, for as long as one would need that should not."""
    timeout = scaled(_MUST_NOT_HAPPEN) if seconds is None else seconds
    return queue.reserve(timeout=timeout) is None


def drained(queue: qcore.Queue) -> list[qcore.Delivery]:
    """Take and ack jobs until no more come; gives what was taken."""
    found: list[qcore.Delivery] = []
    while batch := queue.reserve_many(100, timeout=scaled(_MUST_NOT_HAPPEN)):
        queue.ack_many(batch)
        found += batch
    return found


def lined_up(bed: Bed, jobs: Iterable[T]) -> list[T]:
    """What came or will come, for a comparison: in order only if the adapter claims to keep it."""
    found = list(jobs)
    return found if bed.claims("order:fifo_single") else sorted(found, key=repr)


def endings(bed: Bed) -> list[qcore.Verb]:
    """The verbs that end a delivery, as far as the adapter has them; ack comes first."""
    verbs = (qcore.Verb.ACK, qcore.Verb.RELEASE, qcore.Verb.RETRY, qcore.Verb.DEAD_LETTER)
    return [verb for verb in verbs if verb is qcore.Verb.ACK or bed.claims(verb)]


def pass_time(until: float) -> None:
    """Let time pass until a moment of ``time.monotonic``, where nothing can be waited for."""
    time.sleep(max(0.0, until - time.monotonic()))


def taking_ahead(consumer: qcore.Consumer, queue: qcore.Queue, count: int) -> qcore.Delivery:
    """Make a consumer take ahead: it meets short jobs first, then ``count`` others.

    Returns:
        The first of the others; the rest lies in the consumer's hands, unless it takes only what
        it works on.
    """
    queue.enqueue_many([b"short"] * 10)
    for _ in range(5):
        next(consumer).ack()
    queue.enqueue_many([b"%d" % number for number in range(count)])
    while (delivery := next(consumer)).job.body == b"short":
        delivery.ack()
    return delivery
