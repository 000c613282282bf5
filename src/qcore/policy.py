"""Decisions as pure functions: when to retry, how long to wait, how much to take ahead."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import attrs

from qcore.capabilities import Capabilities
from qcore.errors import InvalidInput
from qcore.options import count, seconds

__all__ = [
    "Abandon",
    "RetryAfter",
    "RetryPolicy",
    "backoff",
    "next_mean",
    "prefetch_limit",
    "retry_policy",
]

_MOST_ATTEMPTS = 1 << 31

Rng = Callable[[], float]
"""Gives a number from 0 up to 1."""


@attrs.frozen
class RetryAfter:
    """Try again after ``delay`` seconds."""

    delay: float


@attrs.frozen
class Abandon:
    """Set the job aside for ``reason``."""

    reason: str


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """How often a failing job is tried, and how long it rests in between.

    Attributes:
        max_attempts: Attempts in all, the first included; ``None`` for no end.
        first_delay: Seconds before the second attempt.
        factor: By how much each further delay grows.
        max_delay: Longest delay in seconds.
        jitter: Up to this part of a delay is taken off by chance, so that herds disperse.
    """

    max_attempts: int | None = 5
    first_delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 600.0
    jitter: float = 0.2

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if self.max_attempts is not None:
            count("max_attempts", self.max_attempts, _MOST_ATTEMPTS)
        seconds("first_delay", self.first_delay)
        seconds("max_delay", self.max_delay)
        if not 1 <= self.factor < math.inf:
            raise InvalidInput(f"factor must be finite and at least 1, not {self.factor!r}")
        if not 0 <= self.jitter <= 1:
            raise InvalidInput(f"jitter must lie between 0 and 1, not {self.jitter!r}")

    def after_failure(self, attempt: int, rng: Rng = random.random) -> RetryAfter | Abandon:
        """Decide what follows the failure of this attempt (1 is the first)."""
        if self.max_attempts is not None and attempt >= self.max_attempts:
            return Abandon(f"failed {attempt} of {self.max_attempts} attempts")
        try:
            delay = min(self.max_delay, self.first_delay * self.factor ** (attempt - 1))
        except OverflowError:
            delay = self.max_delay
        return RetryAfter(delay * (1 - self.jitter * rng()))


def retry_policy(given: object, capabilities: Capabilities) -> RetryPolicy:
    """The policy of a queue: the caller's, or one that the adapter can keep.

    Raises:
        InvalidInput: If it is no policy.
        LimitExceeded: If it waits longer than the adapter can.
        UnsupportedCapability: If it ends in a dead letter, or retries, and the adapter never does.
    """
    if given is None:
        return RetryPolicy() if "dead_letter" in capabilities else RetryPolicy(max_attempts=None)
    if not isinstance(given, RetryPolicy):
        raise InvalidInput(f"retry must be a RetryPolicy, not {type(given).__name__}")
    capabilities.need("retry")
    seconds("max_delay", given.max_delay, most=capabilities.limits.delay)
    if given.max_attempts is not None:
        capabilities.need("dead_letter")
    return given


def backoff(failures: int, rng: Rng = random.random, *, cap: float = 2.0) -> float:
    """Seconds to wait before the next try to reach a broker.

    Doubles from 25 ms up to ``cap`` and is spread over its upper half, so that the clients of a
    server that comes back do not all arrive at once.
    """
    whole = min(cap, 0.025 * 2.0 ** min(failures, 20))
    return whole * (0.5 + 0.5 * rng())


def next_mean(mean: float | None, sample: float) -> float:
    """A moving mean of how long jobs take, in seconds, that follows changes quickly."""
    return sample if mean is None else mean + 0.3 * (sample - mean)


def prefetch_limit(most: int, mean: float | None, horizon: float = 0.05) -> int:
    """How many jobs to take at once: those that can start within ``horizon`` seconds.

    Args:
        most: The caller's bound.
        mean: Mean seconds that recent jobs took; ``None`` before the first one.
        horizon: Seconds of work to hold in hand.
    """
    if mean is None:
        return 1
    if mean * most <= horizon:
        return most
    return max(1, min(most, int(horizon / mean)))
