"""Plays the suite against every mutant, shows what was found, and writes the page about it.

Usage: ``python -m conformance.tests.mutants.whole [SCHEME ...]``; ends with 1 if anything was found
that ``golden.toml`` does not say, or not found that it does. Then the page stays as it is.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import attrs
import click

from conformance.tests.mutants.golden import Golden, Mutant, golden
from conformance.tests.mutants.page import PAGE, page, table
from conformance.tests.mutants.running import judged
from qcore_conformance.outcomes import Outcome

__all__ = ["main"]


def main(schemes: Sequence[str]) -> int:
    """Run all of it, or the mutants that are named; the exit code."""
    known = golden()
    chosen = [known.mutants[name] for name in schemes or known.mutants]
    # They wait most of the time.
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        found = list(pool.map(partial(_found, known), chosen))
    click.echo(table(map(_as_found, chosen, found)))
    wrong = {
        one.scheme: said
        for one, seen in zip(chosen, found, strict=True)
        if (said := known.complaints(one, seen, whole=True))
    }
    for scheme, said in wrong.items():
        click.echo(f"{scheme}: {'; '.join(said)}", err=True)
    if wrong:
        return 1
    PAGE.write_text(page(known), encoding="utf-8")
    return 0


def _found(known: Golden, mutant: Mutant) -> Mapping[str, Outcome]:
    with tempfile.TemporaryDirectory(prefix="qcore-") as folder:
        found = judged(mutant.scheme, known.whole(mutant), Path(folder))
    click.echo(f"{mutant.scheme}: {len(found)} invariants looked at", err=True)
    return found


def _as_found(mutant: Mutant, found: Mapping[str, Outcome]) -> Mutant:
    failed = [name for name, outcome in found.items() if outcome is Outcome.FAIL]
    return attrs.evolve(mutant, fails=failed, at_least=())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
