"""Tests that take long are spread over the workers, and none is left out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, strategies as st

from conformance.tests.dealing import dealt

_ITEMS = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.0, 60.0, 600.0]), max_size=200)


def _order(lengths: list[float], workers: int) -> list[int]:
    return dealt(range(len(lengths)), workers, lengths.__getitem__)


@given(_ITEMS, st.integers(1, 8))
def test_nothing_is_left_out_or_done_twice(lengths: list[float], workers: int) -> None:
    """However few there are for however many."""
    assert sorted(_order(lengths, workers)) == list(range(len(lengths)))


@given(_ITEMS, st.integers(1, 8))
def test_what_is_short_keeps_its_order(lengths: list[float], workers: int) -> None:
    """Neighbours share what they have set up."""
    short = [place for place in _order(lengths, workers) if not lengths[place]]
    assert short == sorted(short)


def test_each_worker_gets_as_many_of_the_long_ones_and_the_longest_first() -> None:
    """A worker's share is a stretch of the list."""
    lengths = [*[0.0] * 88, *[60.0] * 6, *[600.0] * 6]

    order = _order(lengths, 4)

    for worker in range(4):
        long = [lengths[place] for place in order[worker * 25 :][:25] if lengths[place]]
        assert len(long) == 3
        assert long == sorted(long, reverse=True)
        assert long[0] == 600.0


def test_within_a_share_the_long_ones_are_as_far_apart_as_they_can_be() -> None:
    """While one waits, the others are worked through."""
    order = _order([*[600.0] * 4, *[0.0] * 36], 1)

    places = [place for place, item in enumerate(order) if item < 4]
    assert places[0] == 0
    assert {later - earlier for earlier, later in pairwise(places)} == {10}
