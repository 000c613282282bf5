"""The page that shows what the suite catches; its tables are made from ``golden.toml``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from conformance.tests.mutants.golden import Golden, Mutant
from qcore_conformance.contract import contract

__all__ = ["PAGE", "page", "table"]

PAGE = Path(__file__).parents[3] / "docs/reference/mutants.md"

_MUTANTS = "## By mutant\n"
_INVARIANTS = """
## By invariant

Invariants that at least one mutant breaks.
"""


def page(golden: Golden) -> str:
    """The whole page: what somebody wrote at its head, and the tables."""
    mutants = list(golden.mutants.values())
    head = PAGE.read_text(encoding="utf-8").partition(_MUTANTS)[0]
    return f"{head}{_MUTANTS}\n{table(mutants)}\n{_INVARIANTS}\n{_by_invariant(mutants)}\n"


def table(mutants: Iterable[Mutant]) -> str:
    """A row for each mutant."""
    ordered = sorted(mutants, key=lambda one: (bool(one.caught_by), one.scheme))
    return _table(["mutant", "made of", "what it does", "breaks"], map(_row, ordered))


def _row(one: Mutant) -> list[str]:
    caught_by = ", ".join(one.caught_by) or "nothing"
    return [f"`{one.scheme}`", f"`{one.made_of}`", one.does, caught_by]


def _by_invariant(mutants: Iterable[Mutant]) -> str:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in mutants:
        for name in one.caught_by:
            found[name].append(f"`{one.scheme}`")
    rows = ([name, ", ".join(sorted(found[name]))] for name in contract() if name in found)
    return _table(["invariant", "broken by"], rows)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join(_lines([head, ["---"] * len(head), *rows]))


def _lines(rows: Iterable[list[str]]) -> Iterator[str]:
    return (f"| {' | '.join(row)} |" for row in rows)
