"""Draining: a worker that is told to leave finishes what it does and gives back the rest."""

from __future__ import annotations

import random
import time

import qcore
from qcore_conformance.acts import leaving
from qcore_conformance.acts.poison import SHORT
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.scenes import LONG, pass_time, quiet
from qcore_conformance.suite.aftermath import FRESH, at_rest, collect, counts
from qcore_conformance.waiting import scaled
from qcore_conformance.workers import Worker

_AHEAD = 4
_SOON = 10.0
"""Seconds within which no lease of these tests ends."""


def _lease(bed: Bed) -> float | None:
    return LONG if bed.claims("lease") else None


def _drain(bed: Bed, queue: qcore.Queue) -> Worker[float | None]:
    """A worker that works on one job and has taken others ahead."""
    worker = bed.act(leaving.leave_on_sigterm, "", _lease(bed)).ready()
    queue.enqueue_many([SHORT] * 200)
    worker.heard("works")
    queue.enqueue_many([leaving.STOP, *([b"behind"] * _AHEAD)])
    worker.heard("stopped")
    return worker


def _leave(bed: Bed, worker: Worker[...], told: float) -> int:
    """See that a worker leaves by itself, without an error; says how much it has done."""
    done, refused = worker.heard("left")
    assert worker.ended() == 0
    assert refused == []
    bed.figure("from SIGTERM to the end", (time.monotonic() - told) * 1000, "ms")
    return int(done)


@invariant("Q-CANCEL-05", "Q-CLOSE-01", "Q-OBS-02")
def test_a_worker_told_to_leave_gives_back_what_it_did_not_start(bed: Bed) -> None:
    """At once and uncounted, while the job in its hands goes on to its end."""
    if not bed.claims("release"):
        raise NotApplicable("no job can be given back")
    queue = bed.queue()
    worker = _drain(bed, queue)
    if bed.claims("stats") and queue.stats().held < 2:
        raise NotApplicable("this adapter takes nothing ahead")

    told = time.monotonic()
    worker.terminate()
    found = collect(bed, queue, _AHEAD, scaled(_SOON))

    assert {came.delivery.job.body for came in found} == {b"behind"}
    assert counts(bed, found) <= {FRESH}
    assert worker.running
    assert not bed.claims("stats") or queue.stats().held == 1
    worker.go()
    _leave(bed, worker, told)
    at_rest(bed, queue)


@invariant("Q-CANCEL-05")
def test_a_worker_told_to_leave_takes_no_more(bed: Bed) -> None:
    """What comes after the signal is for others, however long its last job takes."""
    queue = bed.queue()
    worker = _drain(bed, queue)
    worker.terminate()
    if bed.claims("release"):
        collect(bed, queue, _AHEAD, scaled(_SOON))

    told = time.monotonic()
    late = queue.enqueue_many([b"late"] * 3)
    worker.go()
    done = _leave(bed, worker, told)

    assert done == 201 if bed.claims("release") else done >= 201
    found = collect(bed, queue, 3, scaled(_SOON))
    assert sorted(came.delivery.job.id for came in found) == sorted(late)
    assert counts(bed, found) <= {FRESH}
    at_rest(bed, queue)


@invariant("Q-CANCEL-05")
def test_a_worker_that_sleeps_leaves_at_once(bed: Bed) -> None:
    """It is woken, and takes nothing with it."""
    queue = bed.queue()
    worker = bed.act(leaving.leave_on_sigterm, "", _lease(bed)).ready()
    queue.enqueue(b"")
    worker.heard("works")
    assert quiet(queue)

    told = time.monotonic()
    worker.terminate()
    assert _leave(bed, worker, told) == 1

    assert time.monotonic() - told < scaled(3.0)
    queue.enqueue(b"")
    collect(bed, queue, 1, scaled(_SOON))
    at_rest(bed, queue)


@invariant("Q-CANCEL-05", "Q-OBS-02")
def test_workers_can_be_told_to_leave_at_any_moment(bed: Bed) -> None:
    """None fails, none strands a job, and what they did not do can be had at once."""
    queue, rounds, done, total = bed.queue(), bed.many(30, 6), 0, 0
    for _ in range(rounds):
        # More than one of them can do in the time that it gets.
        total += len(queue.enqueue_many([b""] * 1000))
        worker = bed.act(leaving.leave_on_sigterm, "", _lease(bed))
        worker.heard("works")
        pass_time(time.monotonic() + random.uniform(0, 0.03))
        worker.terminate()
        done += _leave(bed, worker, time.monotonic())

    bed.figure("workers told to leave", rounds, "")
    if done >= total:
        raise Unknown("nothing was left to be given back")
    left = total - done
    found = collect(bed, queue, left, scaled(_SOON + left / 1000))
    assert counts(bed, found) <= {FRESH}
    at_rest(bed, queue)


@invariant("Q-CANCEL-05")
@in_colour(Colour.SYNC, "handlers of asyncio run between two steps of the loop")
def test_signals_may_strike_a_consumer_anywhere(bed: Bed) -> None:
    """A handler that closes it never meets a lock that its own thread holds."""
    if not bed.claims("release"):
        raise NotApplicable("no job can be given back")
    queue, count = bed.queue(), 50
    queue.enqueue_many([b""] * count)
    worker = bed.act(leaving.leave_at_random, "", _lease(bed), 0.5 + bed.many(100) / 100)

    rounds = worker.heard("left", within=20.0)

    assert worker.ended() == 0
    bed.figure("consumers closed by a signal", rounds, "")
    if rounds < 10:
        raise Unknown(f"only {rounds} signals")
    found = collect(bed, queue, count, scaled(_SOON))
    assert counts(bed, found) <= {FRESH}
    at_rest(bed, queue)
