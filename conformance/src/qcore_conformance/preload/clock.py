"""A wall clock that is wrong, and that jumps when told to."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from .building import preloaded

__all__ = ["Clock"]


class Clock:
    """The wall clock of the processes that get its environment.

    Args:
        folder: Where its library and its setting lie; nobody else's.
        shift: Seconds by which it is ahead.

    Attributes:
        environment: What a process needs in its environment to go by it.

    Raises:
        NotRun: If this machine cannot build the library.
    """

    def __init__(self, folder: Path, shift: int = 0) -> None:
        self._setting = folder / "clock"
        self.shift(shift)
        self.environment: Mapping[str, str] = {
            **preloaded("clock", folder),
            "QCORE_CLOCK": str(self._setting),
        }

    def shift(self, seconds: int) -> None:
        """Let it jump: from now on it is so many seconds ahead of the real one."""
        with self._setting.open("r+b" if self._setting.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))
