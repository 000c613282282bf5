"""Wait until something is so, rather than for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["PATIENCE", "eventually", "eventually_async", "run_out"]

PATIENCE = 20.0
"""Seconds after which what must happen is given up; no test that passes waits as long."""

_LOOK = 0.001


def eventually(condition: Callable[[], object]) -> None:
    """Return as soon as ``condition`` holds, while other threads go on."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(_LOOK)


async def eventually_async(condition: Callable[[], object]) -> None:
    """Return as soon as ``condition`` holds, while other tasks go on."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to be so"
        await asyncio.sleep(_LOOK)


def run_out(lease: float) -> Callable[[], bool]:
    """Whether a lease of so many seconds that has begun by now ran out for its broker.

    Its holder, who counts from the moment of asking, may think so earlier.
    """
    end = time.time() + lease
    return lambda: time.time() > end
