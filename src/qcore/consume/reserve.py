"""The reserve loop: take, and while there is nothing, wait; written once for both colours.

In: how many jobs at most and how long to look for them. Out: one to ``limit`` jobs, or none when
the time is over, which is no error. A broker that cannot be reached is tried again, with
back-off, until the time is over but at least once; only then its error goes up. ``timeout=None``
never ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs

from qcore.backend import Settle, Taken, TakenJob
from qcore.consume.commit import Pause
from qcore.errors import Indeterminate, QcoreError, Unavailable
from qcore.policy import backoff
from qcore.sansio import Program

__all__ = ["LONGEST_WAIT", "Admit", "Discard", "Found", "Take", "Wait", "reserving", "shares"]

T = TypeVar("T")

LONGEST_WAIT = 1.5
"""Seconds of one wait: what a signal lost with a dead consumer can cost the others at most."""


@attrs.frozen
class Take:
    """Take what is there; the reply is a ``Found``."""


@attrs.frozen
class Found:
    """What a take found, and when it was asked for: leases count from then."""

    taken: Taken
    asked_at: float


@attrs.frozen
class Discard:
    """Set aside what was taken but cannot be handed out.

    Attributes:
        unfit: How to set each of them aside.
        fit: Tokens of what came along, to be given back if this is interrupted.
    """

    unfit: Sequence[Settle]
    fit: Sequence[str]


@attrs.frozen
class Wait:
    """Wait for work, at most ``seconds``."""

    seconds: float


Admit = Callable[[Found], tuple[list[T], list[Settle]]]


def reserving(
    timeout: float | None, monotonic: Callable[[], float], admit: Admit[T]
) -> Program[Take | Discard | Wait | Pause, list[T]]:
    """Look for jobs until some are there or the time is over.

    Args:
        timeout: Seconds to look; 0 looks once, ``None`` never gives up.
        monotonic: Tells the time.
        admit: Turns what was taken into deliveries, and steps for what is not fit to be one.

    Raises:
        Unavailable: If the broker was away when the time was over.
        Indeterminate: If the reply of the last take was lost.
    """
    deadline = None if timeout is None else monotonic() + timeout
    failures = 0
    while True:
        try:
            found: Found = yield Take()
            deliveries, unfit = admit(found)
            if unfit:
                yield from _discarding(found.taken, unfit)
            if deliveries:
                return deliveries
            failures = 0
            if unfit or found.taken.more:
                # Behind what nobody can read, or what came too late, there may be a job, also for
                # one who looks once.
                continue
            remaining = LONGEST_WAIT if deadline is None else deadline - monotonic()
            if remaining <= 0:
                return []
            if (rest := _rest(found.taken)) > 0:
                yield Wait(min(remaining, rest, LONGEST_WAIT))
        except (Unavailable, Indeterminate):
            failures += 1
            remaining = LONGEST_WAIT if deadline is None else max(0.0, deadline - monotonic())
            # A connection that died while idle is found out by the first call: look once more.
            is_over = remaining <= 0 and failures > 1
            if is_over or not (yield Pause(min(backoff(failures), remaining))):
                raise


def _discarding(taken: Taken, unfit: Sequence[Settle]) -> Program[Discard, None]:
    doomed = {step.token for step in unfit}
    fit = [job.token for job in taken.jobs if job.token not in doomed]
    try:
        yield Discard(unfit, fit)
    except QcoreError:
        # Their lease will end them; what came along is in hand and must not be lost.
        if not fit:
            raise


def _rest(taken: Taken) -> float:
    """Seconds for which this answer lets us sleep."""
    if taken.more:
        return 0.0
    return LONGEST_WAIT if taken.next_due is None else taken.next_due


def shares(limits: Sequence[int], found: Found) -> list[Found]:
    """Share the jobs of one take among the callers that asked together, first come first served.

    Returns:
        A share for each limit, and what is left: an answer to an earlier call, of which nobody
        knew, may bring more than is wanted now.
    """
    parts: list[Found] = []
    rest: Sequence[TakenJob] = found.taken.jobs
    for limit in [*limits, len(rest)]:
        mine, rest = rest[:limit], rest[limit:]
        parts.append(attrs.evolve(found, taken=attrs.evolve(found.taken, jobs=mine)))
    return parts
