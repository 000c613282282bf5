"""The suite finds what is wrong with adapters that are broken on purpose, and nothing else."""

from __future__ import annotations

import shutil
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from conformance.tests.mutants.golden import Played, golden
from conformance.tests.mutants.page import PAGE, page
from conformance.tests.mutants.running import INSTALLED, judged
from qcore_conformance.contract import contract

_KNOWN = golden()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", _KNOWN.mutants)
def test_a_mutant_breaks_what_it_is_known_to_break(scheme: str, tmp_path: Path) -> None:
    """A test that never fails proves nothing, and neither does one that fails for anything."""
    mutant = _KNOWN.mutants[scheme]
    if mutant.needs_compiler and not (shutil.which("cc") or shutil.which("gcc")):
        pytest.skip("needs a C compiler")

    found = judged(scheme, _KNOWN.quick(mutant), tmp_path)

    log = (tmp_path / "pytest.log").read_text()
    assert _KNOWN.complaints(mutant, found, whole=False) == [], log[-8000:]


def test_a_run_that_played_nothing_is_no_answer(tmp_path: Path) -> None:
    """Nor is one that broke off: what it left undone did not pass."""
    with pytest.raises(RuntimeError, match="did not end"):
        judged("sound", Played(0, ["Q-CORE-01"], "of_nobody"), tmp_path)


def test_every_mutant_is_installed_and_expected() -> None:
    """With a scheme and a harness; neither is forgotten."""
    groups = {"qcore.backends": list[str](), "qcore.harnesses": list[str]()}
    for point in _installed():
        groups[point.group].append(point.name)

    for names in groups.values():
        assert sorted(names) == sorted(_KNOWN.mutants)


def _installed() -> list[EntryPoint]:
    (folder,) = INSTALLED.glob("*.dist-info")
    return list(Distribution.at(folder).entry_points)


def test_what_is_expected_is_in_the_contract() -> None:
    """An id that nobody has cannot fail."""
    named = [_KNOWN.chance, _KNOWN.sample, _KNOWN.beside]
    named += [each for one in _KNOWN.mutants.values() for each in (one.caught_by, one.proves)]
    assert {name for names in named for name in names} <= contract().keys()


@pytest.mark.parametrize("scheme", _KNOWN.mutants)
def test_what_depends_on_chance_is_not_expected_each_time(scheme: str) -> None:
    """And what is proved in a hurry is something that is expected at all."""
    mutant = _KNOWN.mutants[scheme]
    assert not {*mutant.fails} & {*_KNOWN.chance}
    assert {*mutant.proves} <= {*mutant.caught_by}
    assert bool(mutant.caught_by) == (not scheme.startswith("sound"))
    assert bool(mutant.tests) >= bool(mutant.proves)


def test_the_page_shows_what_is_expected() -> None:
    """`make mutants` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == page(_KNOWN)
