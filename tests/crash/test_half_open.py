"""Workers whose link dies without a word while they sleep: what they were handed comes again."""

from __future__ import annotations

import time

import pytest

from qcore_conformance.waiting import scaled, wait_until
from tests.crash import acts
from tests.crash.scene import LEASE, RECOVERY, Scene, asleep


@pytest.mark.parametrize("pause", [0.0, LEASE + 0.3], ids=["at-once", "after-a-lease"])
def test_a_job_that_is_handed_to_a_ghost_is_recovered(scene: Scene, pause: float) -> None:
    """The server gives it to a connection that nobody hears, while others sleep beside it."""
    proxy = scene.proxy()
    scene.work(acts.sleep_until_a_job_comes, scene.url(proxy.address))
    wait_until(lambda: asleep(proxy), within=5.0, what="the worker sleeps")
    proxy.half_open()
    other = scene.work(acts.sleep_until_a_job_comes)
    time.sleep(pause)  # the ghost's sleep has to go on for so long
    given = time.monotonic()
    job = scene.watch.enqueue(b"0")
    came = other.heard("came", within=LEASE + RECOVERY)
    assert came == (job, 1, 0)
    assert time.monotonic() - given <= LEASE + scaled(RECOVERY)
    scene.assert_no_copies()
    assert scene.tally() == {"acked": 1}


def test_a_job_that_is_handed_to_a_frozen_sleeper_is_recovered(scene: Scene) -> None:
    """Its process stands still, so that its reply lies in the socket; it wakes to nothing."""
    worker = scene.work(acts.sleep_until_a_job_comes)
    scene.wait_asleep()
    worker.pause()
    job = scene.watch.enqueue(b"0")
    (came,) = scene.collect(1)
    assert came.delivery.job.id == job
    assert came.counts == (1, 0)
    worker.resume()
    scene.watch.enqueue(b"1")
    worker.heard("came", within=LEASE + RECOVERY)
    wait_until(lambda: scene.tally() == {"acked": 2}, within=5.0, what="both are acked")
    scene.assert_at_rest()
