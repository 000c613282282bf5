from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qcore.capabilities import Capabilities, Claim, Limits
from qcore.errors import InvalidInput, LimitExceeded, UnsupportedCapability
from qcore.policy import (
    Abandon,
    RetryAfter,
    RetryPolicy,
    backoff,
    next_mean,
    prefetch_limit,
    retry_policy,
)

chances = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.none() | st.integers(1, 100),
    first_delay=st.floats(0, 1e6),
    factor=st.floats(1, 1e6),
    max_delay=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)


def test_delays_double_up_to_the_longest() -> None:
    """And the last attempt is followed by none."""
    policy = RetryPolicy(max_attempts=5, first_delay=1, factor=2, max_delay=5, jitter=0)
    decisions = [policy.after_failure(attempt) for attempt in range(1, 6)]
    assert decisions == [
        *[RetryAfter(1.0), RetryAfter(2.0), RetryAfter(4.0), RetryAfter(5.0)],
        Abandon("failed 5 of 5 attempts"),
    ]


@given(policies, st.integers(1, 10**6), chances)
def test_every_decision_is_within_its_bounds(
    policy: RetryPolicy, attempt: int, chance: float
) -> None:
    """However late the attempt and whatever chance says."""
    decision = policy.after_failure(attempt, lambda: chance)
    if isinstance(decision, RetryAfter):
        longest = max(policy.max_delay, 0)
        assert 0 <= decision.delay <= longest
        assert policy.max_attempts is None or attempt < policy.max_attempts
    else:
        assert policy.max_attempts is not None
        assert attempt >= policy.max_attempts


def test_jitter_takes_off_at_most_its_part() -> None:
    """Chance 0 takes nothing, chance 1 the whole part."""
    policy = RetryPolicy(first_delay=10, jitter=0.5)
    assert policy.after_failure(1, lambda: 0.0) == RetryAfter(10.0)
    assert policy.after_failure(1, lambda: 0.75) == RetryAfter(6.25)


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": -1},
        {"max_attempts": 2.5},
        {"max_attempts": True},
        {"max_attempts": "5"},
        {"first_delay": -1},
        {"first_delay": math.nan},
        {"first_delay": math.inf},
        {"first_delay": "1"},
        {"max_delay": -1},
        {"max_delay": math.inf},
        {"max_delay": True},
        {"factor": 0.5},
        {"factor": math.nan},
        {"factor": math.inf},
        {"jitter": -0.1},
        {"jitter": 1.1},
        {"jitter": math.nan},
    ],
    ids=str,
)
def test_policies_that_cannot_be_meant_are_refused(options: dict[str, Any]) -> None:
    """When they are made, not when the first job fails."""
    with pytest.raises(InvalidInput, match=next(iter(options))):
        RetryPolicy(**options)


@given(st.integers(0, 10**9), chances)
def test_backoff_is_never_zero_and_never_above_its_cap(failures: int, chance: float) -> None:
    """A broker that is away is neither spun upon nor forgotten."""
    assert 0.0125 <= backoff(failures, lambda: chance) <= 2.0


def test_backoff_doubles() -> None:
    """From 25 ms on."""
    assert [backoff(n, lambda: 1.0) for n in range(4)] == [0.025, 0.05, 0.1, 0.2]


@given(st.integers(1, 1000), st.none() | st.floats(0, 1e6))
def test_at_least_one_job_is_taken_and_never_more_than_allowed(
    most: int, mean: float | None
) -> None:
    """Whatever the mean."""
    assert 1 <= prefetch_limit(most, mean) <= most


def test_only_what_can_start_soon_is_taken_ahead() -> None:
    """50 ms of work; one job while nothing is known."""
    assert prefetch_limit(50, None) == 1
    assert prefetch_limit(50, 0.0) == 50
    assert prefetch_limit(50, 0.001) == 50
    assert prefetch_limit(50, 0.005) == 10
    assert prefetch_limit(50, 10.0) == 1


def test_the_mean_follows_changes_quickly() -> None:
    """Ten long jobs after many short ones are enough."""
    mean = next_mean(None, 0.001)
    assert mean == 0.001
    for _ in range(10):
        mean = next_mean(mean, 1.0)
    assert mean > 0.9


def promising(*names: str) -> Capabilities:
    """The capabilities of an adapter that offers these."""
    return Capabilities("acme", {name: Claim(value=True) for name in names})


def test_a_queue_without_a_policy_gets_one_that_its_adapter_can_keep() -> None:
    """No end of attempts where nothing could be set aside."""
    assert retry_policy(None, promising("retry", "dead_letter")) == RetryPolicy()
    assert retry_policy(None, promising("retry")).max_attempts is None
    assert retry_policy(None, promising()).max_attempts is None


def test_a_policy_that_the_adapter_cannot_keep_is_refused() -> None:
    """Jobs past their last attempt would be dropped silently otherwise."""
    endless = RetryPolicy(max_attempts=None)
    assert retry_policy(endless, promising("retry")) is endless
    with pytest.raises(UnsupportedCapability, match="dead_letter"):
        retry_policy(RetryPolicy(), promising("retry"))
    with pytest.raises(UnsupportedCapability, match="retry"):
        retry_policy(endless, promising("dead_letter"))


def test_a_policy_that_waits_too_long_is_refused() -> None:
    """The adapter's limit of a delay holds for retries as well."""
    limit = Limits().delay
    longest = RetryPolicy(max_delay=limit)
    assert retry_policy(longest, promising("retry", "dead_letter")) is longest
    with pytest.raises(LimitExceeded, match="max_delay"):
        retry_policy(RetryPolicy(max_delay=limit * 2), promising("retry", "dead_letter"))


def test_a_policy_is_a_policy() -> None:
    """Not a number of attempts."""
    with pytest.raises(InvalidInput, match="RetryPolicy"):
        retry_policy(3, promising("retry", "dead_letter"))
