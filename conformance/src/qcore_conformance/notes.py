"""How the outcomes of a run travel: from pytest's workers to its head, and on to whoever asked.

The plugin writes one JSON file; the command reads it back. So a run may be split over processes,
and a run that was ended early leaves what it has.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from .outcomes import RESULT, Outcome
from .tally import TestOutcome

__all__ = ["FIGURES", "Notes", "read_notes", "suite_facts"]

FIGURES = "qcore-figures"


class Notes:
    """Collects what the tests' reports carry; a pytest plugin of the head process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome that a report carries."""
        carried = dict(report.user_properties)
        result: Any = carried.get(RESULT)
        if isinstance(result, dict):
            name = report.nodeid.rpartition("::")[2]
            self._rows.append({"test": name, **result, "figures": carried.get(FIGURES, ())})

    def pytest_sessionfinish(self) -> None:
        """Write all of it."""
        self._path.write_text(json.dumps(self._rows), encoding="utf-8")


def read_notes(path: Path) -> list[TestOutcome]:
    """Read the outcomes of a run; the later report of a test (its teardown) counts too."""
    rows: Sequence[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [
        TestOutcome(
            test=row["test"],
            ids=tuple(row["ids"]),
            outcome=Outcome(row["outcome"]),
            why=row["why"],
            figures=tuple((what, value, unit) for what, value, unit in row["figures"]),
        )
        for row in rows
    ]


def suite_facts() -> dict[str, str]:
    """Which suite this is: its version, and a hash over its tests and the contract."""
    digest = sha256()
    root = files(__name__.rpartition(".")[0])
    tests = sorted(
        (entry for entry in root.joinpath("suite").iterdir() if entry.name.endswith(".py")),
        key=lambda entry: entry.name,
    )
    for entry in (*tests, root.joinpath("contract.md")):
        digest.update(entry.read_bytes())
    return {
        "suite": f"{version('qcore-conformance')} (sha256 {digest.hexdigest()[:12]})",
        "qcore": version("qcore-jobs"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
