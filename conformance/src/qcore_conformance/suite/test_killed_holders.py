"""Holders that are killed: all that they held comes again, once and in time, and nothing else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import qcore
from qcore_conformance.acts import holding
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.scenes import CLOCKS, LONG, at_once, drained, quiet
from qcore_conformance.suite.aftermath import (
    CAME_AGAIN,
    FRESH,
    Came,
    accounted,
    arrivals,
    at_rest,
    bodies,
    collect,
    contents,
    counts,
    horizon,
    lease_of,
)
from qcore_conformance.waiting import scaled

_HELD = 5


@invariant("Q-ACK-01", "Q-OBS-02")
def test_an_acked_job_stays_gone_when_its_worker_is_killed(bed: Bed) -> None:
    """What it acked by one and by many is done; only what it did not ack comes again."""
    queue = bed.queue()
    ids = set(queue.enqueue_many([b"same"] * 7))
    worker = bed.act(holding.ack_and_hold, "", 7, 2, lease_of(bed))
    acked = set(worker.heard("acked"))
    if bed.claims("stats"):
        stats = queue.stats()
        assert (stats.acked, stats.held, stats.ready) == (4, 3, 0)
    worker.kill()

    found = collect(bed, queue, 3)

    assert {came.delivery.job.id for came in found} == ids - acked
    assert quiet(queue, (lease_of(bed) or 0.0) + bed.slack)
    at_rest(bed, queue)


@invariant("Q-REC-01", "Q-LEASE-02", "Q-OBS-02")
def test_all_jobs_of_a_killed_holder_come_again_to_one_who_sleeps(bed: Bed) -> None:
    """Whole, counted as a crash, in time: whoever sleeps is woken by the end of a lease."""
    queue, jobs = bed.queue(), bodies(_HELD)
    ids = queue.enqueue_many(jobs)
    worker = bed.act(holding.hold, "", _HELD, lease_of(bed)).ready()
    began = time.monotonic()
    worker.go()
    assert worker.heard("holds") == sorted(ids)
    held = time.monotonic()
    if bed.claims("stats"):
        stats = queue.stats()
        assert (stats.held, stats.ready) == (_HELD, 0)
    worker.kill()

    found = collect(bed, queue, _HELD)

    assert contents(came.delivery.job for came in found) == contents(jobs)
    assert counts(bed, found) <= {CAME_AGAIN}
    assert not bed.claims("attempts") or {came.delivery.number for came in found} == {2}
    _in_time(bed, began, held, [came.at for came in found])
    at_rest(bed, queue)


def _in_time(bed: Bed, asked: float, held: float, came: list[float]) -> None:
    """Not before the end of a lease that began when it was asked for, and soon after it."""
    if bed.claims("lease"):
        late = [at - held - bed.lease for at in came]
        bed.figure("recovery after the lease of a killed holder", max(late) * 1000, "ms")
        assert min(came) - asked >= bed.lease - CLOCKS
        assert max(late) <= bed.recovery


@invariant("Q-LEASE-02", "Q-REC-01")
def test_jobs_of_a_killed_holder_come_again_to_one_who_is_busy(bed: Bed) -> None:
    """A consumer that always finds work recovers on its way."""
    queue = bed.queue()
    ids = set(queue.enqueue_many(bodies(_HELD)))
    worker = bed.act(holding.hold, "", _HELD, lease_of(bed)).ready()
    began = time.monotonic()
    worker.go()
    worker.heard("holds")
    held = time.monotonic()
    worker.kill()

    queue.enqueue_many([b"more"] * 50)
    recovered, deadline = dict[str, float](), held + scaled(10.0)
    while len(recovered) < _HELD and time.monotonic() < deadline:
        batch = queue.reserve_many(5, timeout=0.0)
        if not batch:
            raise Unknown("the consumer was not kept busy")
        queue.enqueue_many([b"more"] * len(batch))
        now = time.monotonic()
        recovered |= {one.job.id: now for one in batch if one.job.id in ids}
        queue.ack_many(batch)

    assert set(recovered) == ids
    _in_time(bed, began, held, list(recovered.values()))
    accounted(bed, queue)


@invariant("Q-LEASE-10", "Q-REC-01", "Q-OBS-02")
def test_many_that_recover_at_once_get_one_copy_of_each_job(bed: Bed) -> None:
    """N recoverers, asleep or busy looking, and each job is with one of them."""
    queue, many = bed.queue(), bed.many(100, 20)
    ids = queue.enqueue_many([b"%d" % number for number in range(many)])
    others = [bed.connect().queue("q") for _ in range(4)]
    worker = bed.act(holding.hold, "", many, lease_of(bed, 2.0)).ready()
    worker.go()
    worker.heard("holds")
    worker.kill()
    until = time.monotonic() + horizon(bed, lease_of(bed, 2.0))

    def recover(other: qcore.Queue, patience: float) -> list[qcore.Delivery]:
        found: list[qcore.Delivery] = []
        while (rest := until - time.monotonic()) > 0:
            found += other.reserve_many(10, min(rest, patience), LONG)
        return found

    patiences = (0.0, 0.01, LONG, LONG)
    looking = [partial(recover, *pair) for pair in zip(others, patiences, strict=True)]
    found = [one for part in at_once(*looking) for one in part]

    assert sorted(one.job.id for one in found) == sorted(ids)
    assert all(queue.ack_many(found))
    at_rest(bed, queue)


@invariant("Q-REC-01", "Q-ATT-02", "Q-OBS-02")
def test_what_a_killed_consumer_had_only_taken_ahead_is_not_counted(bed: Bed) -> None:
    """The job in its hands counts as a crash; those behind it lose nothing."""
    queue = bed.queue()
    worker = bed.act(holding.take_ahead, "", _HELD, lease_of(bed, 2.0))
    began = worker.heard("began")
    if bed.claims("stats") and queue.stats().held < _HELD:
        raise NotApplicable("this adapter takes nothing ahead")
    worker.kill()

    found = collect(bed, queue, _HELD, horizon(bed, lease_of(bed, 2.0)))

    in_hand = [came for came in found if came.delivery.job.id == began]
    behind = [came for came in found if came.delivery.job.id != began]
    assert len(in_hand) == 1
    assert counts(bed, in_hand) <= {CAME_AGAIN}
    assert counts(bed, behind) <= {FRESH}
    at_rest(bed, queue)


@invariant("Q-LEASE-02", "Q-LEASE-04")
def test_a_consumer_keeps_its_job_until_it_is_killed(bed: Bed) -> None:
    """Beats keep a job for longer than its lease, and end with their process."""
    if not bed.claims("extend"):
        raise NotApplicable("no lease can be kept")
    queue = bed.queue()
    job_id = queue.enqueue(b"")
    worker = bed.act(holding.hold_for_ever, "", bed.lease)
    assert worker.heard("holds") == job_id
    assert quiet(queue, 3 * bed.lease)
    worker.kill()

    (came,) = collect(bed, queue, 1)

    assert counts(bed, [came]) <= {CAME_AGAIN}
    assert came.delivery.number == 2
    at_rest(bed, queue)


@invariant("Q-RETRY-01", "Q-OBS-02")
def test_a_retried_job_comes_when_it_is_due_though_its_worker_was_killed(bed: Bed) -> None:
    """Not before its delay is over, counted, and without anybody's help."""
    queue, delay = bed.queue(), 2 * bed.lease
    job_id = queue.enqueue(b"again")
    worker = bed.act(holding.retry_and_stay, "", delay, _long(bed)).ready()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_first, bed, queue, delay + scaled(10.0))
        asked = time.monotonic()
        worker.go()
        worker.heard("retried")
        given = time.monotonic()
        worker.kill()
        came = coming.result()

    assert came.delivery.job.id == job_id
    assert counts(bed, [came]) <= {(2, 0)}
    bed.figure("a retry after its delay", (came.at - given - delay) * 1000, "ms")
    assert came.at - asked >= delay - CLOCKS
    assert came.at - given <= delay + bed.slack + bed.poll + scaled(0.5)
    came.delivery.ack()
    at_rest(bed, queue)


