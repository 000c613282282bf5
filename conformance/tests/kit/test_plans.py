"""Plans as values, and how they count."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, strategies as st

from qcore_conformance.plans import Cut, Link, Plan, When, boundaries


def test_a_point_comes_up_at_its_exchange_and_only_there() -> None:
    """Counted from when it was planned."""
    plan = Plan()
    plan.count("GET")
    second = Cut(exchange=2, when=When.BEFORE_REPLY)
    plan.add(second)
    assert [plan.count("GET") for _ in range(4)] == [(), (second,), (), ()]
    assert not plan.waiting


def test_a_point_counts_only_its_commands() -> None:
    """Others pass it by."""
    plan = Plan()
    point = Cut(exchange=2, when=When.AFTER_REPLY, commands={"EVALSHA"})
    plan.add(point)
    seen = [bool(plan.count(name)) for name in ("HELLO", "EVALSHA", "GET", "EVALSHA")]
    assert seen == [False, False, False, True]


def test_points_count_for_themselves() -> None:
    """Several may share an exchange."""
    plan = Plan()
    one = Cut(exchange=1, when=When.BEFORE_REQUEST)
    other = Cut(exchange=1, when=When.AFTER_REPLY)
    plan.add(one, other)
    assert plan.count("GET") == (one, other)


def test_a_plan_can_be_dropped() -> None:
    """Then nothing comes up."""
    plan = Plan()
    plan.add(Cut(exchange=1, when=When.BEFORE_REPLY))
    plan.clear()
    assert plan.count("GET") == ()


def test_exchanges_count_from_one() -> None:
    """There is no exchange before the first."""
    with pytest.raises(ValueError, match="exchange"):
        Cut(exchange=0, when=When.BEFORE_REPLY)


@given(
    st.binary(max_size=200),
    st.builds(Link, bandwidth=st.sampled_from([0, 1, 10, 1000]), split=st.booleans()),
)
def test_a_link_changes_no_bytes(data: bytes, link: Link) -> None:
    """It only takes its time over them."""
    pieces = list(link.pieces(data))
    assert b"".join(piece for piece, _ in pieces) == data
    assert all(piece for piece, _ in pieces)
    if link.bandwidth:
        assert sum(pause for _, pause in pieces) == pytest.approx(len(data) / link.bandwidth)


def test_jitter_repeats_with_its_seed() -> None:
    """And stays within its bounds."""
    link = Link(delay=0.05, jitter=0.1)
    lags = [[link.lag(chance) for _ in range(20)] for chance in map(random.Random, (1, 1, 2))]
    assert lags[0] == lags[1] != lags[2]
    assert all(0.05 <= lag <= 0.15 for lag in lags[0])


def test_a_sweep_visits_both_sides_of_each_reply() -> None:
    """The two places where a worker's death differs."""
    assert list(boundaries(2)) == [
        (1, When.BEFORE_REPLY),
        (1, When.AFTER_REPLY),
        (2, When.BEFORE_REPLY),
        (2, When.AFTER_REPLY),
    ]
