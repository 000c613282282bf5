from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files

import pytest

from qcore_conformance.servers import Binary, Server
from qcore_redis import scripts
from tests.crash.scene import Scene
from tests.integration.stage import EDGES, Place, places

Servers = Callable[[Binary], Server]
Note = Callable[[str, object], None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what long runs say of themselves in one line."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == "crash" and report.when == "call":
                    terminalreporter.write_line(str(value))


def load_scripts(server: Server) -> None:
    """Send all scripts, so that each operation takes as many exchanges as ever after."""
    for path in files(scripts).iterdir():
        if path.name.endswith(".lua"):
            for store in ("list", "stream"):
                server.cli("SCRIPT", "LOAD", scripts.load(path.name[:-4], store).text)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """One running server of each version for all tests of this process."""
    running: dict[Binary, Server] = {}
    with ExitStack() as stack:

        def get(binary: Binary) -> Server:
            if binary not in running:
                running[binary] = stack.enter_context(Server(binary))
                load_scripts(running[binary])
            return running[binary]

        yield get


@pytest.fixture(params=places(EDGES), ids=str)
def scene(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Scene]:
    """The Redis adapters, in both colours, on the oldest and the newest server."""
    place: Place = request.param
    assert place.binary is not None
    with Scene(place, servers(place.binary)) as scene:
        yield scene
