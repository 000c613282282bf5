"""A disk that forgets what nobody insisted on, as at a loss of power."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .building import preloaded

__all__ = ["Disk"]


class Disk:
    """What the processes that get its environment have surely written.

    Names of files count as written at once: of a file that was renamed, the new name stays.

    Args:
        folder: Where its library and its notes lie; nobody else's.

    Attributes:
        environment: What a process needs in its environment to be noted.

    Raises:
        NotRun: If this machine cannot build the library.
    """

    def __init__(self, folder: Path) -> None:
        self._notes = folder / "synced"
        self._notes.touch()
        self.environment: Mapping[str, str] = {
            **preloaded("disk", folder),
            "QCORE_SYNCED": str(self._notes),
        }

    def trust(self, data: Path) -> None:
        """Count every file below a folder as surely written, as it is now."""
        files = (path.stat() for path in data.rglob("*") if path.is_file())
        with self._notes.open("a") as notes:
            notes.writelines(f"{file.st_ino} {file.st_size}\n" for file in files)

    def lose_power(self, data: Path) -> int:
        """Cut every file below a folder back to what was surely written; the bytes that go.

        Whoever wrote them must be dead.
        """
        sizes = self._sizes()
        return sum(_cut(path, sizes) for path in data.rglob("*") if path.is_file())

    def _sizes(self) -> dict[int, int]:
        lines = (line.split() for line in self._notes.read_text().splitlines())
        return {int(inode): int(size) for inode, size in lines}


def _cut(path: Path, sizes: Mapping[int, int]) -> int:
    found = path.stat()
    kept = min(sizes.get(found.st_ino, 0), found.st_size)
    os.truncate(path, kept)
    return found.st_size - kept
