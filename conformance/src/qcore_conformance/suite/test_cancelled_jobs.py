"""Cancelled jobs: dropped by their id, wherever they are, by one call with one outcome."""

from __future__ import annotations

import time

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("cancel", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('cancel', *names)}")


def _ready(queue: qcore.Queue) -> str:
    return queue.enqueue(b"x")


def _urgent(queue: qcore.Queue) -> str:
    return queue.enqueue(b"x", priority=3)


def _delayed(queue: qcore.Queue) -> str:
    return queue.enqueue(b"x", delay=LONG)


def _held(queue: qcore.Queue) -> str:
    queue.enqueue(b"x", priority=4)
    return taken(queue, LONG).job.id


def _released(queue: qcore.Queue) -> str:
    queue.enqueue(b"x", priority=4)
    delivery = taken(queue, LONG)
    delivery.release()
    return delivery.job.id


def _retried(queue: qcore.Queue) -> str:
    queue.enqueue(b"x", priority=4)
    delivery = taken(queue, LONG)
    delivery.retry(LONG, error="once")
    return delivery.job.id


def _dead(queue: qcore.Queue) -> str:
    queue.enqueue(b"x", priority=4)
    delivery = taken(queue, LONG)
    delivery.dead_letter("why")
    return delivery.job.id


_PLACES = {
    "ready": (_ready, qcore.State.READY),
    "urgent": (_urgent, qcore.State.READY),
    "delayed": (_delayed, qcore.State.DELAYED),
    "held": (_held, qcore.State.HELD),
    "released": (_released, qcore.State.READY),
    "retried": (_retried, qcore.State.DELAYED),
    "dead": (_dead, qcore.State.DEAD),
}


@invariant("Q-CANCELJOB-01")
@pytest.mark.parametrize("place", _PLACES)
def test_a_cancelled_job_is_gone_and_only_that_one(bed: Bed, place: str) -> None:
    """Wherever it is, among others that look the same; counted as dropped, and gone for good."""
    _need(bed, "stats", "peek", "delay", "priority", "release", "retry", "dead_letter")
    queue, other = bed.queue(), bed.connect().queue("q")
    bring, state = _PLACES[place]
    queue.enqueue_many([b"x"] * 3)
    bring(queue)
    wanted = bring(queue)
    queue.enqueue_many([b"x"] * 3)
    counted, there = queue.stats(), _all(queue)

    said = [other.cancel(wanted), other.cancel(wanted)]

    assert said == [state, None]
    stats = queue.stats()
    assert (stats.dropped, stats.enqueued) == (1, counted.enqueued)
    assert getattr(stats, state) == getattr(counted, state) - 1
    assert _all(queue) == there - {wanted}
    assert wanted not in [delivery.job.id for delivery in drained(queue)]


def _all(queue: qcore.Queue) -> set[str]:
    """The ids of all jobs that are there."""
    pages = [queue.peek(state, limit=100) for state in ("ready", "delayed", "held", "dead")]
    return {job.id for page in pages for job in page}


