"""The states of a job and every legal step between them, as data.

    ready ──take──▶ held ──ack──▶ done
      ▲               ├─release──▶ ready
      │               ├─retry────▶ delayed ──due──▶ ready
      │               ├─expire───▶ ready
      └──redrive── dead ◀──dead_letter, expire past a limit
    any waiting or dead job ──purge──▶ dropped
    any job ──cancel──▶ dropped
    ready, past its ttl ──late──▶ dropped

Nothing else in qcore decides which step is legal.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

__all__ = ["INSPECTABLE", "TRANSITIONS", "Event", "State", "step"]


class State(StrEnum):
    """Where a job is."""

    READY = "ready"
    DELAYED = "delayed"
    HELD = "held"
    DEAD = "dead"
    DONE = "done"
    DROPPED = "dropped"


class Event(StrEnum):
    """What can happen to a job."""

    TAKE = "take"
    ACK = "ack"
    RELEASE = "release"
    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    EXPIRE = "expire"
    EXHAUST = "exhaust"
    DUE = "due"
    REDRIVE = "redrive"
    PURGE = "purge"
    CANCEL = "cancel"
    LATE = "late"


INSPECTABLE: tuple[State, ...] = (State.READY, State.DELAYED, State.HELD, State.DEAD)
"""The states that ``peek`` shows."""

TRANSITIONS: Mapping[tuple[State, Event], State] = MappingProxyType(
    {
        (State.READY, Event.TAKE): State.HELD,
        (State.READY, Event.PURGE): State.DROPPED,
        (State.READY, Event.CANCEL): State.DROPPED,
        (State.READY, Event.LATE): State.DROPPED,
        (State.DELAYED, Event.DUE): State.READY,
        (State.DELAYED, Event.PURGE): State.DROPPED,
        (State.DELAYED, Event.CANCEL): State.DROPPED,
        (State.HELD, Event.ACK): State.DONE,
        (State.HELD, Event.RELEASE): State.READY,
        (State.HELD, Event.RETRY): State.DELAYED,
        (State.HELD, Event.EXPIRE): State.READY,
        (State.HELD, Event.EXHAUST): State.DEAD,
        (State.HELD, Event.DEAD_LETTER): State.DEAD,
        (State.HELD, Event.CANCEL): State.DROPPED,
        (State.DEAD, Event.REDRIVE): State.READY,
        (State.DEAD, Event.PURGE): State.DROPPED,
        (State.DEAD, Event.CANCEL): State.DROPPED,
    }
)


def step(state: State, event: Event) -> State:
    """The state after ``event``.

    Raises:
        ValueError: If a job in ``state`` cannot meet ``event``.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ValueError(f"a job that is {state} cannot meet '{event}'") from None
