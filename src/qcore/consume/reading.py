"""Reading a log: where a group begins, which entries to show, and what they look like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs

from qcore.backend import LoggedJob, Span, Start
from qcore.capabilities import Capabilities
from qcore.codec import decode_envelope
from qcore.errors import Corrupt, HistoryGone, InvalidInput
from qcore.job import Job
from qcore.options import count, job_id, moment, name_of

__all__ = [
    "DEFAULT_GROUP",
    "LogEntry",
    "StartsAt",
    "begun",
    "line_of",
    "log_entries",
    "queue_of",
    "span_of",
    "start_of",
]

DEFAULT_GROUP = "default"
"""The group of a queue that was bound to none."""

StartsAt = str | float | datetime
"""``"all"``, ``"new"``, a job's id, an aware ``datetime`` or seconds since the Unix epoch."""


@attrs.frozen
class LogEntry:
    """One entry of a log.

    Attributes:
        id: The job's id.
        job: The job; ``None`` if it cannot be read.
        raw: The bytes as stored.
        at: When the broker stored it, in seconds since the Unix epoch on its clock.
    """

    id: str
    job: Job | None
    raw: bytes
    at: float


def queue_of(line: str) -> str:
    """The queue that a line belongs to."""
    return line.partition("/")[0]


def line_of(queue: str, group: object, capabilities: Capabilities) -> str:
    """The line of a group.

    Raises:
        InvalidInput: If the name is none.
    """
    name = name_of("group", group, capabilities.limits.name)
    return queue if name == DEFAULT_GROUP else f"{queue}/{name}"


def start_of(name: str, value: object, capabilities: Capabilities, *, new: bool = True) -> Start:
    """Where to begin.

    Args:
        name: What the argument is called.
        value: As ``StartsAt``.
        capabilities: Whose limits hold.
        new: Whether ``"new"`` makes sense there.

    Raises:
        InvalidInput: If it is none of these.
    """
    if value == "all" or (new and value == "new"):
        return Start(str(value))
    if isinstance(value, str):
        return Start("id", id=job_id(name, value, capabilities.limits.name))
    try:
        return Start("time", millis=round(moment(value) * 1000))
    except InvalidInput:
        raise InvalidInput(
            f"{name} must be 'all', {'new, ' if new else ''}a job's id, an aware datetime or "
            f"seconds since the Unix epoch, not {value!r:.100}"
        ) from None


def span_of(
    start: object,
    end: object,
    after: object,
    limit: object,
    capabilities: Capabilities,
    *,
    newest_first: bool,
) -> Span:
    """What to read of a log.

    Raises:
        InvalidInput: If an argument is wrong.
        LimitExceeded: If ``limit`` is too large.
    """
    limits = capabilities.limits
    return Span(
        start_of("start", start, capabilities, new=False),
        start_of("end", end, capabilities, new=False),
        "" if after is None else job_id("after", after, limits.name),
        count("limit", limit, limits.batch),
        newest_first,
    )


def log_entries(queue: str, rows: Sequence[LoggedJob] | None, asked: str) -> list[LogEntry]:
    """Decode what can be decoded; what cannot is shown raw.

    Raises:
        HistoryGone: If there are no rows, as the log does not reach back that far.
    """
    begun(queue, asked, reached=rows is not None)
    return [LogEntry(row.id, _job(queue, row), row.stored, row.at) for row in rows or ()]


def begun(queue: str, asked: str, *, reached: bool) -> None:
    """Check that the log reached back to where something was to begin.

    Raises:
        HistoryGone: If it did not.
    """
    if not reached:
        raise HistoryGone(
            f"the log {queue!r} does not reach back to {asked}: retention dropped it, or it never "
            "was in there; begin with 'all' for what is left"
        )


def _job(queue: str, row: LoggedJob) -> Job | None:
    try:
        return decode_envelope(row.id, queue, row.stored)
    except Corrupt:
        return None
