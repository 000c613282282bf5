"""An exception out of a signal's handler in the main thread, as Ctrl-C raises one."""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
import threading
import time

# Loaded first: what reports a lost socket must not be cut short in it.
import tracemalloc  # noqa: F401  # pyright: ignore[reportUnusedImport]
from collections.abc import Generator
from queue import SimpleQueue
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
        is_deaf: Whether the main thread is where an exception would come to nothing. What rings
            meanwhile rings again.
    """

    def __init__(self) -> None:
        self.rang_at = 0.0
        self.is_deaf = False
        # Unlike the start of a thread, putting into it may be interrupted by putting into it.
        self._wanted: SimpleQueue[float] = SimpleQueue()
        self._over = threading.Event()
        self._main = threading.get_ident()
        self._ringer = threading.Thread(target=self._signal, daemon=True)

    def start(self) -> None:
        """Begin to ring when it is asked to."""
        self._ringer.start()

    def stop(self) -> None:
        """Ring no more."""
        self._over.set()
        self._wanted.put(0.0)
        self._ringer.join()

    def ring_after(self, seconds: float) -> None:
        """Ring in so many seconds."""
        self._wanted.put(seconds)

    def _signal(self) -> None:
        while not self._over.wait(self._wanted.get()):
            signal.pthread_kill(self._main, signal.SIGUSR1)

    def ring(self, signum: int, frame: FrameType | None) -> None:
        """Interrupt the main thread."""
        del signum, frame
        if self.is_deaf:
            self.ring_after(_AGAIN)
            return
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
        if not isinstance(args.exc_value, RangError):
            report(args)
            return
        alarm.is_deaf = True
        alarm.ring_after(_AGAIN)
        # Python looks for signals at calls, so for none between this and the end of the hook.
        alarm.is_deaf = False

    before = signal.signal(signal.SIGUSR1, alarm.ring)
    sys.unraisablehook = reported
    alarm.start()
    try:
        yield alarm
    finally:
        alarm.is_deaf = True
        alarm.stop()
        # What it parted from the one who would have closed it is complained of here, not later in
        # the test of somebody else.
        gc.collect()
        sys.unraisablehook = report
        signal.signal(signal.SIGUSR1, before)
