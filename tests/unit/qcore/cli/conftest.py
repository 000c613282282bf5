from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.qcore.cli.command import Command, command


@pytest.fixture
def shell() -> Iterator[Command]:
    """The command line with a store in memory of its own."""
    with command() as one:
        yield one
