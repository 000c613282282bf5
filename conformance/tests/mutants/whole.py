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
        runs = list(pool.map(partial(_run, known), chosen))
    click.echo(table(one for one, _ in runs))
    wrong = [(one.scheme, said) for one, said in runs if said]
    for scheme, said in wrong:
        click.echo(f"{scheme}: {'; '.join(said)}", err=True)
    if wrong:
        return 1
    PAGE.write_text(page(known), encoding="utf-8")
    return 0


def _run(known: Golden, mutant: Mutant) -> tuple[Mutant, list[str]]:
    """The mutant as it was found to be, and in what that differs from what is expected."""
    with tempfile.TemporaryDirectory(prefix="qcore-") as folder:
        try:
            found = judged(mutant.scheme, known.whole(mutant), Path(folder))
        except RuntimeError as error:
            return attrs.evolve(mutant, fails=(), at_least=()), [str(error)]
    said = known.complaints(mutant, found, whole=True)
    click.echo("; ".join([f"{mutant.scheme}: {len(found)} invariants looked at", *said]), err=True)
    return _as_found(mutant, found), said


def _as_found(mutant: Mutant, found: Mapping[str, Outcome]) -> Mutant:
    failed = [name for name, outcome in found.items() if outcome is Outcome.FAIL]
    return attrs.evolve(mutant, fails=failed, at_least=())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
