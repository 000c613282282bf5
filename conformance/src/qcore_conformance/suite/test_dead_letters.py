"""Dead letters: what cannot be done is set aside once, kept whole, and can be sent back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, quiet, taken

_THREE = qcore.RetryPolicy(max_attempts=3, first_delay=0.0)
_TWO = qcore.RetryPolicy(max_attempts=2, first_delay=0.0)
_ENDLESS = qcore.RetryPolicy(max_attempts=None, first_delay=0.0)


@invariant("Q-DLQ-01")
def test_a_job_that_fails_too_often_is_set_aside(bed: Bed) -> None:
    """Once and whole, with how often it was tried and what went wrong last."""
    queue = bed.queue(retry=_THREE)
    job_id = queue.enqueue(b"\x00body", headers={"k": "v"})

    for attempt in (1, 2, 3):
        assert _failed(queue, f"failure {attempt}") == (attempt, attempt)

    assert quiet(queue)
    _only_dead(bed, queue, job_id)
    for dead in _dead(bed, queue):
        assert dead.job is not None
        assert (dead.job.body, dict(dead.job.headers)) == (b"\x00body", {"k": "v"})
        assert (dead.number, dead.attempt, dead.crashes) == (3, 3, 0)
        assert "ZeroDivisionError: failure 3" in dead.note


@invariant("Q-DLQ-01")
def test_a_job_that_is_dropped_too_often_is_set_aside(bed: Bed) -> None:
    """A holder that says nothing uses up an attempt like one that fails."""
    if not bed.claims("lease"):
        raise NotApplicable("a job that is dropped does not come back")
    queue = bed.queue(retry=_TWO)
    job_id = queue.enqueue(b"")

    numbers = [taken(queue, bed.lease).number for _ in range(2)]

    assert numbers == [1, 2]
    assert quiet(queue, bed.lease + bed.slack)
    _only_dead(bed, queue, job_id)


@invariant("Q-DLQ-01")
def test_a_job_that_is_always_dropped_does_not_go_round_for_ever(bed: Bed) -> None:
    """Whatever the policy of retries is."""
    if not bed.claims("lease"):
        raise NotApplicable("a job that is dropped does not come back")
    queue = bed.queue(retry=_ENDLESS)
    job_id = queue.enqueue(b"")

    rounds = 0
    while queue.reserve(timeout=bed.lease + bed.recovery, lease=bed.lease) and rounds < 40:
        rounds += 1

    bed.figure("deliveries of a job that is always dropped", rounds, "deliveries")
    assert 1 < rounds < 40
    _only_dead(bed, queue, job_id)


@invariant("Q-DLQ-03")
def test_a_rejected_job_is_set_aside_at_once(bed: Bed) -> None:
    """In its first attempt, with the reason that was given."""
    queue = bed.queue()
    job_id = queue.enqueue(b"")

    taken(queue, LONG).dead_letter("not for us: ü")

    assert quiet(queue)
    _only_dead(bed, queue, job_id)
    for dead in _dead(bed, queue):
        assert (dead.number, dead.attempt, dead.note) == (1, 1, "not for us: ü")


@invariant("Q-DLQ-03")
def test_a_redriven_job_begins_anew(bed: Bed) -> None:
    """Whole, in its first attempt again, once; and it can die again."""
    if not bed.claims("redrive"):
        raise NotApplicable("dead letters cannot be sent back")
    queue, other = bed.queue(retry=_TWO), bed.connect().queue("q")
    job_id = queue.enqueue(b"\x00body", headers={"k": "v"})

    for life in (0, 1):
        for attempt in (1, 2):
            assert _failed(queue, "") == (2 * life + attempt, attempt)
        assert other.redrive() == 1
        assert other.redrive() == 0

    again = taken(other, LONG)
    assert (again.job.id, again.job.body) == (job_id, b"\x00body")
    assert dict(again.job.headers) == {"k": "v"}
    again.ack()
    assert quiet(queue)


@invariant("Q-DLQ-04")
def test_without_dead_letters_a_limit_of_attempts_is_refused(bed: Bed) -> None:
    """When the queue is opened, before a job could be dropped."""
    for policy in (qcore.RetryPolicy(), _TWO):
        with pytest.raises(qcore.UnsupportedCapability) as caught:
            bed.queue(retry=policy)
        assert caught.value.capability in ("dead_letter", "retry")


@invariant("Q-DLQ-04")
def test_without_dead_letters_a_failing_job_is_not_dropped(bed: Bed) -> None:
    """However often it fails."""
    if not bed.claims("retry"):
        raise NotApplicable("a job that fails does not come back at all")
    queue = bed.queue()
    job_id = queue.enqueue(b"")

    for _ in range(20):
        delivery = taken(queue)
        assert delivery.job.id == job_id
        delivery.retry(0.0, "why")

    assert [delivery.job.id for delivery in drained(queue)] == [job_id]


@invariant("Q-REDRIVE-01")
def test_some_dead_jobs_can_be_redriven(bed: Bed) -> None:
    """Those that are named and no others; names that are none change nothing."""
    if not bed.claims("redrive"):
        raise NotApplicable("dead letters cannot be sent back")
    queue = bed.queue()
    ids = _kill(queue, 5)

    assert queue.redrive(["no-such-job"]) == queue.redrive([]) == 0
    assert queue.redrive([ids[1], ids[3], "no-such-job", ids[3]]) == 2

    _counted(bed, queue, ready=2, dead=3)
    assert sorted(delivery.job.id for delivery in drained(queue)) == sorted([ids[1], ids[3]])
    assert queue.redrive() == 3
    assert sorted(delivery.job.id for delivery in drained(queue)) == sorted(
        set(ids) - {ids[1], ids[3]}
    )
    _counted(bed, queue, ready=0, dead=0)


@invariant("Q-REDRIVE-01")
def test_dead_jobs_that_fit_can_be_redriven(bed: Bed) -> None:
    """By what they are and by why they died, over as many pages as there are."""
    if not bed.claims("redrive", "peek"):
        raise NotApplicable("dead letters cannot be looked at and sent back")
    queue = bed.queue()
    ids = queue.enqueue_many([b"%d" % number for number in range(250)])
    for delivery in queue.reserve_many(250, timeout=0.0, lease=LONG):
        delivery.dead_letter("bad" if delivery.job.body.endswith(b"3") else "worse")
    wanted = {job_id for number, job_id in enumerate(ids) if number % 10 == 3}

    assert queue.redrive(where=lambda one: one.note == "bad" and one.job is not None) == 25
    assert queue.redrive(where=lambda one: one.note == "bad") == 0
    with pytest.raises(qcore.InvalidInput):
        queue.redrive([ids[0]], where=lambda one: one.note == "worse")

    _counted(bed, queue, ready=25, dead=225)
    assert {delivery.job.id for delivery in drained(queue)} == wanted


@invariant("Q-REDRIVE-01")
def test_redriving_twice_at_once_sends_each_job_back_once(bed: Bed) -> None:
    """From two connections, all and some."""
    if not bed.claims("redrive"):
        raise NotApplicable("dead letters cannot be sent back")
    queue, other = bed.queue(), bed.connect().queue("q")
    ids = _kill(queue, 30)

    moved = at_once(queue.redrive, lambda: other.redrive(ids[:20]), lambda: other.redrive(ids))

    assert sum(moved) == 30
    assert sorted(delivery.job.id for delivery in drained(queue)) == sorted(ids)
    _counted(bed, queue, ready=0, dead=0)


@invariant("Q-REDRIVE-01")
def test_removed_dead_jobs_cannot_be_redriven(bed: Bed) -> None:
    """They are gone; the others are not."""
    if not bed.claims("redrive"):
        raise NotApplicable("dead letters cannot be sent back")
    queue = bed.queue()
    ids = _kill(queue, 3)

    assert queue.remove([ids[0], "no-such-job"]) == 1

    assert queue.redrive([ids[0]]) == 0
    assert queue.redrive() == 2
    assert sorted(delivery.job.id for delivery in drained(queue)) == sorted(ids[1:])
    if bed.claims("stats"):
        assert queue.stats().dropped == 1


def _failed(queue: qcore.Queue, why: str) -> tuple[int, int]:
    """Fail on the next job; gives the numbers of its delivery and its attempt."""
    delivery = taken(queue, LONG)
    with pytest.raises(ZeroDivisionError), delivery:
        raise ZeroDivisionError(why)
    return delivery.number, delivery.attempt


def _kill(queue: qcore.Queue, count: int) -> list[str]:
    """Enqueue jobs and set them all aside."""
    ids = queue.enqueue_many([b"%d" % number for number in range(count)])
    for _ in range(count):
        taken(queue, LONG).dead_letter("why")
    return list(ids)


def _dead(bed: Bed, queue: qcore.Queue) -> Sequence[qcore.InspectedJob]:
    """What lies among the dead letters, if one can look."""
    return queue.peek("dead") if bed.claims("peek") else ()


def _only_dead(bed: Bed, queue: qcore.Queue, job_id: str) -> None:
    """This job is the only dead one, and nothing else is left."""
    if bed.claims("peek"):
        assert [dead.id for dead in queue.peek("dead")] == [job_id]
    _counted(bed, queue, ready=0, dead=1)


def _counted(bed: Bed, queue: qcore.Queue, *, ready: int, dead: int) -> None:
    if bed.claims("stats"):
        stats = queue.stats()
        assert (stats.ready, stats.dead, stats.held, stats.delayed) == (ready, dead, 0, 0)
