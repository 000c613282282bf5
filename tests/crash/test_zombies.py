"""Workers that are frozen past their lease and come back when others have their jobs."""

from __future__ import annotations

import pytest

from qcore_conformance.waiting import wait_until
from tests.crash import acts, scenarios
from tests.crash.scene import LEASE, RECOVERY, Scene

AHEAD = 4


@pytest.mark.parametrize("finished", [False, True], ids=["held", "finished"])
def test_whatever_a_zombie_tries_is_refused_and_changes_nothing(
    scene: Scene, *, finished: bool
) -> None:
    """Its jobs are with somebody else, or done; each way of settling them says so."""
    scenarios.zombie_settles(scene, finished=finished)


def test_a_zombie_that_consumes_starts_nothing_that_others_may_have(scene: Scene) -> None:
    """What it had taken ahead is no longer its own, and it knows so by its own clock."""
    scene.watch.enqueue_many([b"stop", *([b"behind"] * AHEAD)])
    zombie = scene.work(acts.stop_and_go_on).ready()
    zombie.pause()
    found = scene.collect(1 + AHEAD)
    assert {came.counts for came in found if came.delivery.job.body == b"behind"} == {(1, 0)}
    zombie.resume()
    zombie.go()
    assert zombie.heard("settled") == ("stop", "lease-lost")
    new = scene.watch.enqueue(b"new")
    assert zombie.heard("settled") == ("new", "")
    scene.assert_at_rest()
    assert new not in scene.whereabouts()


def test_a_zombie_learns_from_its_own_beat_that_it_lost_its_job(scene: Scene) -> None:
    """The delivery says so, before anybody tries to settle it."""
    scene.watch.enqueue(b"stop")
    zombie = scene.work(acts.watch_for_loss).ready()
    zombie.pause()
    (came,) = scene.collect(1)
    assert came.delivery.number == 2
    zombie.resume()
    zombie.go()
    zombie.heard("lost", within=LEASE + RECOVERY)
    scene.assert_at_rest()


def test_a_worker_that_is_frozen_for_less_than_its_lease_loses_nothing(scene: Scene) -> None:
    """Its beats go on when it wakes, and nobody else gets its jobs."""
    scene.watch.enqueue(b"stop")
    worker = scene.work(acts.stop_and_go_on).ready()
    worker.pause()
    assert scene.watch.reserve(0.4 * LEASE) is None
    worker.resume()
    assert scene.watch.reserve(1.5 * LEASE) is None
    worker.go()
    assert worker.heard("settled") == ("stop", "")
    wait_until(lambda: scene.tally() == {"acked": 1}, within=5.0, what="it is acked")
    scene.assert_at_rest()
