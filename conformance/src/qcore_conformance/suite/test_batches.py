"""Batches: all or none on the way in, no waiting and no sharing of fates on the way out."""

from __future__ import annotations

import time

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, drained, quiet, taken
from qcore_conformance.waiting import scaled


@invariant("Q-BATCH-01")
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_one_bad_job_keeps_the_whole_batch_out(bed: Bed, place: str) -> None:
    """Wherever it stands: nothing is stored, and nothing is heard."""
    queue, limits = bed.queue(), bed.capabilities.limits
    queue.subscribe()
    bad = [b"." * (limits.body + 1), "no bytes", qcore.NewJob(b"", headers={"k": "\ud800"})]

    for one in bad:
        batch: list[object] = [b"1", b"2", b"3"]
        batch[{"first": 0, "middle": 1, "last": 2}[place]] = one
        with pytest.raises(qcore.InvalidInput):
            queue.enqueue_many(batch)

    assert quiet(queue)


@invariant("Q-BATCH-01")
def test_an_empty_batch_is_legal(bed: Bed) -> None:
    """It stores nothing, and returns as much."""
    queue = bed.queue()
    queue.subscribe()

    assert queue.enqueue_many([]) == []
    assert queue.ack_many([]) == []
    assert queue.settle_many([]) == []
    assert quiet(queue, 0.0)


@invariant("Q-BATCH-01")
def test_a_batch_of_the_limit_goes_in_and_one_more_is_refused_whole(bed: Bed) -> None:
    """Each job gets an id of its own, in order."""
    queue, limit = bed.queue(), bed.capabilities.limits.batch
    queue.subscribe()

    with pytest.raises(qcore.LimitExceeded, match=str(limit)):
        queue.enqueue_many([b"refused"] * (limit + 1))
    sent = queue.enqueue_many([b"%d" % number for number in range(limit)])

    found = drained(queue)
    assert sorted(sent) == sorted({delivery.job.id for delivery in found})
    bodies = {delivery.job.id: delivery.job.body for delivery in found}
    assert [bodies[job_id] for job_id in sent] == [b"%d" % number for number in range(limit)]


@invariant("Q-BATCH-01", "Q-BATCH-02")
def test_taking_and_settling_more_than_the_limit_is_refused(bed: Bed) -> None:
    """Before anything is sent: what is in hand stays in hand."""
    queue, limit = bed.queue(), bed.capabilities.limits.batch
    queue.subscribe()
    queue.enqueue(b"")
    delivery = taken(queue)

    with pytest.raises(qcore.LimitExceeded):
        queue.reserve_many(limit + 1, timeout=0.0)
    with pytest.raises(qcore.LimitExceeded):
        queue.ack_many([delivery] * (limit + 1))

    delivery.ack()
    assert quiet(queue)


@invariant("Q-BATCH-02")
@pytest.mark.parametrize("waits", [False, True])
def test_taking_many_does_not_wait_for_as_many(bed: Bed, *, waits: bool) -> None:
    """One job is enough, also when it comes late."""
    queue = bed.queue()
    queue.subscribe()
    producer = bed.connect().queue("q")
    if not waits:
        producer.enqueue(b"only")
    taking = bed.start(lambda: queue.reserve_many(100, timeout=scaled(30.0)))
    if waits:
        time.sleep(0.05)
        producer.enqueue(b"only")

    batch = taking.result(scaled(5.0))

    assert [delivery.job.body for delivery in batch] == [b"only"]
    assert queue.reserve_many(100, timeout=0.0) == []


@invariant("Q-BATCH-02")
def test_taking_many_gives_no_more_than_asked_for(bed: Bed) -> None:
    """The rest stays for the next one."""
    queue = bed.queue()
    queue.subscribe()
    sent = [b"%d" % number for number in range(25)]
    queue.enqueue_many(sent)
    found: list[bytes] = []

    while len(found) < len(sent):
        batch = queue.reserve_many(7, timeout=scaled(5.0))
        assert 1 <= len(batch) <= 7
        assert queue.ack_many(batch) == [True] * len(batch)
        found += [delivery.job.body for delivery in batch]

    assert sorted(found) == sorted(sent)


@invariant("Q-BATCH-02")
def test_each_job_of_a_batch_ends_in_its_own_way(bed: Bed) -> None:
    """What was acked is gone, what was given back comes, what is in hand stays."""
    if not bed.claims("release"):
        raise NotApplicable(f"{bed.capabilities.adapter} gives nothing back")
    queue = bed.queue()
    queue.enqueue_many([b"%d" % number for number in range(6)])
    batch = queue.reserve_many(6, timeout=scaled(5.0), lease=LONG)
    assert len(batch) == 6

    batch[0].ack()
    batch[3].release()
    verbs = [(1, qcore.Verb.ACK), (4, qcore.Verb.RELEASE)]
    held = queue.settle_many([qcore.Settlement(batch[number], verb) for number, verb in verbs])

    assert held == [True, True]
    given_back = {batch[number].job.id for number in (3, 4)}
    assert {delivery.job.id for delivery in drained(queue)} == given_back
    assert queue.ack_many(batch) == [False, False, True, False, False, True]
    assert quiet(queue)


@invariant("Q-BATCH-02")
def test_each_job_of_a_batch_has_a_lease_of_its_own(bed: Bed) -> None:
    """An ack of some does not keep the others, nor does it end them."""
    if not bed.claims("lease"):
        raise NotApplicable(f"{bed.capabilities.adapter} has no leases")
    queue, lease = bed.queue(), 2 * bed.lease
    queue.enqueue_many([b"%d" % number for number in range(4)])
    batch = queue.reserve_many(4, timeout=scaled(5.0), lease=lease)
    if bed.claims("extend"):
        batch[3].extend(LONG)

    assert queue.ack_many(batch[:1]) == [True]

    again: list[bytes] = []
    while delivery := queue.reserve(timeout=lease + bed.slack):
        delivery.ack()
        again.append(delivery.job.body)
    ran_out = batch[1:3] if bed.claims("extend") else batch[1:]
    assert sorted(again) == sorted(delivery.job.body for delivery in ran_out)
