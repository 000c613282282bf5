"""Workers that are killed at every boundary of every exchange of every operation."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.crash import scenarios
from tests.crash.conftest import Servers
from tests.crash.operations import OPERATIONS, Operation, take
from tests.crash.scene import Scene
from tests.integration.stage import EDGES, Place, places


@pytest.mark.parametrize("operations", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("place", places(EDGES), ids=str)
def test_a_worker_killed_at_any_boundary_leaves_each_job_in_one_place(
    place: Place, operations: Sequence[Operation], servers: Servers
) -> None:
    """Nothing is lost, nothing is there twice, all can be had again, and the counters know it."""
    assert place.binary is not None
    known = [one for one in operations if place.adapter == "redis+list" or not one.list_only]
    scenarios.sweep(place, servers(place.binary), known)


def test_jobs_that_waited_for_the_first_consumer_ever_survive_its_death(scene: Scene) -> None:
    """Whatever a first take sets up at the server begins with the first job."""
    scenarios.first_consumer_dies(scene, take)
