"""Aiming at a moment: faults that shall meet an operation just when it takes effect.

Nobody knows how long an operation takes on a machine. A race learns it from every shot: it aims
later after one that came too soon, and sooner after one that came too late, so that about half
of them hit, on any broker.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from typing import Any

from .bed import Bed
from .measuring import starved_seconds
from .outcomes import Unknown
from .waiting import scaled

__all__ = ["Race", "cancelled_after"]

_LATEST = 0.1
_ENDS_WITHIN = 5.0
"""Seconds after which a cancelled call counts as one that never ends."""


class Race:
    """A fault against an operation, again and again.

    Args:
        fault: What is aimed, in a word.

    Attributes:
        won: How often the fault came before the operation's end.
        lost: How often it came too late.
        ghosts: How often it came before the end but after the effect, if that could be seen.
    """

    def __init__(self, fault: str) -> None:
        self._fault = fault
        self._centre = 0.001
        self.won = self.lost = self.ghosts = 0

    @property
    def delay(self) -> float:
        """Seconds from the begin of the operation to the fault, this time."""
        return self._centre * random.uniform(0.5, 1.5)

    def note(self, *, won: bool, ghost: bool = False) -> None:
        """Learn from one shot."""
        self.won += won
        self.lost += not won
        self.ghosts += ghost
        self._centre = min(_LATEST, self._centre * (1.25 if won else 0.8))

    def report(self, bed: Bed) -> None:
        """Note how often the race went either way.

        Raises:
            Unknown: If it always went the same way, so that nothing is proven.
        """
        bed.figure(f"races won by the {self._fault}", self.won, "")
        bed.figure(f"races lost by the {self._fault}", self.lost, "")
        bed.figure(f"effects that met a {self._fault}", self.ghosts, "")
        if not self.won or not self.lost:
            raise Unknown(f"the {self._fault} came too soon {self.won}, too late {self.lost} times")


async def cancelled_after(
    call: Coroutine[Any, Any, object], seconds: float
) -> tuple[asyncio.Task[Any], float]:
    """Begin a call, and cancel it after so many seconds if it has not ended by then.

    Returns:
        The task, which has ended, and how long it took to end after the cancel: seconds, without
        those in which the machine gave this thread no processor.

    Raises:
        AssertionError: If it goes on for much longer than any call may.
    """
    task = asyncio.create_task(call)
    until = time.monotonic() + seconds
    await asyncio.sleep(0)
    # The loop sleeps for whole milliseconds, which would miss most of what is aimed at.
    while time.monotonic() < until and not task.done():  # noqa: ASYNC110  (nobody tells the time)
        await asyncio.sleep(0)
    began, starved = time.monotonic(), starved_seconds()
    task.cancel()
    await asyncio.wait([task], timeout=scaled(_ENDS_WITHIN))
    took = time.monotonic() - began - (starved_seconds() - starved)
    if not task.done():
        # Nobody else asks what becomes of it.
        task.add_done_callback(_seen)
        raise AssertionError(f"a call that was cancelled goes on after {took:g} s")
    return task, took


def _seen(task: asyncio.Task[Any]) -> None:
    """Take note of how a task ended, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()