@invariant("Q-CANCELJOB-01")
def test_what_is_not_there_cannot_be_cancelled(bed: Bed) -> None:
    """Never enqueued, of another queue, or done: the answer says so and nothing is counted."""
    _need(bed, "stats")
    queue, other = bed.queue(), bed.queue("r")
    done = queue.enqueue(b"")
    taken(queue).ack()
    foreign = other.enqueue(b"")

    assert [queue.cancel(one) for one in (done, foreign, "never", "a:b.c-d_e")] == [None] * 4

    assert queue.stats().dropped == other.stats().dropped == 0
    assert taken(other).job.id == foreign
    for wrong in ("", "a b", "x" * 129, None, b"bytes"):
        with pytest.raises(qcore.InvalidInput):
            queue.cancel(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@invariant("Q-CANCELJOB-01")
@pytest.mark.parametrize("verb", ["ack", "release", "retry", "dead_letter", "extend"])
def test_the_holder_of_a_cancelled_job_is_refused(bed: Bed, verb: str) -> None:
    """Whatever it wants to do with the job, and it stays gone."""
    _need(bed, "lease", *([] if verb == "ack" else [verb]))
    queue = bed.queue()
    job_id = queue.enqueue(b"")
    delivery = taken(queue, LONG)
    assert queue.cancel(job_id) is qcore.State.HELD

    with pytest.raises(qcore.LeaseLost):
        getattr(delivery, verb)(*{"dead_letter": ("why",), "extend": (LONG,)}.get(verb, ()))

    assert delivery.lost
    assert quiet(queue)


@invariant("Q-CANCELJOB-01")
def test_a_beat_tells_the_holder(bed: Bed) -> None:
    """Code that works on the job and looks at ``lost`` learns of it without settling."""
    _need(bed, "extend")
    queue = bed.queue()
    job_id = queue.enqueue(b"")
    delivery = taken(queue, max(bed.lease, scaled(1.0)))

    def work() -> None:
        with delivery:
            assert queue.cancel(job_id) is qcore.State.HELD
            bed.until(lambda: delivery.lost, "a beat that finds the job gone", scaled(10.0))

    with pytest.raises(qcore.LeaseLost):
        work()
    assert quiet(queue)


@invariant("Q-CANCELJOB-01")
def test_a_job_whose_lease_is_over_can_be_cancelled(bed: Bed) -> None:
    """Nobody recovers it afterwards."""
    _need(bed, "lease")
    queue = bed.queue()
    job_id = queue.enqueue(b"")
    taken(queue, bed.lease)
    pass_time(time.monotonic() + bed.lease + bed.slack)

    assert queue.cancel(job_id) is not None

    assert quiet(queue)


@invariant("Q-CANCELJOB-01")
def test_cancel_racing_with_take_has_one_winner(bed: Bed) -> None:
    """Who takes a job that was cancelled while it waited does not exist; nor is one lost."""
    _need(bed, "stats")
    queue, total = bed.queue(), bed.shots(100)
    ids = queue.enqueue_many([b""] * total)

    def take() -> dict[str, bool]:
        line, found = bed.connect().queue("q"), dict[str, bool]()
        while delivery := line.reserve(timeout=scaled(0.2), lease=LONG):
            try:
                delivery.ack()
                found[delivery.job.id] = True
            except qcore.LeaseLost:
                found[delivery.job.id] = False
        return found

    def cancel() -> dict[str, bool]:
        line = bed.connect().queue("q")
        said = {job_id: line.cancel(job_id) for job_id in reversed(ids)}
        return {job_id: state is qcore.State.HELD for job_id, state in said.items() if state}

    cancelled, *takers = at_once(cancel, take, take)

    taken_by = takers[0] | takers[1]
    bed.figure("cancelled before they were done", len(cancelled), f"of {total}")
    assert not takers[0].keys() & takers[1].keys()
    for job_id in ids:
        if job_id not in cancelled:
            assert taken_by[job_id], "a job that was not cancelled was done"
        else:
            # Taken from somebody's hands, or never given into any.
            assert taken_by.get(job_id) is (False if cancelled[job_id] else None)
    stats = queue.stats()
    assert (stats.acked, stats.dropped) == (total - len(cancelled), len(cancelled))


@invariant("Q-CANCELJOB-01")
def test_cancel_racing_with_cancel_has_one_winner(bed: Bed) -> None:
    """Each job is dropped once, and counted once."""
    _need(bed, "stats")
    queue, total = bed.queue(), bed.many(30)
    ids = queue.enqueue_many([b""] * total)

    def cancel() -> list[str]:
        line = bed.connect().queue("q")
        return [job_id for job_id in ids if line.cancel(job_id)]

    won = [job_id for part in at_once(cancel, cancel, cancel) for job_id in part]

    assert sorted(won) == sorted(ids)
    assert queue.stats().dropped == total
    assert quiet(queue, 0.0)
