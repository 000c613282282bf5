"""Waiting for a condition instead of a time, with limits that slow machines can stretch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["drain", "scaled", "wait_until"]

T = TypeVar("T")

_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02)


def scaled(seconds: float) -> float:
    """Stretch a timeout by the factor in ``QCORE_TIME_SCALE``, which is 1 if unset."""
    return seconds * float(os.environ.get("QCORE_TIME_SCALE", "1"))


def wait_until(condition: Callable[[], T], *, within: float, what: str) -> T:
    """Ask a condition again and again until it holds.

    Args:
        condition: Asked at least once, and once more at the very end.
        within: Seconds to wait at most, before ``QCORE_TIME_SCALE`` stretches them.
        what: The condition in words, for the error.

    Returns:
        The first true answer.

    Raises:
        TimeoutError: The condition did not hold in time.
    """
    deadline = time.monotonic() + scaled(within)
    tries = 0
    while True:
        over = time.monotonic() >= deadline
        answer = condition()
        if answer:
            return answer
        if over:
            raise TimeoutError(f"waited {scaled(within):g} s in vain until {what}")
        time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1


def drain(take: Callable[[], bool], *, horizon: float, within: float = 60.0) -> None:
    """Take jobs until none has come for so long that none can be hidden any more.

    Args:
        take: Takes and ends one job, if there is one, and says whether there was.
        horizon: Seconds after which every job that nobody settled is ready again.
        within: Seconds to go on at most, before ``QCORE_TIME_SCALE`` stretches them.

    Raises:
        TimeoutError: Jobs kept coming.
    """
    deadline = time.monotonic() + scaled(within)
    quiet_since: float | None = None
    while time.monotonic() < deadline:
        began = time.monotonic()
        if take():
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        elif began - quiet_since >= horizon:
            return
        else:
            time.sleep(_PAUSES[-1])
    raise TimeoutError(f"jobs kept coming for {scaled(within):g} s")
