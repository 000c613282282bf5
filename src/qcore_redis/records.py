"""What is kept of a job, as the scripts write it: a JSON text, with times in unix milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from qcore.record import Record, Try
from qcore.states import State

__all__ = ["is_told", "read_record"]


class _Try(msgspec.Struct):
    number: int
    attempt: int
    ended: int
    outcome: str
    taken: int = 0
    note: str = ""


class _Record(msgspec.Struct):
    state: State
    at: int
    enqueued: int
    due: int | None = None
    taken: int | None = None
    ended: int | None = None
    number: int = 0
    attempt: int = 1
    crashes: int = 0
    worker: str = ""
    note: str = ""
    report: str = ""
    tries: Sequence[_Try] = ()


_decoder = msgspec.json.Decoder(_Record)


def read_record(job_id: str, stored: bytes, result: bytes) -> Record | None:
    """A record, or ``None`` where nothing was stored.

    Raises:
        msgspec.DecodeError: If somebody else wrote it.
    """
    if not stored:
        return None
    found = _decoder.decode(stored)
    return Record(
        id=job_id,
        state=found.state,
        changed_at=found.at / 1000,
        enqueued_at=found.enqueued / 1000,
        due_at=_seconds(found.due),
        taken_at=_seconds(found.taken),
        ended_at=_seconds(found.ended),
        number=found.number,
        attempt=found.attempt,
        crashes=found.crashes,
        worker=found.worker,
        note=found.note,
        tries=tuple(map(_read_try, found.tries)),
        stored_result=result,
        stored_report=found.report,
    )


def _read_try(found: _Try) -> Try:
    return Try(
        number=found.number,
        attempt=found.attempt,
        taken_at=found.taken / 1000,
        ended_at=found.ended / 1000,
        outcome=found.outcome,
        note=found.note,
    )


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000


def is_told(job_id: str, payloads: Sequence[Any]) -> bool:
    """Whether one of these messages says that the job has ended."""
    return any(job_id.encode() in payload.split() for payload in payloads)
