"""The checks of the calls that ask for records."""

from __future__ import annotations

from collections.abc import Iterable

from qcore.capabilities import Capabilities
from qcore.consume.inspect import checked_ids
from qcore.errors import LimitExceeded, NotTracked
from qcore.record import Record

__all__ = ["checked_wanted", "tracked"]


def checked_wanted(ids: Iterable[object], capabilities: Capabilities) -> list[str]:
    """Ids of jobs whose records are wanted.

    Raises:
        InvalidInput: If one of them cannot be an id.
        LimitExceeded: If there are too many.
    """
    wanted = checked_ids(ids) or []
    if len(wanted) > capabilities.limits.batch:
        raise LimitExceeded(
            f"{len(wanted)} records at once, the limit is {capabilities.limits.batch}; "
            "ask for them in parts"
        )
    return wanted


def tracked(queue: str, job_id: str, record: Record | None) -> Record:
    """The record, if there is one.

    Raises:
        NotTracked: If there is none.
    """
    if record is None:
        raise NotTracked(
            f"no record of job {job_id} in queue {queue}: it was enqueued without keep, its "
            "record's time is over, or it was never there"
        )
    return record
