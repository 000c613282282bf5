"""Zombies: workers that are frozen past their lease and wake when others have their jobs."""

from __future__ import annotations

from functools import partial
from itertools import islice

import pytest

import qcore
from qcore_conformance.acts import settling
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import quiet
from qcore_conformance.suite.aftermath import (
    FRESH,
    arrivals,
    at_rest,
    collect,
    counts,
    horizon,
    lease_of,
    tally,
)


def _ways(bed: Bed) -> list[str]:
    return [way for way in settling.WAYS if way == "ack" or bed.claims(way)]


@invariant("Q-LEASE-05", "Q-OBS-02")
@pytest.mark.parametrize("finished", [False, True], ids=["held", "finished"])
def test_whatever_a_zombie_tries_is_refused_and_changes_nothing(
    bed: Bed, *, finished: bool
) -> None:
    """Its jobs are with somebody else, or done; each way of settling them says so."""
    queue, ways = bed.queue(), _ways(bed)
    queue.enqueue_many([way.encode() for way in ways])
    zombie = bed.act(settling.settle_each_its_own_way, "", ways, lease_of(bed)).ready()
    bed.freeze(zombie)
    coming = arrivals(bed, queue, horizon(bed, lease_of(bed)))
    found = [came.delivery for came in islice(coming, len(ways))]
    assert sorted(one.job.body.decode() for one in found) == sorted(ways)
    if finished:
        assert all(queue.ack_many(found))
    before = tally(queue) if bed.claims("stats") else {}

    zombie.resume()
    zombie.go()

    assert zombie.heard("tried") == dict.fromkeys(ways, settling.LOST)
    if bed.claims("stats"):
        assert tally(queue) == before
    if not finished:
        # Neither ended nor made shorter or longer by the one who had it before.
        assert quiet(queue, bed.slack)
        assert all(queue.ack_many(found))
    at_rest(bed, queue)


@invariant("Q-LEASE-05")
def test_a_zombie_starts_nothing_that_it_had_taken_ahead(bed: Bed) -> None:
    """What others may have is no longer its own, and it knows so by its own clock."""
    queue, count, lease = bed.queue(), 5, lease_of(bed, 2.0)
    zombie = bed.act(settling.consume_again, "", count, lease).ready()
    if bed.claims("stats") and queue.stats().held < count:
        raise NotApplicable("this adapter takes nothing ahead")
    bed.freeze(zombie)
    found = collect(bed, queue, count, horizon(bed, lease))
    assert sum(counts(bed, [came]) == {FRESH} for came in found) >= count - 1

    zombie.resume()
    zombie.go()
    held, outcome = zombie.heard("settled")
    new = queue.enqueue(b"new")

    assert held in [came.delivery.job.id for came in found]
    assert outcome == settling.LOST
    assert zombie.heard("settled") == (new, "")
    at_rest(bed, queue)


@invariant("Q-LEASE-05")
def test_a_zombie_learns_that_it_lost_its_job_before_it_settles(bed: Bed) -> None:
    """From its own clock and its own beats."""
    queue = bed.queue()
    job_id = queue.enqueue(b"")
    zombie = bed.act(settling.see_the_loss, "", lease_of(bed)).ready()
    bed.freeze(zombie)
    (came,) = collect(bed, queue, 1)
    assert came.delivery.job.id == job_id

    zombie.resume()
    zombie.go()

    zombie.heard("lost")
    at_rest(bed, queue)


@invariant("Q-LEASE-05", "Q-LEASE-04")
def test_a_worker_that_is_frozen_for_less_than_its_lease_loses_nothing(bed: Bed) -> None:
    """Its beats go on when it wakes, and nobody else gets its job."""
    if not bed.claims("extend"):
        raise NotApplicable("no lease can be kept")
    queue, lease = bed.queue(), 3 * bed.lease
    queue.enqueue(b"")
    worker = bed.act(settling.stop_and_ack, "", lease).ready()
    for _ in range(3):
        bed.freeze(worker)
        assert quiet(queue, 0.3 * lease)
        worker.resume()
        assert quiet(queue, 0.4 * lease)

    worker.go()

    assert worker.heard("settled") == ""
    bed.until(partial(_nothing_held, bed, queue), "it is acked")
    at_rest(bed, queue)


def _nothing_held(bed: Bed, queue: qcore.Queue) -> bool:
    return not bed.claims("stats") or queue.stats().held == 0
