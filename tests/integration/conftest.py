from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from qcore_conformance.servers import Binary, Server
from tests.integration.stage import EDGES, Place, Stage, places

Servers = Callable[[Binary], Server]


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One running server of each version for all tests of this process."""
    running: dict[Binary, Server] = {}
    with ExitStack() as stack:

        def get(binary: Binary) -> Server:
            if binary not in running:
                running[binary] = stack.enter_context(Server(binary))
            return running[binary]

        yield get


def open_stage(place: Place, server: Server | None) -> Iterator[Stage]:
    """A stage that is closed at the end."""
    stage = Stage(place, server)
    try:
        yield stage
    finally:
        stage.close()


@pytest.fixture(params=places(EDGES, memory=True), ids=str)
def stage(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Stage]:
    """Every adapter that stores, in both colours, on the oldest and the newest server."""
    place: Place = request.param
    yield from open_stage(place, servers(place.binary) if place.binary else None)


@pytest.fixture(params=places(EDGES), ids=str)
def redis_stage(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Stage]:
    """The Redis adapters, in both colours, on the oldest and the newest server."""
    place: Place = request.param
    assert place.binary is not None
    yield from open_stage(place, servers(place.binary))


@pytest.fixture(params=places(EDGES), ids=str)
def own_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """As ``redis_stage``, with a server that the test may set and break as it likes."""
    place: Place = request.param
    with Server(place.binary) as server:
        yield from open_stage(place, server)
