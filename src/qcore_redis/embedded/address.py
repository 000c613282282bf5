"""How a client reaches the socket of a data directory, however long the directory's name is."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from qcore.errors import Unavailable

__all__ = ["SOCKET", "Address"]

SOCKET = "s.sock"
LONGEST = 103
"""Bytes that a socket's path may have: macOS allows 103, Linux 107."""
DESCRIPTORS = Path("/proc/self/fd")


class Address:
    """A path of the socket that is short enough to connect to.

    The plain path when it fits; else one through the open descriptor of the directory; else, on
    systems that do not show descriptors as files, one through a link in a temporary directory,
    which a process that is killed leaves behind.

    Args:
        directory: The data directory, absolute.
        descriptor: Its open descriptor.
        descriptors: Where the system shows open descriptors as files.
    """

    def __init__(
        self, directory: Path, descriptor: int, *, descriptors: Path = DESCRIPTORS
    ) -> None:
        self._directory = directory
        self._path: str | None = None
        self._shelter: Path | None = None
        self._shelter_pid = 0
        plain = str(directory / SOCKET)
        if fits(plain):
            self._path = plain
        elif (descriptors / str(descriptor)).exists():
            self._path = f"{descriptors}/{descriptor}/{SOCKET}"

    def path(self) -> str:
        """Return the path, valid in this process until the address is closed.

        Raises:
            Unavailable: Even the temporary directory has too long a name.
            OSError: The temporary directory cannot be made.
        """
        return self._path or self._sheltered()

    def close(self) -> None:
        """Remove what this process made; the path must not be used afterwards."""
        if self._shelter is not None and self._shelter_pid == os.getpid():
            shutil.rmtree(self._shelter, ignore_errors=True)
            self._shelter = None

    def _sheltered(self) -> str:
        # A forked child makes its own: its parent removes what it made.
        if self._shelter is None or self._shelter_pid != os.getpid():
            self._shelter = Path(tempfile.mkdtemp(prefix="qcore-"))
            self._shelter_pid = os.getpid()
            (self._shelter / "d").symlink_to(self._directory)
        path = str(self._shelter / "d" / SOCKET)
        if fits(path):
            return path
        self.close()
        raise Unavailable(
            f"a socket's path may have {LONGEST} bytes; the data directory has a longer name, "
            f"and so has a link to it, {path}: set TMPDIR to a shorter one"
        )


def fits(path: str) -> bool:
    """Return whether a socket can be bound and reached by this path."""
    return len(os.fsencode(path)) <= LONGEST
