from __future__ import annotations

import time

import pytest

from qcore.clock import ManualClock, SystemClock


def test_a_manual_clock_stands_still_until_told() -> None:
    """Both kinds of time advance together."""
    clock = ManualClock(start=100.0)
    assert (clock.time(), clock.monotonic()) == (100.0, 0.0)
    clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (102.5, 2.5)


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_time_does_not_run_backwards(seconds: float) -> None:
    """Not even in a test."""
    with pytest.raises(ValueError, match="backwards"):
        ManualClock().advance(seconds)


def test_the_system_clock_is_the_machines() -> None:
    """Wall time and the time of deadlines."""
    clock = SystemClock()
    before = time.time(), time.monotonic()
    read = clock.time(), clock.monotonic()
    after = time.time(), time.monotonic()
    assert before <= read <= after
