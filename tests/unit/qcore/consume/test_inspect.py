from __future__ import annotations

import attrs
import pytest

from qcore.backend import PeekedJob
from qcore.capabilities import Limits
from qcore.codec import encode_envelope
from qcore.consume.inspect import checked_ids, checked_page, checked_state, inspected
from qcore.errors import InvalidInput, LimitExceeded
from qcore.job import Job
from qcore.states import State
from tests.unit.qcore.stubs import spoilt

LIMITED = attrs.evolve(spoilt(), limits=Limits(batch=10))


def test_what_can_be_read_is_shown_as_a_job() -> None:
    """With all that the broker counts."""
    job = Job("a", "q", b"body")
    row = PeekedJob("a", State.DELAYED, encode_envelope(job), 1.5, 4, 3, 2, "no network")
    (shown,) = inspected("q", [row])
    assert (shown.id, shown.job, shown.raw, shown.state) == ("a", job, row.stored, State.DELAYED)
    assert (shown.due_in, shown.number, shown.attempt, shown.crashes) == (1.5, 4, 3, 2)
    assert shown.note == "no network"


def test_what_cannot_be_read_is_shown_raw() -> None:
    """It spoils the list of nobody."""
    rows = [PeekedJob("x", State.DEAD, b"junk"), PeekedJob("y", State.DEAD, b"1{}\n")]
    shown = inspected("q", rows)
    assert [(one.job is None, one.raw) for one in shown] == [(True, b"junk"), (False, b"1{}\n")]


@pytest.mark.parametrize("state", ["ready", "delayed", "held", "dead"])
def test_four_states_can_be_looked_at(state: str) -> None:
    """By name or by value."""
    assert checked_state(state) is checked_state(State(state)) is State(state)


def test_other_states_cannot() -> None:
    """The message lists those that can."""
    wrong: list[object] = ["done", "dropped", "", "READY", None, 1, b"ready", []]
    for state in wrong:
        with pytest.raises(InvalidInput, match="ready, delayed, held, dead"):
            checked_state(state)


def test_held_jobs_cannot_be_purged() -> None:
    """Somebody works on them."""
    assert checked_state("dead", purge=True) is State.DEAD
    with pytest.raises(InvalidInput, match="ready, delayed, dead, not 'held'"):
        checked_state("held", purge=True)


def test_a_page_has_a_size_and_a_place() -> None:
    """Within the limit of the adapter."""
    assert checked_page(10, 0, LIMITED) == (10, 0)
    assert checked_page(1, 1 << 53, LIMITED) == (1, 1 << 53)
    for limit, offset in [(11, 0), (1, (1 << 53) + 1)]:
        with pytest.raises(LimitExceeded):
            checked_page(limit, offset, LIMITED)
    for wrong in [(0, 0), (1, -1), (True, 0), (1, True), (1.0, 0), (1, 1.0), ("1", 0), (1, None)]:
        with pytest.raises(InvalidInput):
            checked_page(*wrong, LIMITED)


def test_ids_are_a_list_of_ids() -> None:
    """One text is not a list of its letters."""
    assert checked_ids(None) is None
    assert checked_ids(iter(["a", "b:c"])) == ["a", "b:c"]
    for wrong in ("abc", b"abc", ["a b"], [1], [None]):
        with pytest.raises(InvalidInput, match="id"):
            checked_ids(wrong)
