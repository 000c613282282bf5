"""Asking what became of jobs: records, also behind a job's end."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import cast

from qcore.async_queue.steering import AsyncSteering
from qcore.backend import AsyncRecords
from qcore.consume.commit import Effect
from qcore.consume.recalled import checked_wanted, tracked
from qcore.options import job_id as checked_id, timeout_seconds
from qcore.record import Record

__all__ = ["AsyncRecording"]


class AsyncRecording(AsyncSteering):
    """The calls of a queue that need ``records``."""

    async def get(self, job_id: str) -> Record:
        """What is known of a job that was enqueued with ``keep``.

        Args:
            job_id: The job's id, as ``enqueue`` gave it.

        Raises:
            NotTracked: If no record is kept of it, or the record's time is over.
            InvalidInput: If that cannot be an id; nothing was sent.
            UnsupportedCapability: If the adapter keeps none; nothing was sent.
            Unavailable: If the broker stayed away.
        """
        return tracked(self.name, job_id, (await self.get_many([job_id]))[0])

    async def get_many(self, ids: Iterable[str]) -> list[Record | None]:
        """What is known of many jobs, in one round trip; ``None`` for each without a record.

        Raises:
            QcoreError: As ``get``, but for ``NotTracked``.
        """
        session = self.session
        session.check_open()
        session.capabilities.need("records")
        wanted = checked_wanted(ids, session.capabilities)
        if not wanted:
            return []
        inside = cast("AsyncRecords", session.backend)
        look = partial(inside.records, self.name, wanted)
        return list(await session.insist("read records", look, effect=Effect.NONE))

    async def wait(self, job_id: str, timeout: float | None = None) -> Record:
        """Wait until a job is done, dead or dropped.

        Args:
            job_id: The job's id, as ``enqueue`` gave it.
            timeout: Seconds to wait; 0 looks once, ``None`` waits without end.

        Returns:
            Its record; when the time was over first, one whose ``has_ended`` is false.

        Raises:
            QcoreError: As ``get``.
        """
        session = self.session
        session.check_open()
        session.capabilities.need("records")
        wanted, seconds = checked_id("id", job_id), timeout_seconds(timeout)
        return tracked(self.name, wanted, await session.await_end(seconds, self.name, wanted))
