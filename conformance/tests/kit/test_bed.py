"""What the test bed does for tests."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.harness import UrlHarness
from qcore_conformance.scenes import pass_time
from qcore_conformance.workers import Part


class LockedFile(UrlHarness):
    """A broker that is a file, which a process locks while it is in a call."""

    exclusive = True


def be_in_calls(part: Part, path: str) -> None:
    """Have the file locked most of the time, and let go of it now and then."""
    db = sqlite3.connect(path, isolation_level=None)
    part.say("ready")
    while True:
        db.execute("BEGIN IMMEDIATE")
        pass_time(time.monotonic() + 0.3)
        db.execute("COMMIT")
        pass_time(time.monotonic() + 0.1)


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    """A bed on such a file."""
    harness = LockedFile(f"sqlite://{tmp_path}/jobs.db")
    with qcore.connect(harness.url("kit")) as connection:
        made = Bed(harness, Colour.SYNC, "kit", connection.capabilities, tier=1)
        yield made
        made.close()


def test_who_is_frozen_keeps_nobody_out(bed: Bed, tmp_path: Path) -> None:
    """Within a call it would, and no lease ends that."""
    for _ in range(5):
        worker = bed.act(be_in_calls, "", str(tmp_path / "jobs.db"))
        worker.heard("ready")

        bed.freeze(worker)

        began = time.monotonic()
        assert bed.queue().reserve(timeout=0.0) is None
        assert time.monotonic() - began < 1.0
        worker.kill()
