"""What a process takes of its machine, and how measured times are summed up."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import attrs

from .outcomes import NotRun

__all__ = ["Footprint", "open_descriptors", "percentile", "resident_bytes", "starved_seconds"]

_DESCRIPTORS = Path("/dev/fd")
_LISTING = threading.Lock()
"""So that nobody counts what others open for counting."""
_MEMORY = Path("/proc/self/statm")
_SCHEDULING = Path("/proc/thread-self/schedstat")


def open_descriptors() -> int:
    """How many files and sockets this process has open.

    Raises:
        NotRun: If the system does not tell.
    """
    if not _DESCRIPTORS.is_dir():
        raise NotRun("this system does not list the open files of a process")
    with _LISTING:
        return len(os.listdir(_DESCRIPTORS)) - 1  # noqa: PTH208  (one is the listing itself)


def resident_bytes() -> int:
    """How much memory this process holds.

    Raises:
        NotRun: If the system does not tell.
    """
    if not _MEMORY.exists():
        raise NotRun("this system does not tell how much memory a process holds")
    return int(_MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def starved_seconds() -> float:
    """For how long this thread, since it began, could have run and was given no processor.

    What a busy machine adds to a measured time; always 0 where the system does not tell.
    """
    if not _SCHEDULING.exists():
        return 0.0
    _, waited, _ = _SCHEDULING.read_text().split()
    return int(waited) / 1e9


def percentile(samples: Sequence[float], part: float) -> float:
    """The least sample that is not below this part of all, such as 0.99."""
    return sorted(samples)[max(0, math.ceil(part * len(samples)) - 1)]


@attrs.frozen
class Footprint:
    """What this process holds that a leak would make more of.

    Attributes:
        threads: Threads that run.
        descriptors: Files and sockets that are open.
    """

    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Self:
        """What it holds now.

        Raises:
            NotRun: If the system does not tell.
        """
        return cls(threading.active_count(), open_descriptors())

    def plus(self, more: int) -> Self:
        """As much, and so many more of each."""
        return attrs.evolve(self, threads=self.threads + more, descriptors=self.descriptors + more)

    def exceeds(self, other: Footprint) -> bool:
        """Whether it is more of anything."""
        return self.threads > other.threads or self.descriptors > other.descriptors
