"""The marks that a test of the suite carries.

@invariant("Q-CORE-01")
def test_a_job_comes_out_as_it_went_in(bed): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pytest

from .colours import Colour

__all__ = ["in_colour", "invariant"]

P = ParamSpec("P")
T = TypeVar("T")


def invariant(*ids: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Say which invariants of the contract a test checks; it runs in both colours."""
    return pytest.mark.qcore_invariant(*ids)


def in_colour(colour: Colour, reason: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Say that a test makes sense in one colour only, and why."""
    return pytest.mark.qcore_colour(colour, reason)
