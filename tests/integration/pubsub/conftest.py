from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest
import structlog
from structlog.testing import capture_logs

from qcore_conformance.servers import Binary, Server
from tests.integration.pubsub.audience import play
from tests.integration.stage import COLOURS, EDGES, Place, Stage

PLACES = [Place("redis+pubsub", colour, binary) for binary in EDGES for colour in COLOURS]


@pytest.fixture(params=PLACES, ids=str)
def stage(request: pytest.FixtureRequest, servers: Callable[[Binary], Server]) -> Iterator[Stage]:
    """Pub/Sub in both colours, on the oldest and the newest server."""
    place: Place = request.param
    assert place.binary is not None
    yield from play(place, servers(place.binary))


@pytest.fixture(params=PLACES, ids=str)
def own_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The same, with a server that the test may set and break as it likes."""
    place: Place = request.param
    with Server(place.binary) as server:
        yield from play(place, server)


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    """Every line that is logged meanwhile."""
    with capture_logs() as lines:
        yield cast("list[dict[str, object]]", lines)
    # Collecting configures structlog, and other tests look into the standard logging.
    structlog.reset_defaults()
