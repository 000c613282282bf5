"""Holds a mutant to the contract: the suite, in a process of its own, against its URL.

A mutant is found as anybody's adapter is: its package lies on the path of that process, with the
entry points that a wheel would have brought.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

import pytest

from conformance.tests.mutants.golden import Played
from qcore_conformance.notes import read_notes
from qcore_conformance.outcomes import Outcome, worst
from qcore_conformance.suite import modules

__all__ = ["INSTALLED", "judged"]

INSTALLED = Path(__file__).with_name("installed")
"""Where the package of the mutants lies, as if it were installed."""
_SUITE = "qcore_conformance.suite"
_ROOT = Path(__file__).parents[3]


def _options(played: Played) -> list[str]:
    """How much to run; each test in one of the colours, which its name decides."""
    options = [f"--qcore-tier={played.tier}", "--qcore-alternate=0", "--qcore-scale=0.1"]
    options += [f"--qcore-id={name}" for name in played.ids]
    options += ["-k", played.tests] if played.tests else []
    return [*options, "--pyargs", *(_modules_of(played.ids) if played.ids else [_SUITE])]


def _modules_of(ids: Collection[str]) -> list[str]:
    """The modules with tests of these invariants: to look through the others takes long."""
    places = _places()
    return sorted({module for name in ids for module in places.get(name, ())})


@cache
def _places() -> Mapping[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for module in modules():
        for test in vars(importlib.import_module(module)).values():
            for mark in getattr(test, "pytestmark", []):
                if mark.name == "qcore_invariant":
                    for name in mark.args:
                        found[name].add(module)
    return found


def judged(scheme: str, played: Played, folder: Path) -> Mapping[str, Outcome]:
    """Run the suite, and say for each invariant that was looked at what was found.

    Args:
        scheme: The mutant's.
        played: How much of the suite to run.
        folder: Where the run may leave files.

    Raises:
        RuntimeError: If the suite did not come to its end, or had no test to play.
    """
    notes = folder / "outcomes.json"
    words = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    words += ["--timeout=120", f"--qcore-notes={notes}", *_options(played)]
    known = os.environ.get("PYTHONPATH", "")
    path = [str(INSTALLED), str(_ROOT), *([known] if known else [])]
    run = subprocess.run(  # noqa: S603  (no shell reads these words)
        words,
        cwd=folder,
        env={**os.environ, "QCORE_URL": f"{scheme}://", "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    (folder / "pytest.log").write_text(run.stdout + run.stderr)
    ended = run.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    # What a run that broke off has noted until then is no answer.
    if not (ended and notes.exists()):
        raise RuntimeError(f"the suite did not end:\n{run.stdout[-4000:]}{run.stderr[-2000:]}")
    found: defaultdict[str, list[Outcome]] = defaultdict(list)
    for one in read_notes(notes):
        for name in one.ids:
            found[name].append(one.outcome)
    return {name: worst(outcomes) for name, outcomes in sorted(found.items())}
