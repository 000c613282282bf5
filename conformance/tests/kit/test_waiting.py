"""Waiting for conditions, and for queues to be empty."""

from __future__ import annotations

import time

import pytest

from qcore_conformance.waiting import drain, scaled, wait_until


def test_timeouts_stretch_on_slow_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one factor for all."""
    monkeypatch.setenv("QCORE_TIME_SCALE", "2.5")
    assert scaled(2.0) == 5.0


def test_a_condition_that_never_holds_is_named() -> None:
    """And asked once more at the very end."""
    asked: list[int] = []
    with pytest.raises(TimeoutError, match="until it rains"):
        wait_until(lambda: asked.append(1), within=0.0, what="it rains")
    assert asked


def test_an_answer_is_returned() -> None:
    """The first one that holds."""
    answers = iter(["", "", "yes", "later"])
    assert wait_until(lambda: next(answers), within=5, what="somebody answers") == "yes"


def test_a_drain_goes_on_until_nothing_can_be_hidden() -> None:
    """A job that comes late begins the waiting anew."""
    began = time.monotonic()
    jobs = iter([True, True, False, True])
    took: list[bool] = []

    def take() -> bool:
        took.append(next(jobs, False))
        return took[-1]

    drain(take, horizon=0.05)
    assert took[:4] == [True, True, False, True]
    assert took[4:] == [False] * (len(took) - 4)
    assert len(took) >= 6
    assert time.monotonic() - began >= 0.05


def test_a_queue_that_never_ends_is_an_error() -> None:
    """It would be drained for ever."""
    with pytest.raises(TimeoutError, match="kept coming"):
        drain(lambda: True, horizon=0.0, within=0.01)
