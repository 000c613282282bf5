"""Waiting for the end of a job: everybody who waits is told, and no end is missed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.scenes import LONG, at_once, pass_time, taken
from qcore_conformance.suite.tracking import ending, need, tracked
from qcore_conformance.waiting import scaled

_SOON = 2.5
"""Seconds in which one who waits is woken, but does not look again by itself."""


@invariant("Q-STATE-05")
@pytest.mark.parametrize("end", ["done", "dead", "dropped"])
def test_whoever_waits_for_an_end_is_woken_by_it(bed: Bed, end: str) -> None:
    """All who wait, for whatever ends the job; nobody looks again and again meanwhile."""
    act = ending(bed, end)
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    waits = [bed.start(lambda: _waited(bed, job_id)) for _ in range(4)]
    pass_time(time.monotonic() + scaled(0.3))

    act(queue)
    ended = time.monotonic()

    for wait in waits:
        record, came = wait.result(scaled(20.0))
        assert record.state == end
        bed.figure(f"late after the end of a job that is {end}", (came - ended) * 1000, "ms")
        assert came - ended <= bed.poll + scaled(_SOON), "nobody told those who waited"


def _waited(bed: Bed, job_id: str) -> tuple[qcore.Record, float]:
    return bed.connect().queue("q").wait(job_id, timeout=scaled(20.0)), time.monotonic()


def _acking(delivery: qcore.Delivery) -> Callable[[], qcore.Record | None]:
    def act() -> None:
        delivery.ack()

    return act


def _waiting(queue: qcore.Queue, job_id: str) -> Callable[[], qcore.Record | None]:
    return lambda: queue.wait(job_id, timeout=scaled(20.0))


@invariant("Q-STATE-05")
def test_an_end_that_came_before_is_not_missed(bed: Bed) -> None:
    """Nor one that comes just as somebody begins to wait."""
    need(bed)
    queue, other = tracked(bed), bed.connect().queue("q")
    for _ in range(bed.many(40)):
        job_id = queue.enqueue(b"")
        delivery = taken(queue, LONG)

        _, record = at_once(_acking(delivery), _waiting(other, job_id))

        assert record is not None
        assert record.state == "done"
        assert queue.wait(job_id, timeout=0.0).state == "done"


@invariant("Q-STATE-05")
def test_a_wait_that_ends_first_is_no_error(bed: Bed) -> None:
    """It gives the record as it is; also when other jobs end meanwhile."""
    need(bed)
    queue = tracked(bed)
    queue.enqueue_many([b"other"] * 3)
    others = [taken(queue, LONG) for _ in range(3)]
    job_id = queue.enqueue(b"wanted")
    busy = bed.start(lambda: queue.ack_many(others))
    began = time.monotonic()

    record = bed.connect().queue("q").wait(job_id, timeout=scaled(0.5))

    assert (record.id, record.state, record.has_ended) == (job_id, "ready", False)
    assert time.monotonic() - began >= scaled(0.5) - 0.01
    busy.result(scaled(20.0))
    with pytest.raises(qcore.InvalidInput, match="timeout"):
        queue.wait(job_id, timeout=-1.0)


@invariant("Q-STATE-05", "Q-CLOSE-01")
def test_closing_ends_a_wait(bed: Bed) -> None:
    """Whoever waits is told, and soon."""
    need(bed)
    queue, other = tracked(bed), bed.connect()
    job_id = queue.enqueue(b"")
    waiting = bed.start(lambda: other.queue("q").wait(job_id))
    pass_time(time.monotonic() + scaled(0.3))

    other.close()

    with pytest.raises(qcore.Closed):
        waiting.result(scaled(20.0))


@invariant("Q-STATE-05", "Q-ATT-02")
def test_a_job_that_dies_in_the_hands_of_others_ends_a_wait(bed: Bed) -> None:
    """When no worker comes back from it, whoever waits hears that it is dead."""
    need(bed, "lease", "dead_letter", "attempts")
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    waiting = bed.start(lambda: _waited(bed, job_id))

    for _ in range(20):
        if queue.reserve(timeout=bed.lease + bed.recovery, lease=bed.lease) is None:
            break
    record, _ = waiting.result(scaled(20.0))

    assert record.state == "dead"
    assert record.crashes
    if bed.claims("peek"):
        (dead,) = queue.peek("dead")
        assert (record.attempt, record.crashes) == (dead.attempt, dead.crashes)
    assert {one.outcome for one in record.tries[:-1]} == {"expire"}
    assert record.tries[-1].outcome == "exhaust"
