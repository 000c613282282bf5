"""Jobs that nobody takes in time: dropped and counted, and never given to anybody."""

from __future__ import annotations

import math
import time

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("ttl", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('ttl', *names)}")


def _short() -> float:
    return scaled(0.2)


def _let_it_pass(bed: Bed) -> None:
    pass_time(time.monotonic() + _short() + bed.slack)


@invariant("Q-TTL-01")
@pytest.mark.parametrize("priority", [0, 4])
def test_a_job_that_nobody_takes_in_time_is_dropped(bed: Bed, priority: int) -> None:
    """And counted; those beside it, which have more time or no end, come in their order."""
    _need(bed, "stats", "priority")
    queue = bed.queue()
    jobs = [
        qcore.NewJob(b"%d" % number, priority=priority, ttl=[None, _short(), LONG][number % 3])
        for number in range(12)
    ]
    queue.enqueue_many(jobs)
    _let_it_pass(bed)

    came = [int(delivery.job.body) for delivery in drained(queue)]

    assert came == [number for number in range(12) if number % 3 != 1]
    stats = queue.stats()
    assert (stats.enqueued, stats.acked, stats.dropped) == (12, 8, 4)
    assert (stats.ready, stats.held) == (0, 0)


@invariant("Q-TTL-01")
def test_however_many_are_too_late_the_next_job_is_found(bed: Bed) -> None:
    """By one who looks once as by one who waits, and a queue of nothing else is empty."""
    _need(bed, "stats")
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue_many([*[qcore.NewJob(b"", ttl=_short())] * 450, b"behind"])
    queue.enqueue_many([qcore.NewJob(b"", ttl=_short())] * 50)
    _let_it_pass(bed)

    behind = queue.reserve(timeout=0.0)
    assert behind is not None
    assert behind.job.body == b"behind"
    behind.ack()
    assert queue.reserve(timeout=0.0) is None
    assert quiet(other)
    queue.enqueue(b"new")
    new = taken(other)
    assert new.job.body == b"new"
    new.ack()
    assert (queue.stats().dropped, queue.stats().ready) == (500, 0)


@invariant("Q-TTL-01")
def test_a_job_that_was_taken_in_time_is_kept(bed: Bed) -> None:
    """Work may take as long as it takes, and whatever comes back comes again."""
    _need(bed, "stats", "release", "retry", "lease")
    queue = bed.queue()
    ids = queue.enqueue_many([qcore.NewJob(b"", ttl=scaled(2.0))] * 4)
    acked, released, retried, _lost = [
        queue.reserve(timeout=scaled(1.5), lease=lease) for lease in (LONG, LONG, LONG, bed.lease)
    ]
    assert acked is not None
    assert released is not None
    assert retried is not None
    until = time.monotonic() + scaled(2.0) + bed.lease + bed.slack
    released.release()
    retried.retry(until - time.monotonic())
    pass_time(until)

    acked.ack()
    again = [delivery.job.id for delivery in drained(queue)]

    assert sorted([acked.job.id, *again]) == sorted(ids)
    assert (queue.stats().acked, queue.stats().dropped) == (4, 0)


@invariant("Q-TTL-01")
def test_the_time_begins_when_a_job_is_due(bed: Bed) -> None:
    """So a job for later can have less time than its delay."""
    _need(bed, "stats", "delay")
    queue = bed.queue()
    delay = scaled(0.5)
    due_at = time.monotonic() + delay
    queue.enqueue_many(
        [qcore.NewJob(b"kept", delay=delay, ttl=LONG), qcore.NewJob(b"", delay=delay, ttl=_short())]
    )
    queue.enqueue(b"met", delay=delay, ttl=scaled(20.0))

    pass_time(due_at + _short() + bed.slack)
    came = sorted(delivery.job.body for delivery in drained(queue))

    assert came == [b"kept", b"met"]
    assert queue.stats().dropped == 1


@invariant("Q-TTL-01")
def test_the_time_runs_while_nobody_may_take(bed: Bed) -> None:
    """A pause stops no clock."""
    _need(bed, "pause", "stats")
    queue = bed.queue()
    queue.pause()
    queue.enqueue(b"", ttl=_short())
    queue.enqueue(b"stays")
    _let_it_pass(bed)
    queue.resume()

    assert [delivery.job.body for delivery in drained(queue)] == [b"stays"]
    assert queue.stats().dropped == 1


@invariant("Q-TTL-01")
def test_each_job_is_taken_or_dropped_and_never_both(bed: Bed) -> None:
    """Consumers that are just in time, or just not; what is left of both is nothing."""
    _need(bed, "stats")
    queue, total = bed.queue(), bed.many(200)
    times = [max(0.001, _short() * number / total) for number in range(total)]
    ids = queue.enqueue_many([qcore.NewJob(b"", ttl=one) for one in times])
    ends = {str(job_id): time.monotonic() + one for job_id, one in zip(ids, times, strict=True)}

    def take() -> list[tuple[float, str]]:
        line, found = bed.connect().queue("q"), list[tuple[float, str]]()
        while True:
            asked_at = time.monotonic()
            delivery = line.reserve(timeout=0.0)
            if delivery is None:
                return found
            found.append((asked_at, delivery.job.id))
            delivery.ack()

    found = [one for part in at_once(take, take, take) for one in part]

    stats = queue.stats()
    bed.figure("taken in time", len(found), f"of {total}")
    assert len({job_id for _, job_id in found}) == len(found)
    assert [one for at, one in found if at > ends[one] + bed.slack] == []
    assert (stats.acked, stats.dropped) == (len(found), total - len(found))
    assert (stats.ready, stats.held) == (0, 0)


@invariant("Q-TTL-01", "Q-INPUT-01")
@pytest.mark.parametrize("wrong", [0, 0.0, -1.0, math.nan, math.inf, True, "1"], ids=repr)
def test_a_time_that_is_none_is_refused(bed: Bed, wrong: object) -> None:
    """Before anything is stored."""
    _need(bed, "stats")
    queue = bed.queue()

    with pytest.raises(qcore.InvalidInput, match="ttl"):
        queue.enqueue(b"", ttl=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert queue.stats().enqueued == 0
