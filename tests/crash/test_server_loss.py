"""Servers that die, are restarted or stand still, under the hands of many workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees, Minimum
from qcore_conformance.servers import Server
from qcore_conformance.verdicts import Verdict
from qcore_conformance.waiting import scaled, wait_until
from tests.crash import crowd
from tests.crash.arena import Arena
from tests.crash.conftest import Note, load_scripts
from tests.crash.scene import LEASE, Scene
from tests.integration.stage import EDGES, Place, places

# Written to the file before each reply. With everysec the server holds writes back while the disk
# is slow, and they die with it.
DURABLE = {"appendonly": "yes", "appendfsync": "no"}
LOAD = 0.7
"""Seconds of work between two faults."""
CREW = {
    "p0": crowd.produce,
    "p1": crowd.produce,
    "c0": crowd.consume,
    "c1": crowd.consume,
    "r0": crowd.reserve,
    "r1": crowd.reserve,
}


@pytest.fixture(params=places(EDGES), ids=str)
def own(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A scene with a server of its own, which keeps an append-only file."""
    place: Place = request.param
    with Server(place.binary, settings=DURABLE) as server, Scene(place, server) as scene:
        load_scripts(server)
        yield scene


def _pause(server: Server, seconds: float) -> Callable[[], None]:
    def act() -> None:
        server.pause()
        time.sleep(seconds)  # what is tested is how long it stands still
        server.resume()

    return act


def test_jobs_survive_a_server_that_is_killed_restarted_and_frozen_under_load(
    own: Scene, tmp_path: Path, record_property: Note
) -> None:
    """No enqueue that returned is lost, no ack that returned comes back, and all go on alone."""
    server, lease = own.server, scaled(LEASE)

    def kill() -> None:
        server.kill()
        server.start()

    faults = [
        (FaultKind.KILL_SERVER, kill),
        (FaultKind.RESTART_SERVER, server.restart),
        (FaultKind.PAUSE_SERVER, _pause(server, lease / 2)),
        (FaultKind.PAUSE_SERVER, _pause(server, 2 * lease)),
        (FaultKind.KILL_SERVER, kill),
    ]
    # Beats are not in the history, so all that is sure of a kept lease is what one beat leaves.
    with Arena(own, tmp_path, lease=LEASE, kept=lease / 3, seed=0) as arena:
        arena.employ(CREW)
        for fault, act in faults:
            _wait_for_work(own)
            arena.break_server(fault, act)
        _wait_for_work(own)
        arena.stop()
        outcome = arena.judge(
            Guarantees(
                attempts=True, fenced=True, delays=True, minimum=Minimum(calls=100, faults=5)
            )
        )
        record_property("crash", outcome.summary)
        assert outcome.report.verdict is Verdict.PASS, outcome.report.text()


def _wait_for_work(scene: Scene) -> None:
    """Let the crowd work for a while, and insist that all kinds of work go on."""
    before = scene.watch.stats()
    time.sleep(scaled(LOAD))

    def goes_on() -> bool:
        now = scene.watch.stats()
        return now.enqueued > before.enqueued + 20 and now.acked > before.acked + 20

    wait_until(goes_on, within=15.0, what="jobs are enqueued and acked")
