"""Where time comes from. Everything that needs it is given a clock, so tests never sleep."""

from __future__ import annotations

import time as _time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """A source of both kinds of time, in seconds."""

    def time(self) -> float:
        """Seconds since the Unix epoch: for due times and leases."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards: for deadlines inside one process."""
        ...


class SystemClock:
    """The clock of this machine."""

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return _time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return _time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to advance.

    Args:
        start: What ``time()`` says first, in seconds since the Unix epoch.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move both kinds of time forward by ``seconds``."""
        if not seconds >= 0:
            raise ValueError("time does not run backwards; pass a positive number of seconds")
        self._elapsed += seconds
