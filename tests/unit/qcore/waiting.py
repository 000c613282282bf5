"""Wait until something is so, rather than for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["PATIENCE", "eventually", "eventually_async"]

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