def _long(bed: Bed) -> float | None:
    return LONG if bed.claims("lease") else None


def _first(bed: Bed, queue: qcore.Queue, within: float) -> Came:
    """The first job that comes."""
    came = next(arrivals(bed, queue, within), None)
    assert came is not None, f"nothing came in {within:g} s"
    return came


@invariant("Q-PUB-02")
def test_what_a_killed_subscriber_had_taken_is_not_delivered_again(bed: Bed) -> None:
    """Neither to those who listen beside it nor to who comes after it; others hear everything."""
    other, total = bed.queue(), 10
    other.subscribe()
    victim = bed.act(holding.hear, "", 3).ready()
    sent = list(other.enqueue_many([b"%d" % number for number in range(total)]))
    victim.go()
    heard = victim.heard("holds")
    victim.kill()

    successor = bed.connect().queue("q")
    successor.subscribe()
    assert quiet(successor, bed.slack)
    assert [one.job.id for one in drained(other)] == sent
    later = other.enqueue_many([b"later"] * 3)

    assert heard == sent[:3]
    bed.figure("jobs that a killed subscriber had not taken", total - len(heard), f"of {total}")
    assert [one.job.id for one in drained(successor)] == list(later)
    assert [one.job.id for one in drained(other)] == list(later)


@invariant("Q-ACK-01")
def test_a_job_that_was_acked_just_before_the_kill_stays_gone(bed: Bed) -> None:
    """However soon the kill comes after the ack has returned, and though it was acked last."""
    queue, rounds = bed.queue(), bed.many(20, 4)
    queue.enqueue_many([b"%d" % number for number in range(2 * rounds)])
    for _ in range(rounds):
        worker = bed.act(holding.ack_and_hold, "", 1, 1, _long(bed))
        worker.heard("acked")
        worker.kill()

    assert len(drained(queue)) == rounds
    at_rest(bed, queue)
