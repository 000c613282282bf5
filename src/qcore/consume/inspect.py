"""What ``peek`` shows, and the checks of the calls that look into a queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from qcore.backend import PeekedJob
from qcore.capabilities import Capabilities
from qcore.codec import decode_envelope
from qcore.errors import Corrupt, InvalidInput
from qcore.job import Job
from qcore.options import count, job_id, name_of, whole
from qcore.states import INSPECTABLE, State

__all__ = [
    "PAGE",
    "InspectedJob",
    "checked_ids",
    "checked_move",
    "checked_page",
    "checked_state",
    "inspected",
    "parts",
]

PAGE = 100
"""Jobs that are looked at together where all are looked at."""

_FURTHEST = 1 << 53
"""An offset that every broker can count to."""


@attrs.frozen
class InspectedJob:
    """One job as it lies in a queue.

    Attributes:
        id: The job's id, or the raw text of an item that is none.
        job: The job; ``None`` if it cannot be read.
        raw: The bytes as stored.
        state: Where it is.
        due_in: Seconds until it is due or its lease ends, where that is awaited.
        number: Deliveries so far.
        attempt: The attempt that is next or under way.
        crashes: How often its worker died.
        note: The last error, or why it is dead.
    """

    id: str
    job: Job | None
    raw: bytes
    state: State
    due_in: float | None
    number: int
    attempt: int
    crashes: int
    note: str


def inspected(queue: str, rows: Sequence[PeekedJob]) -> list[InspectedJob]:
    """Decode what can be decoded; what cannot is shown raw."""
    return [
        InspectedJob(
            id=row.id,
            job=_job(queue, row),
            raw=row.stored,
            state=row.state,
            due_in=row.due_in,
            number=row.number,
            attempt=row.attempt,
            crashes=row.crashes,
            note=row.note,
        )
        for row in rows
    ]


def _job(queue: str, row: PeekedJob) -> Job | None:
    try:
        return decode_envelope(row.id, queue, row.stored)
    except Corrupt:
        return None


def checked_state(value: object, *, purge: bool = False) -> State:
    """A state that can be looked at, or purged.

    Raises:
        InvalidInput: If there is none of that name; held jobs cannot be purged.
    """
    allowed = [state for state in INSPECTABLE if not (purge and state is State.HELD)]
    for state in allowed:
        if value == state.value:
            return state
    raise InvalidInput(f"state must be one of {', '.join(allowed)}, not {value!r}")


def checked_move(
    name: str, to: object, state: object, limit: object
) -> tuple[str, State, int | None]:
    """Where jobs go, from which state, and how many at most.

    Raises:
        InvalidInput: If an argument is wrong, or they are there already.
    """
    target = name_of("queue", to)
    if target == name:
        raise InvalidInput(f"the jobs are in {name} already; name another queue")
    most = None if limit is None else count("limit", limit, _FURTHEST)
    return target, checked_state(state, purge=True), most


def checked_page(limit: object, offset: object, capabilities: Capabilities) -> tuple[int, int]:
    """A page: how many, and how many to skip.

    Raises:
        InvalidInput: If one of them is no whole number.
        LimitExceeded: If one of them is too large.
    """
    return count("limit", limit, capabilities.limits.batch), whole("offset", offset, _FURTHEST)


def parts(ids: Sequence[str], capabilities: Capabilities) -> list[Sequence[str]]:
    """Ids in parts that can be sent at once."""
    most = capabilities.limits.batch
    return [ids[first : first + most] for first in range(0, len(ids), most)]


def checked_ids(ids: Iterable[object] | None) -> list[str] | None:
    """Ids that the caller names, or ``None`` for all.

    Raises:
        InvalidInput: If one of them cannot be an id.
    """
    if isinstance(ids, str | bytes):
        raise InvalidInput("ids must be a list of ids, not one text")
    return None if ids is None else [job_id("id", one) for one in ids]
