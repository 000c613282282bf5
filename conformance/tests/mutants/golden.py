"""What the suite has to find wrong with each mutant, and whether that is what it found."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from qcore_conformance.outcomes import Outcome

__all__ = ["GOLDEN", "Golden", "Mutant", "Played", "golden"]

GOLDEN = Path(__file__).with_name("golden.toml")


@attrs.frozen(kw_only=True)
class Mutant:
    """One adapter that is broken on purpose; ``golden.toml`` says what the fields mean."""

    scheme: str
    made_of: str
    does: str
    fails: Sequence[str]
    at_least: Sequence[str] = ()
    may: Sequence[str] = ()
    tier: int = 0
    tests: str = ""
    proves: Sequence[str] = ()
    needs_compiler: bool = False

    @property
    def caught_by(self) -> list[str]:
        """Every invariant that has to fail."""
        return sorted({*self.fails, *self.at_least})

    @property
    def proof(self) -> list[str]:
        """What the run with every change has to find."""
        return list(self.proves) or self.caught_by


@attrs.frozen
class Played:
    """How much of the suite a mutant is held to.

    Attributes:
        tier: The highest tier.
        ids: The tests of these invariants; of all if empty.
        tests: A pytest expression that chooses among them.
    """

    tier: int
    ids: Sequence[str] = ()
    tests: str = ""


@attrs.frozen(kw_only=True)
class Golden:
    """Everything that ``golden.toml`` says."""

    chance: Sequence[str]
    sample: Sequence[str]
    beside: Sequence[str]
    mutants: Mapping[str, Mutant]

    def quick(self, mutant: Mutant) -> Played:
        """What is run with every change: the proof, and a few of the others."""
        if mutant.tests:
            return Played(mutant.tier, mutant.proof, mutant.tests)
        beside = self.sample if mutant.made_of == "memory" else self.beside
        return Played(mutant.tier, [*mutant.proof, *beside])

    def whole(self, mutant: Mutant) -> Played:
        """Everything that a mutant is held to."""
        if mutant.made_of == "memory":
            return Played(mutant.tier)
        return Played(mutant.tier, [*mutant.caught_by, *self.beside])

    def complaints(self, mutant: Mutant, found: Mapping[str, Outcome], *, whole: bool) -> list[str]:
        """In what a run differs from what it had to find."""
        failed = {name for name, outcome in found.items() if outcome is Outcome.FAIL}
        doubtful = {name for name, outcome in found.items() if outcome is Outcome.UNKNOWN}
        missed = sorted({*(mutant.caught_by if whole else mutant.proof)} - failed)
        excess = sorted(failed - {*mutant.caught_by, *mutant.may, *self.chance})
        unsure = sorted(doubtful - {*mutant.may, *self.chance})
        said = [f"{name} did not fail" for name in missed]
        said += [f"{name} failed too" for name in excess]
        return said + [f"{name} is in doubt" for name in unsure]


@cache
def golden() -> Golden:
    """Read ``golden.toml``."""
    said: dict[str, Any] = tomllib.loads(GOLDEN.read_text(encoding="utf-8"))
    rows: dict[str, Any] = said.pop("mutant")
    return Golden(mutants={name: Mutant(scheme=name, **row) for name, row in rows.items()}, **said)
