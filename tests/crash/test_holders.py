"""Holders that are killed: everything that they held comes again, once, and in time."""

from __future__ import annotations

import threading
import time

from qcore_conformance.waiting import scaled, wait_until
from tests.crash import acts
from tests.crash.scene import LEASE, RECOVERY, SLACK, Scene, bodies, contents
from tests.integration.actors import Line

HELD = 5


def test_all_jobs_of_a_killed_holder_come_again_in_time_while_everybody_else_idles(
    scene: Scene,
) -> None:
    """Whoever sleeps is woken by the end of a lease, not by luck."""
    jobs = bodies(HELD)
    ids = scene.watch.enqueue_many(jobs)
    worker = scene.work(acts.hold, "", HELD, LEASE).ready()
    began = time.monotonic()
    worker.go()
    assert worker.heard("holds") == ids
    held = time.monotonic()
    worker.kill()
    found = scene.collect(HELD)
    assert contents(came.delivery.job for came in found) == contents(jobs)
    assert {came.counts for came in found} == {(2, 1)}
    assert {came.delivery.number for came in found} == {2}
    assert all(came.at >= began + LEASE - SLACK for came in found)
    assert all(came.at <= held + LEASE + scaled(RECOVERY) for came in found)
    scene.assert_at_rest()


def test_jobs_of_a_killed_holder_come_again_in_time_while_the_only_other_one_is_busy(
    scene: Scene,
) -> None:
    """A consumer that always finds work recovers on its way."""
    ids = set(scene.watch.enqueue_many(bodies(HELD)))
    worker = scene.work(acts.hold, "", HELD, LEASE).ready()
    began = time.monotonic()
    worker.go()
    worker.heard("holds")
    held = time.monotonic()
    worker.kill()
    other = scene.line()
    other.enqueue_many(bodies(3))
    recovered: dict[str, float] = {}
    while len(recovered) < HELD and time.monotonic() < held + LEASE + scaled(RECOVERY):
        other.enqueue_many(bodies(2))
        for hand in other.reserve_many(2, 0):
            if hand.job.id in ids:
                recovered[hand.job.id] = time.monotonic()
            hand.ack()
    assert set(recovered) == ids
    assert all(at >= began + LEASE - SLACK for at in recovered.values())
    scene.assert_no_copies()


def test_what_was_only_taken_ahead_by_a_killed_consumer_loses_nothing(scene: Scene) -> None:
    """The job in its hands counts as a crash; the jobs behind it do not count at all."""
    names = ["quick", "quick", "quick", "stop", *(["behind"] * HELD)]
    scene.watch.enqueue_many([name.encode() for name in names])
    worker = scene.work(acts.stop_at, "", b"stop")
    worker.heard("stopped")
    wait_until(
        lambda: scene.ask("SCARD", scene.keys.one("started")) == 1,
        within=5.0,
        what="the broker knows what was started",
    )
    stats = scene.watch.stats()
    assert (stats.held, stats.acked) == (1 + HELD, 3)
    worker.kill()
    found = scene.collect(1 + HELD, within=LEASE + RECOVERY)
    assert sorted((came.delivery.job.body, *came.counts) for came in found) == [
        *[(b"behind", 1, 0)] * HELD,
        (b"stop", 2, 1),
    ]
    scene.assert_at_rest()


def test_a_consumer_keeps_what_it_holds_until_it_is_killed(scene: Scene) -> None:
    """Beats keep a job in hand for longer than its lease, and end with their process."""
    scene.watch.enqueue(b"stop")
    worker = scene.work(acts.stop_at, "", b"stop")
    worker.heard("stopped")
    assert scene.watch.reserve(2.5 * LEASE) is None
    last = time.monotonic()
    worker.kill()
    (came,) = scene.collect(1)
    assert came.counts == (2, 1)
    assert came.delivery.number == 2
    assert came.at <= last + LEASE + scaled(RECOVERY)
    scene.assert_at_rest()


def test_many_that_look_at_once_recover_each_job_once(scene: Scene) -> None:
    """N recoverers get one copy of each job, not N."""
    scene.watch.enqueue_many(bodies(HELD))
    worker = scene.work(acts.hold, "", HELD, LEASE).ready()
    worker.go()
    worker.heard("holds")
    others = [scene.line() for _ in range(4)]
    worker.kill()
    found: list[str] = []

    def look(line: Line) -> None:
        deadline = time.monotonic() + LEASE + scaled(RECOVERY)
        while len(found) < HELD and time.monotonic() < deadline:
            found.extend(hand.job.id for hand in line.reserve_many(HELD, 0.1, 60.0))

    threads = [threading.Thread(target=look, args=(line,)) for line in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == HELD
    scene.assert_no_copies()
