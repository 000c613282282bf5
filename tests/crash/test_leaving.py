"""Workers that leave in good order, and those that die while they do."""

from __future__ import annotations

import time

import pytest

from qcore_conformance.plans import Cut, HalfOpen, Hook, When
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.waiting import scaled, wait_until
from tests.crash import acts
from tests.crash.scene import FLUSH, LEASE, Scene, asleep
from tests.crash.workers import Worker

AHEAD = 4
MOMENTS = (When.BEFORE_REQUEST, When.BEFORE_REPLY, When.AFTER_REPLY)
SOON = 0.5 * LEASE
"""Seconds within which nobody's lease ends."""


def _drained(scene: Scene, url: str = "") -> Worker[[]]:
    """A worker that holds one job, has taken others ahead, and leaves on SIGTERM."""
    scene.watch.enqueue_many([b"stop", *([b"behind"] * AHEAD)])
    worker = scene.work(acts.leave_on_sigterm, url).ready()
    worker.go()
    worker.heard("stopped")
    assert scene.watch.stats().held == 1 + AHEAD
    return worker


def test_a_consumer_told_to_leave_gives_back_at_once_what_it_did_not_start(scene: Scene) -> None:
    """Nobody waits for a lease, and nothing is counted."""
    worker = _drained(scene)
    worker.terminate()
    found = scene.collect(AHEAD, within=SOON)
    assert {(came.delivery.job.body, *came.counts) for came in found} == {(b"behind", 1, 0)}
    worker.go()
    assert worker.ended() == 0
    scene.assert_at_rest()


def test_a_consumer_told_to_leave_keeps_the_job_in_its_hands_until_that_is_done(
    scene: Scene,
) -> None:
    """A drain may take longer than a lease."""
    worker = _drained(scene)
    worker.terminate()
    scene.collect(AHEAD, within=SOON)
    assert scene.watch.reserve(2 * LEASE) is None
    worker.go()
    assert worker.heard("left") == (1, [])
    assert worker.ended() == 0
    scene.assert_at_rest()


def _expect_the_rest(scene: Scene, worker: Worker[[]]) -> None:
    """The worker leaves, and all that it has not done can be had at once, uncounted."""
    done, refused = worker.heard("left", within=5.0)
    assert refused == []
    assert worker.ended() == 0
    stats = scene.watch.stats()
    assert (stats.held, stats.acked) == (0, done)
    found = scene.collect(stats.ready, within=SOON)
    assert {came.counts for came in found} <= {(1, 0)}
    scene.assert_at_rest()


@pytest.mark.parametrize("when", MOMENTS)
def test_a_consumer_can_be_told_to_leave_in_the_middle_of_an_ack(scene: Scene, when: When) -> None:
    """The signal strikes while the ack is on its way, in the very thread that sent it."""
    proxy = scene.proxy()
    worker = _drained(scene, scene.url(proxy.address))
    proxy.plan(Hook(exchange=1, when=when, commands=FLUSH, run=worker.terminate))
    worker.go()
    proxy.wait_fired()
    _expect_the_rest(scene, worker)


@pytest.mark.parametrize("when", MOMENTS)
def test_a_consumer_can_be_told_to_leave_in_the_middle_of_a_take(scene: Scene, when: When) -> None:
    """What the take brings is given back, since nobody will start it."""
    scene.watch.enqueue_many([b"behind"] * AHEAD)
    proxy = scene.proxy()
    worker = scene.work(acts.leave_on_sigterm, scene.url(proxy.address)).ready()
    proxy.plan(Hook(exchange=1, when=when, commands=FLUSH, run=worker.terminate))
    worker.go()
    proxy.wait_fired()
    _expect_the_rest(scene, worker)


def test_a_sleeping_consumer_leaves_at_once(scene: Scene) -> None:
    """It is woken, and takes nothing with it."""
    worker = scene.work(acts.leave_on_sigterm).ready()
    worker.go()
    scene.wait_asleep()
    told = time.monotonic()
    worker.terminate()
    assert worker.heard("left", within=1.0) == (0, [])
    assert worker.ended() == 0
    assert time.monotonic() - told < scaled(1.0)
    scene.watch.enqueue(b"0")
    scene.collect(1, within=SOON)
    scene.assert_at_rest()


def test_a_take_that_brings_an_unreadable_job_as_the_consumer_leaves_strands_nothing(
    scene: Scene,
) -> None:
    """Setting one job aside is no reason to forget the others."""
    scene.watch.enqueue_many([b"behind"] * AHEAD)
    scene.store_junk()
    proxy = scene.proxy()
    worker = scene.work(acts.leave_on_sigterm, scene.url(proxy.address)).ready()
    proxy.plan(Hook(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH, run=worker.terminate))
    worker.go()
    proxy.wait_fired()
    done, _ = worker.heard("left", within=5.0)
    assert worker.ended() == 0
    scene.collect(AHEAD - done, within=SOON)
    assert scene.tally() == {"acked": AHEAD, "dead": 1}


def test_signals_may_strike_a_consumer_anywhere(scene: Scene) -> None:
    """A handler that closes the consumer never meets a lock that its own thread holds."""
    if scene.place.colour == "async":
        pytest.skip("handlers of asyncio run between two steps of the loop")
    count = 50
    scene.watch.enqueue_many([b"0"] * count)
    worker = scene.work(acts.leave_at_random, "", 1.5)
    rounds = worker.heard("left", within=20.0)
    assert worker.ended() == 0
    assert rounds > 50, "too few signals to prove anything"
    found = scene.collect(count, within=SOON)
    assert {came.counts for came in found} == {(1, 0)}
    scene.assert_at_rest()


def _two_sleepers(scene: Scene, act: acts.Leaving) -> tuple[CountingProxy, Worker[[]]]:
    """A worker with two sleepers on one connection, of which the second is slow to leave.

    Its request to be woken never arrives, so that it sleeps on when the first one has left.
    """
    proxy = scene.proxy()
    worker = scene.work(act, scene.url(proxy.address))
    wait_until(lambda: asleep(proxy, 2), within=5.0, what="both sleep")
    return proxy, worker.ready()


@pytest.mark.parametrize("act", [acts.one_of_two_leaves, acts.all_leave], ids=["one", "all"])
def test_a_job_that_reaches_the_last_sleeper_of_a_connection_that_dies_leaving_is_recovered(
    scene: Scene, act: acts.Leaving
) -> None:
    """A connection is forgotten only when nothing can reach it any more."""
    if not scene.is_list:
        pytest.skip("only the list adapter hands jobs to sleepers")
    proxy, worker = _two_sleepers(scene, act)
    job: list[str] = []

    def hand_over_and_die() -> None:
        job.append(scene.watch.enqueue(b"0"))
        worker.kill()
        proxy.cut()

    proxy.plan(
        HalfOpen(exchange=2, when=When.BEFORE_REQUEST, commands={"CLIENT"}),
        Hook(exchange=1, when=When.AFTER_REPLY, commands=FLUSH, run=hand_over_and_die),
        Cut(exchange=1, when=When.AFTER_REPLY, commands=FLUSH),
    )
    worker.go()
    proxy.wait_fired(3)
    assert list(scene.whereabouts()) == job
    (came,) = scene.collect(1)
    assert came.delivery.job.id == job[0]
    assert came.counts == (1, 0)
    scene.assert_at_rest()
