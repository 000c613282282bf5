"""Delays: never early, hardly late, whether anybody is idle or everybody is busy."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.scenes import CLOCKS, LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled

_EARLY_ROUNDING = 0.001 + CLOCKS
"""Seconds: brokers count whole milliseconds, and their clock is not ours."""
_DUE = (0.05, 0.35, 0.2, 0.1, 0.5, 0.0)


@invariant("Q-DELAY-01")
def test_a_delayed_job_comes_when_it_is_due(bed: Bed) -> None:
    """To consumers that wait for it, in the order of when they are due."""
    waiting, producing = bed.connect().queue("q"), bed.queue()
    late: list[float] = []

    for _ in range(bed.many(5, least=2)):
        due = dict(_delayed(producing))
        while due:
            delivery = taken(waiting)
            late.append(_lateness(*due.pop(delivery.job.id)))
            delivery.ack()

    _judge(bed, "idle", late)


def _delayed(queue: qcore.Queue) -> Iterator[tuple[str, tuple[float, float]]]:
    """Enqueue jobs with delays; gives for each when it may come and when it has to."""
    for delay in _DUE:
        before = time.monotonic()
        job_id = queue.enqueue(b"", delay=delay)
        yield job_id, (before + delay, time.monotonic() + delay)


def _lateness(least: float, most: float) -> float:
    """Seconds that a job comes late which comes now; below zero only if it is early."""
    now = time.monotonic()
    assert now >= least - _EARLY_ROUNDING, f"{least - now:g} s early"
    return max(0.0, now - most)


def _judge(bed: Bed, consumers: str, late: list[float]) -> None:
    bed.spread(f"lateness of delayed jobs, consumers {consumers}", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + bed.slack
    assert max(late) <= bed.poll + bed.slack + scaled(1.0)


@invariant("Q-DELAY-01")
def test_a_delayed_job_does_not_wait_for_a_crowd_of_others(bed: Bed) -> None:
    """With a consumer that always finds something else to do."""
    queue, late = bed.queue(), list[float]()
    due = dict(_delayed(queue))
    grows, steps = _goes_first(bed), itertools.count()
    # Whoever does not say that what is due goes first may leave it for the end of each round.
    others = [b"other"] * (100 if grows else 10)
    spare, deadline = 0, time.monotonic() + scaled(10.0)

    while due:
        assert time.monotonic() < deadline, f"{len(due)} delayed jobs never came"
        delivery = None if grows and next(steps) % 50 == 0 else queue.reserve(timeout=0.0)
        if delivery is None:
            queue.enqueue_many(others)
            spare += len(others)
            continue
        delivery.ack()
        if delivery.job.id in due:
            late.append(_lateness(*due.pop(delivery.job.id)))
        else:
            spare -= 1

    if grows and not spare:
        raise Unknown("there was nothing else to do when the delayed jobs came")
    _judge(bed, "saturated", late)


def _goes_first(bed: Bed) -> bool:
    """Whether the adapter claims that a due job is taken before those that came later."""
    in_order = bed.claims("order:fifo_single")
    return in_order and bed.capabilities.value("reentry") in ("head", "before_new")


@invariant("Q-DELAY-01")
def test_no_delay_and_a_past_moment_mean_now(bed: Bed) -> None:
    """Such a job can be taken by the very next call."""
    queue, now = bed.queue(), datetime.now(UTC)
    moments = (0, 1.0, time.time() - 60.0, now - timedelta(minutes=1), now - timedelta(days=9999))
    jobs = [qcore.NewJob(b"", at=moment) for moment in moments]

    sent = queue.enqueue_many([*jobs, qcore.NewJob(b"", delay=0), qcore.NewJob(b"", delay=0.0)])

    batch = queue.reserve_many(10, timeout=0.0)
    assert sorted(delivery.job.id for delivery in batch) == sorted(sent)


@invariant("Q-DELAY-01")
@pytest.mark.parametrize("kind", ["datetime", "seconds"])
def test_a_job_for_a_moment_comes_at_that_moment(bed: Bed, kind: str) -> None:
    """By the broker's clock, which is near ours at least."""
    queue = bed.queue()
    moment = time.time() + 0.4
    in_words = datetime.fromtimestamp(moment, UTC) if kind == "datetime" else moment

    queue.enqueue(b"", at=in_words)

    taken(queue).ack()
    late = time.time() - moment
    bed.figure("lateness of a job for a moment", round(late * 1000, 3), "ms")
    assert -bed.slack <= late <= bed.poll + bed.slack + scaled(1.0)


@invariant("Q-DELAY-01")
@pytest.mark.parametrize("delay", [-1, -0.001, float("-inf")])
def test_a_negative_delay_is_an_error(bed: Bed, delay: float) -> None:
    """It is neither now nor dropped."""
    queue = bed.queue()

    with pytest.raises(qcore.InvalidInput):
        queue.enqueue(b"", delay=delay)
    with pytest.raises(qcore.InvalidInput):
        queue.enqueue_many([b"", qcore.NewJob(b"", delay=delay)])

    assert quiet(queue, 0.0)


@invariant("Q-DELAY-01")
def test_a_retry_comes_when_it_is_due(bed: Bed) -> None:
    """Its delay counts from the retry on."""
    if not bed.claims("retry"):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim 'retry'")
    queue = bed.queue()
    queue.enqueue(b"")
    delivery = taken(queue)
    before = time.monotonic()

    delivery.retry(0.3)

    most = time.monotonic() + 0.3
    again = taken(queue)
    late = _lateness(before + 0.3, most)
    bed.figure("lateness of a retry", round(late * 1000, 3), "ms")
    again.ack()
    assert late <= bed.poll + bed.slack + scaled(1.0)
    assert drained(queue) == []


@invariant("Q-DELAY-02")
def test_many_that_promote_at_once_make_one_copy_of_each_job_ready(bed: Bed) -> None:
    """Whoever takes sees to what is due, and then they all do at the same moment."""
    queue = bed.queue()
    queues = [bed.connect().queue("q") for _ in range(8)]
    lease = LONG if bed.claims("lease") else None
    due = time.monotonic() + 0.3
    jobs = queue.enqueue_many([qcore.NewJob(b"", delay=0.3)] * 40)

    pass_time(due + bed.slack)
    came = at_once(*(partial(_all_of, one, lease) for one in queues))

    found = [job for jobs_of_one in came for job in jobs_of_one]
    found += [delivery.job.id for delivery in drained(queue)]
    assert sorted(found) == sorted(jobs)


def _all_of(queue: qcore.Queue, lease: float | None) -> list[str]:
    """The ids of all jobs that can be taken now, some at a time."""
    found: list[str] = []
    while batch := queue.reserve_many(5, timeout=0.0, lease=lease):
        found += [delivery.job.id for delivery in batch]
    return found
