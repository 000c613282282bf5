"""The run itself: nothing of the suite is missing, and what was not seen is not called seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.harness import Harness
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.notes import read_notes
from qcore_conformance.outcomes import NotRun, Outcome, Unknown
from qcore_conformance.plugin import HARNESS_ATTRIBUTE
from qcore_conformance.suite import suite


@invariant("Q-META-01")
@in_colour(Colour.SYNC, "the tests are the same in both colours")
def test_nothing_of_the_suite_is_missing(bed: Bed, request: pytest.FixtureRequest) -> None:
    """Whoever takes over the tests takes all of them, as they are."""
    del bed
    exported = _tests(suite(Harness))
    here: ModuleType = request.node.getparent(pytest.Module).obj
    if hasattr(here, HARNESS_ATTRIBUTE):
        own = _tests(here.__dict__)
        assert [name for name in exported if own.get(name) is not exported[name]] == []
    ran = {_function(item) for item in request.session.items if _is_of(item, here)}

    if left_out := sorted(name for name, test in exported.items() if test not in ran):
        some = ", ".join(left_out[:5])
        raise NotRun(f"this run leaves out {len(left_out)} of {len(exported)} tests: {some} …")


def _tests(names: Mapping[str, Any]) -> dict[str, object]:
    return {name: test for name, test in names.items() if name.startswith("test_")}


def _is_of(item: pytest.Item, module: ModuleType) -> bool:
    """Whether a test belongs to this adapter's: a module with a harness is a run of its own."""
    parent = item.getparent(pytest.Module)
    if parent is None or not hasattr(module, HARNESS_ATTRIBUTE):
        return parent is not None and not hasattr(parent.obj, HARNESS_ATTRIBUTE)
    return parent.obj is module


def _function(item: pytest.Item) -> object:
    return getattr(item, "function", None)


class BreaksAtStart(Harness):
    """A harness whose broker does not come up."""

    def start(self) -> None:
        """Fail."""
        raise RuntimeError("the broker did not come up")


class HasNoUrl(Harness):
    """A harness that cannot say where its broker is."""

    def url(self, namespace: str) -> str:
        """Fail."""
        raise RuntimeError(f"no room for {namespace}")


@invariant("Q-META-02")
@in_colour(Colour.SYNC, "a harness has no colour")
@pytest.mark.parametrize("harness", [BreaksAtStart, HasNoUrl])
def test_a_broken_harness_is_no_verdict(bed: Bed, harness: type, tmp_path: Path) -> None:
    """Neither that the promise is kept nor that it is broken."""
    del bed
    notes = tmp_path / "outcomes.json"
    words = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    words += ["--pyargs", "qcore_conformance.suite.test_core", "--qcore-id=Q-CORE-03"]
    words += [f"--qcore-harness={__name__}:{harness.__name__}", f"--qcore-notes={notes}"]

    run = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603  (no shell reads these words)

    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
    outcomes = read_notes(notes)
    assert len(outcomes) == len(Colour)
    assert {one.outcome for one in outcomes} == {Outcome.UNKNOWN}


@invariant("Q-META-02")
@in_colour(Colour.SYNC, "a server has no colour")
def test_a_server_that_does_not_start_is_no_verdict(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that could not be made proves nothing."""

    def fail(settings: object = None) -> None:
        raise OSError(f"no server with {settings}")

    monkeypatch.setattr(bed.harness, "server", fail)
    monkeypatch.setattr(bed, "tier", 2)

    with pytest.raises(Unknown, match="no server"):
        bed.server()
