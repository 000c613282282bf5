"""Jobs that kill whoever works on them: counted, set apart, and harmless to those beside them."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import attrs
import pytest

import qcore
from qcore_conformance.acts import holding, poison
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, drained, quiet
from qcore_conformance.suite.aftermath import (
    CAME_AGAIN,
    FRESH,
    accounted,
    at_rest,
    collect,
    counts,
    horizon,
    lease_of,
)
from qcore_conformance.workers import Worker

_NEIGHBOURS = (b"before-1", b"before-2", b"behind-1", b"behind-2")
_MOST_DEATHS = 20


@attrs.frozen
class _Life:
    """What one worker said before it died, or until all was done."""

    poison: list[tuple[int, int, int]]
    done: list[tuple[bytes, int, int]]


def _need(bed: Bed) -> None:
    if not bed.claims("dead_letter", "stats", "lease"):
        raise NotApplicable("nothing is set aside, or nobody can see that it was")


def _lives(bed: Bed, queue: qcore.Queue, *, at_once: bool) -> list[_Life]:
    """Let one worker follow the other until one survives."""
    lives: list[_Life] = []
    while len(lives) < _MOST_DEATHS:
        # Short jobs first, so that each worker takes ahead by the time it meets what is deadly.
        urgent = 4 if bed.claims("priority") else 0
        queue.enqueue_many([qcore.NewJob(poison.SHORT, priority=urgent)] * 10)
        worker = bed.act(poison.die_while_consuming, "", bed.lease, at_once=at_once)
        bed.until(partial(_over, queue, worker), "the worker dies, or all is done")
        lives.append(_Life(worker.all_heard("poison"), worker.all_heard("done")))
        if worker.running:
            worker.close()
            break
    return lives


def _over(queue: qcore.Queue, worker: Worker[...]) -> bool:
    stats = queue.stats()
    rest = stats.ready + stats.delayed + stats.held
    return not worker.running or (stats.dead == 1 and rest == 0)


# A worker that dies within the few milliseconds before its start was told died of a job that, as
# far as anybody knows, it never began. That is not counted, but from then on the job goes alone.
@invariant("Q-ATT-02", "Q-OBS-02")
@pytest.mark.parametrize(
    ("at_once", "uncounted"), [(True, 1), (False, 0)], ids=["at-once", "later"]
)
def test_a_job_that_kills_its_workers_is_set_aside(
    bed: Bed, *, at_once: bool, uncounted: int
) -> None:
    """After some crashes, each counted; its neighbours are done and lose nothing."""
    _need(bed)
    queue = bed.queue()
    queue.enqueue_many([*_NEIGHBOURS[:2], poison.POISON, *_NEIGHBOURS[2:]])

    lives = _lives(bed, queue, at_once=at_once)

    deaths = [death for life in lives for death in life.poison]
    done = [one for life in lives for one in life.done]
    bed.figure("workers that died of one job", len(deaths), "")
    crashes = [count for _, count, _ in deaths]
    limit = max(crashes) + 1
    assert crashes in [[0] * extra + list(range(limit)) for extra in range(uncounted + 1)]
    assert [attempt for attempt, _, _ in deaths] == [1 + count for count in crashes]
    assert {beside for _, _, beside in deaths} == {0}, "it was not handed out alone"
    assert sorted(done) == [(body, *FRESH) for body in sorted(_NEIGHBOURS)]
    _one_dead(bed, queue, limit)


def _one_dead(bed: Bed, queue: qcore.Queue, crashes: int) -> None:
    """The deadly job is set aside, says why, and can be sent back as new."""
    assert quiet(queue, bed.lease + bed.slack)
    accounted(bed, queue)
    if bed.claims("peek"):
        (dead,) = queue.peek("dead")
        assert dead.job is not None
        assert (dead.job.body, dead.crashes) == (poison.POISON, crashes)
        assert dead.note
    if bed.claims("redrive"):
        assert queue.redrive() == 1
        (came,) = collect(bed, queue, 1)
        assert counts(bed, [came]) <= {FRESH}
        at_rest(bed, queue)


@invariant("Q-ATT-02", "Q-DLQ-02")
def test_a_job_that_is_reserved_alone_dies_with_its_workers(bed: Bed) -> None:
    """Nothing was taken ahead: each death counts, however soon it comes."""
    _need(bed)
    queue = bed.queue()
    queue.enqueue(poison.POISON)

    found: list[Any] = []
    while queue.stats().dead == 0 and len(found) < _MOST_DEATHS:
        worker = bed.act(poison.die_of_a_reserved_one, "", bed.lease)
        bed.until(partial(_over, queue, worker), "the worker dies, or the job does")
        found += worker.all_heard("poison")
        worker.close()

    assert found == [(1 + count, count) for count in range(len(found))]
    _one_dead(bed, queue, len(found))


@invariant("Q-ATT-02")
def test_a_job_that_may_have_killed_a_worker_is_handed_out_alone(bed: Bed) -> None:
    """Though many were asked for and many wait behind it."""
    queue, lease = bed.queue(), lease_of(bed)
    deadly = queue.enqueue(b"deadly")
    worker = bed.act(holding.hold, "", 1, lease).ready()
    worker.go()
    worker.heard("holds")
    queue.enqueue_many([b"harmless"] * 5)
    worker.kill()
    # What waits is taken first, so that what comes next is what is recovered.
    harmless = queue.reserve_many(5, timeout=0.0, lease=LONG)
    first = queue.reserve_many(10, horizon(bed, lease), LONG)
    for one in harmless:
        if bed.claims("release"):
            one.release()

    assert [one.job.id for one in first] == [deadly]
    assert (first[0].attempt, first[0].crashes) == CAME_AGAIN
    assert queue.ack_many(first) == [True]
    left = drained(queue) if bed.claims("release") else harmless
    assert {(one.attempt, one.crashes) for one in left} == {FRESH}


@invariant("Q-ATT-02")
def test_each_of_several_suspects_is_handed_out_alone(bed: Bed) -> None:
    """One of them killed their worker, and nobody knows which."""
    queue, lease = bed.queue(), lease_of(bed)
    ids = queue.enqueue_many([b"%d" % number for number in range(3)])
    worker = bed.act(holding.hold, "", 3, lease).ready()
    worker.go()
    worker.heard("holds")
    worker.kill()

    found: list[list[qcore.Delivery]] = []
    for _ in itertools.repeat(None, 3):
        found.append(queue.reserve_many(10, horizon(bed, lease), LONG))
        queue.ack_many(found[-1])

    assert [len(batch) for batch in found] == [1, 1, 1]
    assert sorted(one.job.id for batch in found for one in batch) == sorted(ids)
    at_rest(bed, queue)
