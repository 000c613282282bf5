"""What jobs share with others as it crosses the seam: the limits of a gate, a join's members."""

from __future__ import annotations

from qcore.backend import GateLimits, JoinTerms
from qcore.capabilities import Limits
from qcore.errors import InvalidInput
from qcore.options import Gate, Join, count, job_id, seconds

__all__ = ["gate_limits", "join_terms"]

_GATE_LIMIT = 1_000_000
"""The largest concurrency and the largest rate."""
_SHORTEST_WINDOW = 0.01
_MOST_MEMBERS = 1_000_000


def gate_limits(gate: object, limits: Limits) -> GateLimits:
    """The limits of a gate, as they cross the seam.

    Raises:
        InvalidInput: If it is no gate, limits nothing, or has a rate or a window alone.
        LimitExceeded: If a number is too large.
    """
    if not isinstance(gate, Gate):
        raise InvalidInput(f"gate must be a qcore.Gate, not {type(gate).__name__}")
    key = job_id("gate key", gate.key, limits.name)
    if gate.concurrency is None and gate.rate is None:
        raise InvalidInput("a gate must limit something: give it a concurrency, a rate or both")
    if (gate.rate is None) != (gate.window is None):
        raise InvalidInput("a rate is so many in a window: give a gate both or none of them")
    concurrency = gate.concurrency
    if concurrency is not None:
        concurrency = count("concurrency", concurrency, _GATE_LIMIT)
    rate = None if gate.rate is None else count("rate", gate.rate, _GATE_LIMIT)
    return GateLimits(key, concurrency, rate, _window_ms(gate.window, limits))


def _window_ms(window: object, limits: Limits) -> int:
    if window is None:
        return 0
    number = seconds("window", window, most=limits.delay)
    if number < _SHORTEST_WINDOW:
        raise InvalidInput(f"window must be {_SHORTEST_WINDOW} seconds or more, not {number:g}")
    return round(number * 1000)


def join_terms(join: object, given: str | None, limits: Limits) -> JoinTerms:
    """Who has to ask for a job, as it crosses the seam.

    Raises:
        InvalidInput: If it is no join, has no time, or the job has no id of the caller's.
        LimitExceeded: If a number is too large.
    """
    if not isinstance(join, Join):
        raise InvalidInput(f"join must be a qcore.Join, not {type(join).__name__}")
    if given is None:
        raise InvalidInput("all who ask for a job must name it alike: give join and an id")
    within = seconds("within", join.within, most=limits.delay)
    if within == 0:
        raise InvalidInput("within must be more than 0 seconds: nobody would be remembered")
    return JoinTerms(
        of=count("of", join.of, _MOST_MEMBERS),
        member=job_id("member", join.member, limits.name),
        within_ms=max(1, round(within * 1000)),
    )
