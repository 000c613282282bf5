"""When what is broken: a pure plan, made from a seed."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence

from attrs import frozen

from qcore_conformance.events import FaultKind

__all__ = ["EVERY", "Strike", "schedule"]

EVERY: Mapping[FaultKind, float] = {
    FaultKind.KILL_WORKER: 0.8,
    FaultKind.PAUSE_WORKER: 4.0,
    FaultKind.CUT: 3.5,
    FaultKind.KILL_SERVER: 14.0,
    FaultKind.RESTART_SERVER: 29.0,
}
"""Seconds between two faults of a kind, on the average."""


@frozen(order=True)
class Strike:
    """One fault to come: when, in seconds from the start, and what."""

    at: float
    fault: FaultKind


def schedule(
    seconds: float,
    faults: Collection[FaultKind],
    chance: random.Random,
    every: Mapping[FaultKind, float] = EVERY,
) -> Sequence[Strike]:
    """Plan the faults of a round, in order; each kind comes at least once.

    Args:
        seconds: How long the round is.
        faults: Which kinds there may be.
        chance: Makes the choices.
        every: Seconds between two faults of a kind, on the average.
    """
    return sorted(
        Strike(at, fault)
        for fault, pause in every.items()
        if fault in faults
        for at in _times(seconds, pause, chance)
    )


def _times(seconds: float, every: float, chance: random.Random) -> list[float]:
    """Moments in the middle of a round, one for each part of it of about ``every`` seconds."""
    begin, end = 0.1 * seconds, 0.95 * seconds
    parts = max(1, round((end - begin) / every))
    width = (end - begin) / parts
    return [begin + width * (part + chance.random()) for part in range(parts)]
