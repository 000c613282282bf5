"""The tests of the suite, one module for each section of the contract.

A harness of one's own takes them all into a module::

    from qcore_conformance.suite import suite

    globals().update(suite(AcmeHarness))
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from qcore_conformance.harness import Harness

__all__ = ["modules", "suite"]


def modules() -> list[str]:
    """The names of the test modules."""
    return sorted(
        f"{__name__}.{found.name}"
        for found in pkgutil.iter_modules(__path__)
        if found.name.startswith("test_")
    )


def suite(harness: Callable[[], Harness]) -> dict[str, Any]:
    """Every test, to be put into a module of one's own, bound to a harness."""
    tests: dict[str, Any] = {"__qcore_harness__": harness}
    for name in modules():
        module = importlib.import_module(name)
        found = {key: value for key, value in vars(module).items() if key.startswith("test_")}
        if twice := tests.keys() & found.keys():
            raise TypeError(f"two tests of the suite have the same name: {sorted(twice)}")
        tests |= found
    return tests
