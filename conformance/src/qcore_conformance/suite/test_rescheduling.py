"""Jobs for later that become due at another time than they were enqueued for."""

from __future__ import annotations

import math
import time

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import CLOCKS, LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("reschedule", "delay", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('reschedule', *names)}")


def _retried(queue: qcore.Queue) -> str:
    queue.enqueue(b"", priority=4)
    delivery = taken(queue, LONG)
    delivery.retry(LONG, error="once")
    return delivery.job.id


@invariant("Q-RESCHED-01")
@pytest.mark.parametrize("said", ["delay", "at"])
@pytest.mark.parametrize("sort", ["new", "retried"])
def test_a_delayed_job_comes_at_its_new_time(bed: Bed, said: str, sort: str) -> None:
    """Sooner than before, not earlier than said, and one who sleeps is woken for it."""
    _need(bed, "retry", "priority", "stats")
    queue, other = bed.queue(), bed.connect().queue("q")
    other.enqueue(b"beside", delay=LONG)
    wanted = _retried(queue) if sort == "retried" else queue.enqueue(b"", delay=LONG)
    coming = bed.start(lambda: (taken(queue), time.monotonic()))
    delay = scaled(0.3)

    before = time.monotonic()
    done = other.reschedule(
        wanted, **({"delay": delay} if said == "delay" else {"at": time.time() + delay})
    )

    assert done
    delivery, came = coming.result(scaled(20.0))
    assert delivery.job.id == wanted
    assert came - before >= delay - CLOCKS
    bed.figure(f"late after a reschedule by {said}", (came - before - delay) * 1000, "ms")
    delivery.ack()
    assert (queue.stats().delayed, queue.stats().acked) == (1, 1)


@invariant("Q-RESCHED-01")
def test_a_delayed_job_can_come_later_or_at_once(bed: Bed) -> None:
    """The old time means nothing any more."""
    _need(bed, "stats")
    queue = bed.queue()
    later = queue.enqueue(b"later", delay=scaled(0.3))
    at_once_ids = [queue.enqueue(b"", delay=LONG + number) for number in range(2)]

    assert queue.reschedule(later, delay=LONG)
    assert queue.reschedule(at_once_ids[0], delay=0)
    assert queue.reschedule(at_once_ids[1], at=1.0)

    assert sorted(delivery.job.id for delivery in drained(queue)) == sorted(at_once_ids)
    assert quiet(queue, scaled(0.4))
    assert queue.stats().delayed == 1
    (seen,) = queue.peek("delayed")
    assert LONG - scaled(10.0) < (seen.due_in or 0) <= LONG


@invariant("Q-RESCHED-01")
def test_what_is_not_delayed_is_left_alone(bed: Bed) -> None:
    """Ready, held, dead, done or unknown: the answer says so, and nothing changes."""
    _need(bed, "stats", "dead_letter")
    queue = bed.queue()
    ids = queue.enqueue_many([b""] * 3)
    dead, held = taken(queue, LONG), taken(queue, LONG)
    dead.dead_letter("why")
    before = queue.stats()

    said = [queue.reschedule(one, delay=LONG) for one in (*ids, "never")]

    assert said == [False] * 4
    assert queue.stats() == before
    held.ack()
    assert {dead.job.id, held.job.id, taken(queue).job.id} == set(ids)


@invariant("Q-RESCHED-01")
def test_rescheduling_while_jobs_become_due_delivers_each_once(bed: Bed) -> None:
    """Whoever is told that it was done sees the job at the new time only."""
    _need(bed, "stats")
    queue, total = bed.queue(), bed.many(100)
    jobs = [qcore.NewJob(b"", delay=0.001 + scaled(0.3) * n / total) for n in range(total)]
    ids = queue.enqueue_many(jobs)

    def move() -> list[str]:
        line = bed.connect().queue("q")
        return [job_id for job_id in ids if line.reschedule(job_id, delay=LONG)]

    def take() -> list[str]:
        line, found = bed.connect().queue("q"), list[str]()
        while delivery := line.reserve(timeout=scaled(0.5)):
            found.append(delivery.job.id)
            delivery.ack()
        return found

    moved, *found = at_once(move, take, take)

    came = [job_id for part in found for job_id in part]
    bed.figure("moved before they were due", len(moved), f"of {total}")
    assert sorted(came + moved) == sorted(ids)
    assert (queue.stats().delayed, queue.stats().acked) == (len(moved), len(came))


@invariant("Q-RESCHED-01", "Q-TTL-01")
def test_the_time_of_a_job_moves_with_it(bed: Bed) -> None:
    """A ttl begins when the job is due."""
    _need(bed, "ttl", "stats")
    queue = bed.queue()
    kept = queue.enqueue(b"", delay=LONG / 2, ttl=LONG)
    late = queue.enqueue(b"", delay=LONG, ttl=scaled(0.2))
    assert queue.reschedule(kept, delay=scaled(0.1))
    assert queue.reschedule(late, delay=0)

    pass_time(time.monotonic() + scaled(0.2) + bed.slack)

    assert [delivery.job.id for delivery in drained(queue)] == [kept]
    assert queue.stats().dropped == 1


@invariant("Q-RESCHED-01", "Q-INPUT-01")
def test_a_new_time_that_is_none_is_refused(bed: Bed) -> None:
    """Before anything is changed."""
    _need(bed)
    queue = bed.queue()
    job_id = queue.enqueue(b"", delay=LONG)

    for wrong in ({}, {"delay": 1.0, "at": 4e9}, {"delay": -1}, {"at": math.nan}, {"delay": "1"}):
        with pytest.raises(qcore.InvalidInput):
            queue.reschedule(job_id, **wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(qcore.InvalidInput):
        queue.reschedule("a b", delay=1.0)

    assert quiet(queue)
