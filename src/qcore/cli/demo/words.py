"""The work: text files under a folder, and how many words each has."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from qcore.errors import InvalidInput

__all__ = ["count_words", "default_folder", "is_text", "word_counts"]

_FOREIGN = {"site-packages", "dist-packages", "__pycache__"}
_BEGINNING = 8192


def default_folder() -> Path:
    """A folder of text files that every machine has: Python's own standard library."""
    return Path(sysconfig.get_paths()["stdlib"])


def is_text(content: bytes) -> bool:
    """Whether a file with this content looks like text: no NUL at its beginning."""
    return b"\0" not in content[:_BEGINNING]


def count_words(content: bytes) -> int:
    """How many words there are, with white space between them."""
    return len(content.split())


def word_counts(folder: Path) -> dict[Path, int]:
    """The words of every text file under a folder, in the order of their paths.

    Files of installed packages, hidden ones and those that cannot be read are left out.

    Raises:
        InvalidInput: If there is no text file.
    """
    counts: dict[Path, int] = {}
    for path in _files(folder):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if is_text(content):
            counts[path] = count_words(content)
    if not counts:
        raise InvalidInput(f"there is no text file under {folder}; name another folder")
    return counts


def _files(folder: Path) -> Iterator[Path]:
    wanted = ".py" if folder == default_folder() else ""
    for place, folders, names in os.walk(folder.absolute()):
        folders[:] = sorted(
            name for name in folders if name not in _FOREIGN and not name.startswith(".")
        )
        for name in sorted(names):
            path = Path(place, name)
            if name.endswith(wanted) and not name.startswith(".") and path.is_file():
                yield path
