"""A broker that somebody else runs is asked for jobs, and never for anything that could harm it."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore_conformance.notes import read_notes
from qcore_conformance.outcomes import Outcome
from qcore_conformance.servers import Server, newest
from qcore_conformance.suite import modules

HARMFUL = ("flush", "kill", "config|set", "config|rewrite", "shutdown", "debug", "save", "keys")
"""What no stranger's server may hear, or parts of it."""
BREAKING = ("bed.server(", "bed.proxy(", "bed.harness.faults", "Line(", "Audience(")
BEHIND = (*BREAKING, "_own(", "_durable(", "_damaged(")
"""How a test says that it breaks something, by itself or through a helper of its module."""


@pytest.fixture
def stranger() -> Iterator[Server]:
    """A server that the suite is only given the address of."""
    with Server(newest(), port=True) as server:
        yield server


def heard(server: Server) -> set[str]:
    """The commands that a server was given since it was last asked to forget them."""
    stats = server.cli("INFO", "commandstats")
    assert isinstance(stats, bytes)
    lines = [line for line in stats.decode().splitlines() if line.startswith("cmdstat_")]
    return {line.removeprefix("cmdstat_").partition(":")[0] for line in lines}


def breaking_modules() -> list[str]:
    """The modules of the suite that break servers or the way to them."""
    return [
        name
        for name in modules()
        if any(word in inspect.getsource(importlib.import_module(name)) for word in BREAKING)
    ]


@pytest.mark.parametrize("design", ["list", "pubsub"])
def test_a_strangers_server_is_never_broken(stranger: Server, tmp_path: Path, design: str) -> None:
    """Whoever points the suite at a server in use may do so at any tier; faults are "not run"."""
    named = breaking_modules()
    assert len(named) >= 5
    pid, notes = stranger.pid, tmp_path / "outcomes.json"
    stranger.cli("CONFIG", "RESETSTAT")
    words = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    words += ["-k", " or ".join(faults()), "--pyargs", *named]
    words += ["--qcore-tier=3", "--qcore-scale=0.01", f"--qcore-notes={notes}"]

    run = subprocess.run(  # noqa: S603  (no shell reads these words)
        words,
        env={**os.environ, "QCORE_URL": stranger.tcp.url(f"redis+{design}")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    said = heard(stranger)
    outcomes = read_notes(notes)
    assert len(outcomes) > 50, run.stdout[-2000:]
    told = {Outcome.NOT_RUN, Outcome.NOT_APPLICABLE, Outcome.REFUSES}
    assert {one.outcome for one in outcomes} <= told, [
        one for one in outcomes if one.outcome not in told
    ]
    assert Outcome.NOT_RUN in {one.outcome for one in outcomes}
    assert [one for one in said if any(word in one for word in HARMFUL)] == []
    assert stranger.pid == pid


def faults() -> list[str]:
    """The names of the tests that cannot do without a server or a line of their own.

    Those that hold the suite itself to its word break nothing but the suite.
    """
    found: list[str] = []
    for name in breaking_modules():
        tests = vars(importlib.import_module(name)).items()
        found += [
            test
            for test, function in tests
            if test.startswith("test_")
            and '"Q-META-' not in (source := inspect.getsource(function))
            and any(word in source for word in BEHIND)
        ]
    return found
