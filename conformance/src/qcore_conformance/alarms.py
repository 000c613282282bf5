"""An exception out of a signal's handler in the main thread, as Ctrl-C raises one."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time

# Loaded first: what reports a lost socket must not be cut short in it.
import tracemalloc  # noqa: F401  # pyright: ignore[reportUnusedImport]
from collections.abc import Generator
from types import FrameType
from typing import TYPE_CHECKING

from .outcomes import NotRun

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

__all__ = ["Alarm", "RangError", "alarm"]

_AGAIN = 0.001
"""Seconds after which an exception that came to nothing is raised again."""


class RangError(BaseException):
    """What the handler of the signal raises."""


class Alarm:
    """Rings by a signal, whatever the main thread does.

    Attributes:
        rang_at: When it rang last, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.rang_at = 0.0

    def ring_after(self, seconds: float) -> None:
        """Ring in so many seconds."""
        main = threading.main_thread().ident
        timer = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGUSR1))
        timer.daemon = True
        timer.start()

    def ring(self, signum: int, frame: FrameType | None) -> None:
        """Interrupt the main thread."""
        del signum, frame
        self.rang_at = time.monotonic()
        raise RangError


@contextlib.contextmanager
def alarm() -> Generator[Alarm]:
    """An alarm that rings until it is heard.

    Where Python is in a finalizer when the signal comes, it reports the exception and goes on:
    no code on the way can help that. Then the alarm rings again, as whoever pressed Ctrl-C would.

    Raises:
        NotRun: If this is not the main thread, the only one that signals interrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        raise NotRun("signals only reach the main thread")
    alarm, report = Alarm(), sys.unraisablehook

    def reported(args: UnraisableHookArgs) -> None:
        if isinstance(args.exc_value, RangError):
            alarm.ring_after(_AGAIN)
        else:
            report(args)

    before = signal.signal(signal.SIGUSR1, alarm.ring)
    sys.unraisablehook = reported
    try:
        yield alarm
    finally:
        sys.unraisablehook = report
        signal.signal(signal.SIGUSR1, before)
