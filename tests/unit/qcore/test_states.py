from __future__ import annotations

from itertools import product

import pytest

from qcore.states import INSPECTABLE, TRANSITIONS, Event, State, step

LEGAL = {
    ("ready", "take", "held"),
    ("ready", "purge", "dropped"),
    ("delayed", "due", "ready"),
    ("delayed", "purge", "dropped"),
    ("held", "ack", "done"),
    ("held", "release", "ready"),
    ("held", "retry", "delayed"),
    ("held", "expire", "ready"),
    ("held", "exhaust", "dead"),
    ("held", "dead_letter", "dead"),
    ("dead", "redrive", "ready"),
    ("dead", "purge", "dropped"),
    ("ready", "cancel", "dropped"),
    ("ready", "late", "dropped"),
    ("delayed", "cancel", "dropped"),
    ("held", "cancel", "dropped"),
    ("dead", "cancel", "dropped"),
}


def test_the_table_holds_every_legal_step() -> None:
    """Said once more in plain words."""
    assert {(*key, after) for key, after in TRANSITIONS.items()} == LEGAL


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_a_step_is_legal_or_refused(state: State, event: Event) -> None:
    """Nothing but the table decides."""
    after = {(before, meets): after for before, meets, after in LEGAL}.get((state, event))
    if after is None:
        with pytest.raises(ValueError, match=f"{state} cannot meet '{event}'"):
            step(state, event)
    else:
        assert step(state, event) is State(after)


def test_nothing_leaves_the_end() -> None:
    """Done and dropped are for good, and cannot be looked at."""
    for end in (State.DONE, State.DROPPED):
        assert not [event for event in Event if (end, event) in TRANSITIONS]
        assert end not in INSPECTABLE
    assert set(INSPECTABLE) == set(State) - {State.DONE, State.DROPPED}


def test_every_state_can_be_reached() -> None:
    """A job begins ready or delayed."""
    assert {State(after) for _, _, after in LEGAL} | {State.READY, State.DELAYED} == set(State)
