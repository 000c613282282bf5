"""Many workers, of which one is killed every fifth of a second.

QCORE_SOAK=SECONDS makes it longer, for as many seconds in each place; then run it with
``--timeout 0``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qcore_conformance.guarantees import Guarantees, Minimum
from qcore_conformance.verdicts import Verdict
from qcore_conformance.waiting import scaled
from tests.crash import crowd
from tests.crash.arena import Arena
from tests.crash.conftest import Note, Servers
from tests.crash.scene import RECOVERY, Scene
from tests.integration.stage import EDGES, Place, places

SECONDS = float(os.environ.get("QCORE_SOAK", "8"))
EVERY = 0.2
LEASE = 1.5
PRODUCERS = 4
CONSUMERS = 6

CREW = {
    **{f"p{number}": crowd.produce for number in range(PRODUCERS)},
    **{f"c{number}": crowd.consume for number in range(CONSUMERS // 2)},
    **{f"r{number}": crowd.reserve for number in range(CONSUMERS // 2)},
}


@pytest.mark.timeout(60 + 4 * SECONDS)
@pytest.mark.parametrize("place", places(EDGES), ids=str)
def test_nothing_is_lost_or_comes_back_while_workers_die(
    place: Place,
    servers: Servers,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    record_property: Note,
) -> None:
    """Lost 0, unexpected 0, unexplained duplicates 0, resurrected 0; and the kills did strike."""
    assert place.binary is not None
    seed = int(str(request.config.getoption("randomly_seed", default=0)))
    with (
        Scene(place, servers(place.binary)) as scene,
        Arena(scene, tmp_path, lease=LEASE, kept=None, seed=seed) as arena,
    ):
        arena.employ(CREW)
        end = time.monotonic() + scaled(SECONDS)
        while time.monotonic() < end:
            time.sleep(EVERY)  # the pace of the kills
            arena.kill_one()
        arena.stop()
        promised = Guarantees(
            attempts=True,
            fenced=True,
            delays=True,
            recovery=scaled(RECOVERY),
            minimum=Minimum(
                calls=round(30 * SECONDS),
                kills=round(SECONDS / 2),
                redeliveries=round(SECONDS),
                faults=round(SECONDS),
            ),
        )
        outcome = arena.judge(promised)
        record_property("crash", outcome.summary)
        assert outcome.report.verdict is Verdict.PASS, outcome.report.text()
