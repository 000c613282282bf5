"""Jobs as rows: for programs in full, for readers what fits on a line."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from qcore.cli.screen import Column, Row
from qcore.cli.text import body_fields, preview
from qcore.consume.inspect import InspectedJob
from qcore.job import Job
from qcore.queue import Delivery, Queue
from qcore.states import State

__all__ = ["DEAD_COLUMNS", "PEEK_COLUMNS", "delivered_row", "every", "inspected_row"]

_ID = Column("id", "id")
_ATTEMPT = Column("attempt", "attempt", number=True)
_CRASHES = Column("crashes", "crashes", number=True)
_BODY = Column(
    "body", "body_base64", show=lambda encoded: preview(base64.b64decode(encoded, validate=True))
)

PEEK_COLUMNS = (
    _ID,
    _ATTEMPT,
    _CRASHES,
    Column("due in (s)", "due_in", number=True),
    Column("bytes", "size", number=True),
    _BODY,
    Column("note", "note"),
)
"""What a reader sees of waiting and held jobs."""

DEAD_COLUMNS = (_ID, _ATTEMPT, _CRASHES, Column("why", "note"), _BODY)
"""What a reader sees of dead jobs."""

_PAGE = 500


def _job_fields(job: Job) -> dict[str, Any]:
    return {
        "headers": dict(job.headers),
        "priority": job.priority,
        "enqueued_at": job.enqueued_at,
        "codec": job.codec,
        **body_fields(job.body),
    }


def inspected_row(queue: str, one: InspectedJob) -> Row:
    """A job as it lies in a queue; what cannot be read is shown as it is stored."""
    fields = {"codec": None, **body_fields(one.raw)} if one.job is None else _job_fields(one.job)
    body = one.raw if one.job is None else one.job.body
    return {
        "queue": queue,
        "id": one.id,
        "state": one.state.value,
        "due_in": one.due_in,
        "number": one.number,
        "attempt": one.attempt,
        "crashes": one.crashes,
        "note": one.note,
        "readable": one.job is not None,
        "size": len(body),
        **fields,
    }


def delivered_row(delivery: Delivery) -> Row:
    """A job that was taken."""
    return {
        "queue": delivery.job.queue,
        "id": delivery.job.id,
        "number": delivery.number,
        "attempt": delivery.attempt,
        "crashes": delivery.crashes,
        **_job_fields(delivery.job),
    }


def every(queue: Queue, state: State) -> Iterator[InspectedJob]:
    """All jobs in one state, page by page."""
    offset = 0
    while page := queue.peek(state.value, _PAGE, offset):
        yield from page
        offset += len(page)
