"""What a consumer of the demo tells, one JSON object a line on its standard output."""

from __future__ import annotations

import msgspec

__all__ = ["Counted", "Event", "Holds", "Ready", "Started", "line_of", "read_event"]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """It listens; jobs may come."""


class Holds(msgspec.Struct, frozen=True, tag=True):
    """It has taken these jobs, and will not work on them.

    Attributes:
        ids: The jobs' ids.
        at: When, on the machine's monotonic clock, in seconds.
    """

    ids: tuple[str, ...]
    at: float


class Started(msgspec.Struct, frozen=True, tag=True):
    """It begins to work on a job, at a time as in ``Holds``."""

    id: str
    at: float


class Counted(msgspec.Struct, frozen=True, tag=True):
    """A job is done and settled: the file has so many words."""

    id: str
    words: int


Event = Ready | Holds | Started | Counted


def line_of(event: Event) -> bytes:
    """The line that tells an event."""
    return msgspec.json.encode(event) + b"\n"


def read_event(line: bytes) -> Event:
    """The event that a line tells.

    Raises:
        msgspec.DecodeError: If it tells none.
    """
    event: Event = msgspec.json.decode(line, type=Ready | Holds | Started | Counted)
    return event
