"""Locks on the files of a data directory, given back by the kernel when their holder dies."""

from __future__ import annotations

import os
import sys
import time
from io import FileIO

from qcore.clock import Clock
from qcore.errors import Unavailable

if sys.platform != "win32":
    import fcntl

__all__ = ["PAUSE", "Deadline", "Lock"]

PAUSE = 0.005
"""Seconds between two looks at something that no descriptor announces."""


class Deadline:
    """A point in time that does not move.

    Args:
        seconds: How far away it is.
        clock: What tells the time.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then; 0 when it has passed."""
        return max(0.0, self._end - self._clock.monotonic())


class Lock:
    """An open lock file; nothing is locked yet.

    A lock belongs to the open file, not to the process: a forked child shares it. ``release``
    therefore unlocks for both, while ``forget`` leaves the other its lock.

    Args:
        directory: Descriptor of the directory that holds the file.
        name: Name of the file, which is made when it is missing.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, directory: int, name: str) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._file = FileIO(os.open(name, flags, 0o600, dir_fd=directory), "r+")
        self._name = name

    def attempt(self, *, shared: bool = False) -> bool:
        """Lock now, or return False because somebody else holds it.

        Raises:
            OSError: The file system knows no locks.
        """
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self, deadline: Deadline, *, shared: bool = False) -> None:
        """Lock as soon as nobody else holds it.

        Raises:
            Unavailable: Somebody else held it until the deadline.
            OSError: The file system knows no locks.
        """
        while not self.attempt(shared=shared):
            left = deadline.left()
            if not left:
                raise Unavailable(
                    f"another process has held {self._name} for too long: it starts or ends the "
                    "server of this directory; wait for it, or look for a process that is stopped"
                )
            time.sleep(min(PAUSE, left))

    def release(self) -> None:
        """Unlock, for a forked child that shares the lock too, and close the file."""
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._file.close()

    def forget(self) -> None:
        """Close the file; a process that shares the lock keeps it."""
        self._file.close()
