"""A loss of power: what was not on the disk is gone."""

from __future__ import annotations

import tempfile
from pathlib import Path

from qcore_conformance.bed import Bed
from qcore_conformance.crowds import Crowd
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.preload import Disk


@invariant("Q-REC-07")
def test_jobs_survive_the_loss_of_power_of_a_server(bed: Bed) -> None:
    """Three times under load; no enqueue that returned is lost, no ack that returned undone."""
    bed.need_tier(4)
    settings = bed.harness.faults.power
    if settings is None:
        raise NotRun("the harness does not know how a server keeps jobs over a loss of power")
    server = bed.server(settings)
    disk = Disk(Path(bed.enter(tempfile.TemporaryDirectory(prefix="qcore-"))))
    server.environment.update(disk.environment)
    server.stop()
    disk.trust(server.data)
    server.start()
    connection = bed.connect(bed.url_at(server.address))
    if "durability:power" not in connection.capabilities:
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim durability:power there")
    crowd = Crowd(bed, bed.url_at(server.address), bed.lease)

    for _ in range(3):
        crowd.go_on()
        server.kill()
        disk.lose_power(server.data)
        server.start()
    crowd.go_on()
    crowd.stop(connection.queue("q"))

    bed.figure("jobs stored under three losses of power", len(crowd.stored), "")
    assert (crowd.lost, crowd.risen) == (set(), [])
