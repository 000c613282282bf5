"""Priority: the more urgent job first, and among equals the one that was there first."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.recording import busy_hour
from qcore_conformance.scenes import LONG, drained, pass_time, taken
from qcore_conformance.verdicts import Verdict
from qcore_conformance.waiting import scaled

_LEVELS = range(-4, 5)


@invariant("Q-PRIO-01", "Q-PRIO-02")
def test_the_larger_number_is_the_more_urgent(bed: Bed) -> None:
    """Over all levels, enqueued in any order; within a level first in is first out."""
    queue = bed.queue()
    jobs = [(level, number) for number in range(5) for level in random.sample(_LEVELS, 9)]

    queue.enqueue_many(
        [qcore.NewJob(b"%d %d" % (level, number), priority=level) for level, number in jobs]
    )

    found = [_read(delivery) for delivery in _one_by_one(queue)]
    assert found == sorted(jobs, key=lambda job: (-job[0], job[1]))


def _one_by_one(queue: qcore.Queue) -> list[qcore.Delivery]:
    found: list[qcore.Delivery] = []
    while delivery := queue.reserve(timeout=0.0):
        assert delivery.job.priority == _read(delivery)[0]
        delivery.ack()
        found.append(delivery)
    return found


def _read(delivery: qcore.Delivery) -> tuple[int, int]:
    level, number = delivery.job.body.split()
    return int(level), int(number)


@invariant("Q-PRIO-01")
def test_a_batch_is_taken_by_urgency(bed: Bed) -> None:
    """Its jobs are the most urgent ones, the most urgent first."""
    queue = bed.queue()
    for level in random.sample(_LEVELS, 9):
        queue.enqueue(b"%d 0" % level, priority=level)

    batch = queue.reserve_many(4, timeout=scaled(5.0))

    assert [_read(delivery)[0] for delivery in batch] == [4, 3, 2, 1]


@invariant("Q-PRIO-01", "Q-PRIO-02")
def test_nobody_is_passed_over_by_a_less_urgent_job(bed: Bed, tmp_path: Path) -> None:
    """With many producers and consumers, judged by when each call began and ended."""
    report = busy_hour(bed, tmp_path, bed.many(200), priorities=(-4, -1, 0, 4))

    assert report["priority"].verdict is Verdict.PASS, report.text()
    assert report.verdict is not Verdict.FAIL, report.text()


_RETURNS: dict[str, Callable[[qcore.Delivery], object]] = {
    "release": lambda delivery: delivery.release(),
    "retry": lambda delivery: delivery.retry(0.0),
    "lease": lambda _: None,
    "redrive": lambda delivery: delivery.dead_letter("why"),
}


@invariant("Q-PRIO-02")
@pytest.mark.parametrize("how", _RETURNS)
def test_a_job_that_comes_back_keeps_its_priority(bed: Bed, how: str) -> None:
    """Above less urgent ones that nobody has seen, and below more urgent ones."""
    if not bed.claims(how):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{how}'")
    queue = bed.queue()
    queue.enqueue(b"2 0", priority=2)
    held = taken(queue, bed.lease if how == "lease" else LONG)
    for level in (1, 3):
        queue.enqueue(b"%d 0" % level, priority=level)

    _RETURNS[how](held)
    if how == "lease":
        pass_time(time.monotonic() + bed.lease + bed.slack)
    elif how == "redrive":
        queue.redrive()

    assert [_read(delivery)[0] for delivery in _one_by_one(queue)] == [3, 2, 1]


@invariant("Q-PRIO-02")
def test_a_delayed_job_keeps_its_priority(bed: Bed) -> None:
    """When it is due it stands where its priority says."""
    if not bed.claims("delay"):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim 'delay'")
    queue = bed.queue()
    for level in (-1, 1, 0):
        queue.enqueue(b"%d 0" % level, priority=level, delay=0.1)
    pass_time(time.monotonic() + 0.1 + bed.slack)
    queue.enqueue(b"2 0", priority=2)

    assert [_read(delivery)[0] for delivery in drained(queue)] == [2, 1, 0, -1]
