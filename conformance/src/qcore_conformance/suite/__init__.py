"""The tests of the suite, one module for each section of the contract.

A harness of one's own takes them all into a module::

    from qcore_conformance.suite import suite

    globals().update(suite(AcmeHarness))
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Set as AbstractSet
from typing import Any

from qcore_conformance.harness import Harness
from qcore_conformance.runs import Run

__all__ = ["modules", "suite"]


def modules() -> list[str]:
    """The names of the test modules."""
    return sorted(
        f"{__name__}.{found.name}"
        for found in pkgutil.iter_modules(__path__)
        if found.name.startswith("test_")
    )


def suite(
    harness: Callable[[], Harness] | None,
    run: Run | None = None,
    *,
    only: AbstractSet[str] | None = None,
) -> dict[str, Any]:
    """Every test, to be put into a module of one's own, bound to a harness.

    Args:
        harness: Makes the harness, once in each process that runs tests; ``None`` if the module
            has a fixture ``qcore_harness`` that returns what does.
        run: How much to play; options of the command line go before it.
        only: Take in the tests of these invariants only, and not the whole contract.
    """
    tests: dict[str, Any] = {"__qcore_harness__": harness, "__qcore_run__": run}
    for name in modules():
        module = importlib.import_module(name)
        found = {key: value for key, value in vars(module).items() if key.startswith("test_")}
        if twice := tests.keys() & found.keys():
            raise TypeError(f"two tests of the suite have the same name: {sorted(twice)}")
        tests |= {key: test for key, test in found.items() if only is None or only & _ids(test)}
    return tests


def _ids(test: Any) -> set[str]:
    """The invariants that a test checks."""
    marks = (mark for mark in test.pytestmark if mark.name == "qcore_invariant")
    return {one for mark in marks for one in mark.args}
