"""Namespaces: two programs on one broker share nothing, whatever their queues are called."""

from __future__ import annotations

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, drained, quiet, taken


def _two(bed: Bed) -> tuple[qcore.Queue, qcore.Queue]:
    """Queues of one name in two namespaces, both listened to."""
    queues = bed.connect(bed.url_in("a")).queue("q"), bed.connect(bed.url_in("b")).queue("q")
    for queue in queues:
        queue.subscribe()
    return queues


@invariant("Q-NS-01")
def test_jobs_stay_in_their_namespace(bed: Bed) -> None:
    """Both ways, and also from a namespace whose name begins like theirs."""
    one, two = _two(bed)
    other = bed.connect(bed.url_in("a-")).queue("q")
    other.subscribe()

    ids = one.enqueue(b"1"), two.enqueue(b"2")

    assert quiet(other)
    assert [delivery.job.id for delivery in drained(one)] == [ids[0]]
    assert [delivery.job.id for delivery in drained(two)] == [ids[1]]


@invariant("Q-NS-01")
def test_only_subscribers_of_the_namespace_hear_of_a_job(bed: Bed) -> None:
    """An enqueue counts those, where it counts."""
    if not bed.claims("receivers"):
        raise NotApplicable("this adapter does not count who hears")
    one, two = _two(bed)

    assert (one.enqueue(b"").receivers, two.enqueue(b"").receivers) == (1, 1)
    assert bed.connect(bed.url_in("c")).queue("q").enqueue(b"").receivers == 0


@invariant("Q-NS-01")
def test_counts_and_names_stay_in_their_namespace(bed: Bed) -> None:
    """What one of them has does not show in the other."""
    if not bed.claims("stats"):
        raise NotApplicable("this adapter counts nothing")
    one, two = _two(bed)
    mine = bed.connect(bed.url_in("a"))
    mine.queue("only-here").enqueue(b"")
    one.enqueue_many([b"1", b"2", b"3"])
    taken(one, LONG)

    assert (one.stats().ready, one.stats().held, one.stats().enqueued) == (2, 1, 3)
    assert two.stats() == qcore.QueueStats()
    assert mine.queues() == ["only-here", "q"]
    assert "only-here" not in bed.connect(bed.url_in("b")).queues()


@invariant("Q-NS-01")
def test_purge_and_redrive_stay_in_their_namespace(bed: Bed) -> None:
    """They drop and move nothing of others."""
    if not bed.claims("purge", "dead_letter", "redrive"):
        raise NotApplicable("this adapter drops and moves nothing")
    one, two = _two(bed)
    for queue in (one, two):
        queue.enqueue(b"dead")
        taken(queue, LONG).dead_letter("why")
        queue.enqueue(b"ready")

    assert (one.purge(), one.redrive()) == (1, 1)

    assert [delivery.job.body for delivery in drained(one)] == [b"dead"]
    assert [delivery.job.body for delivery in drained(two)] == [b"ready"]
    assert two.redrive() == 1


@invariant("Q-NS-01")
def test_ids_and_keys_of_callers_stay_in_their_namespace(bed: Bed) -> None:
    """The same ones are new in each."""
    same: list[qcore.NewJob] = []
    if bed.claims("idempotent_id"):
        same.append(qcore.NewJob(b"", id="the-id"))
    if bed.claims("dedup"):
        same.append(qcore.NewJob(b"", dedup="the-key"))
    if not same:
        raise NotApplicable("callers give neither ids nor keys")

    for queue in _two(bed):
        assert all(job_id.created for job_id in queue.enqueue_many(same))
        assert not any(job_id.created for job_id in queue.enqueue_many(same))


@invariant("Q-NS-01")
def test_a_receipt_of_another_namespace_settles_nothing(bed: Bed) -> None:
    """Although the queue has the same name."""
    if not bed.claims("settlement:explicit"):
        raise NotApplicable("nothing is settled")
    one, two = _two(bed)
    one.enqueue(b"")
    delivery = taken(one, LONG)

    assert two.ack_many([delivery.receipt]) == [False]

    delivery.ack()
