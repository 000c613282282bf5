"""``AsyncDelivery``: a job in hand, for asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from qcore.backend import TakenJob, Verb
from qcore.consume.async_home import AsyncHome
from qcore.consume.delivery import GOES_ON, BaseDelivery
from qcore.errors import QcoreError
from qcore.job import Job
from qcore.options import lease_seconds, note_text, seconds
from qcore.policy import RetryPolicy

__all__ = ["AsyncDelivery"]


class AsyncDelivery(BaseDelivery):
    """A job in hand.

    As an async context manager it keeps the lease, and settles at the end: ack, or by the queue's
    retry policy if an exception came, or release if the block was interrupted.
    """

    def __init__(
        self,
        job: Job,
        taken: TakenJob,
        *,
        lease: float,
        asked_at: float,
        ahead: bool,
        home: AsyncHome,
        retry: RetryPolicy,
    ) -> None:
        super().__init__(
            job,
            taken,
            lease=lease,
            asked_at=asked_at,
            ahead=ahead,
            capabilities=home.capabilities,
            monotonic=home.monotonic,
            drafter=home.drafter,
        )
        self._home = home
        self._retry = retry

    async def ack(self, result: object = None) -> None:
        """The work is done; the job is forgotten, but for its record if it has one.

        Args:
            result: What to put into the record, as ``set_result`` does.

        Raises:
            NotTracked: If there is a result and no record is kept; nothing was sent.
            LeaseLost: If the delivery was settled before or its lease ran out.
            Indeterminate: If the reply was lost and the broker stayed away.
        """
        if result is not None:
            self.set_result(result)
        await self._send(Verb.ACK)

    async def release(self) -> None:
        """Give the job back, not counted: it is ready at once.

        Raises:
            LeaseLost: As ``ack``.
        """
        await self._send(Verb.RELEASE)

    async def retry(self, delay: float = 0.0, error: str = "") -> None:
        """Give the job back, counted as an attempt, to be due after ``delay`` seconds.

        Raises:
            LeaseLost: As ``ack``.
        """
        limit, note = self._capabilities.limits.delay, note_text("error", error)
        await self._send(Verb.RETRY, round(seconds("delay", delay, most=limit) * 1000), note)

    async def dead_letter(self, reason: str) -> None:
        """Set the job aside for ``reason``; it is kept until purged or redriven.

        Raises:
            LeaseLost: As ``ack``.
        """
        await self._send(Verb.DEAD_LETTER, 0, note_text("reason", reason))

    async def extend(self, lease: float) -> None:
        """Hold the job for ``lease`` seconds from now.

        Raises:
            LeaseLost: If it is no longer held; it is not taken back from a new holder.
        """
        lease = lease_seconds(lease, self._capabilities.limits)
        asked_at = self._monotonic()
        await self._send(Verb.EXTEND, round(lease * 1000))
        self.renewed(lease, asked_at)
        self._home.replan(self)

    async def report(
        self, progress: float | None = None, meta: Mapping[str, str] | None = None
    ) -> None:
        """Put word of the work under way into the record of the job, in place of the last.

        Args:
            progress: How much is done, from 0 to 1.
            meta: Text by text, as little as headers may be.

        Raises:
            NotTracked: If no record is kept of the job; nothing was sent.
            InvalidInput: If an argument is wrong; nothing was sent.
            LeaseLost: As ``ack``.
        """
        await self._send(Verb.REPORT, 0, self._report(progress, meta))

    async def _send(self, verb: Verb, millis: int = 0, note: str = "") -> None:
        step = self._step(verb, millis, note)
        if step is None:
            self.noted(verb, held=True)
            return
        if verb not in GOES_ON:
            # A beat that passes the settle on its way must not report a lost lease.
            self._home.drop(self)
        held: Sequence[bool] = await self._home.session.settle(self.job.queue, [step])
        self._note_outcome(verb, held)

    async def __aenter__(self) -> Self:
        """Keep the lease from now on.

        Raises:
            LeaseLost: If this process inherited the delivery from its parent.
        """
        self.check_own()
        self._home.keep(self, self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Settle, unless the block did.

        Raises:
            LeaseLost: If the work was done but somebody else may hold the job.
        """
        if self.settled or (error is not None and not self._explicit):
            return
        try:
            await self._send(*self._verdict(error, self._retry))
        except QcoreError as unsettled:
            if error is None:
                raise
            error.add_note(f"the job was not settled either: {unsettled}")
        finally:
            self._home.drop(self)
