"""Values made up by Hypothesis, for tests that are given a bed.

The seed is that of the run, or a new one for each test; it is noted with the figures, so that a
test can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import hypothesis
from hypothesis.strategies import SearchStrategy

from .bed import Bed

__all__ = ["for_all", "settings_of"]

T = TypeVar("T")


def settings_of(examples: int, steps: int = 50) -> hypothesis.settings:
    """Settings that depend neither on earlier runs nor on the speed of a machine."""
    return hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[
            hypothesis.HealthCheck.too_slow,
            hypothesis.HealthCheck.data_too_large,
            hypothesis.HealthCheck.filter_too_much,
        ],
    )


def for_all(bed: Bed, values: SearchStrategy[T], check: Callable[[T], None], count: int) -> None:
    """Check something of so many values; what fails is made as simple as possible first."""
    bed.figure("seed", bed.seed, "")
    bed.figure("examples", count, "")

    @settings_of(count)
    @hypothesis.seed(bed.seed)
    @hypothesis.given(values)
    def run(value: T) -> None:
        check(value)

    run()
