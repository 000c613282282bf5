"""Steering a queue: what operators do to it while others work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TypeVar, cast

from qcore.backend import AsyncControl
from qcore.consume.async_home import AsyncHome
from qcore.consume.async_session import AsyncSession
from qcore.consume.commit import Effect
from qcore.consume.drafts import checked_due
from qcore.consume.inspect import checked_move
from qcore.options import job_id as checked_id
from qcore.states import State

__all__ = ["AsyncSteering"]

T = TypeVar("T")


class AsyncSteering:
    """The calls of a queue that steer it; each needs a capability of its own."""

    def __init__(self, name: str, home: AsyncHome) -> None:
        self.name = name
        self._home = home

    @property
    def session(self) -> AsyncSession:
        """The session of this process: the layer below, not for programs."""
        return self._home.session

    async def pause(self) -> None:
        """Deliver nothing from now on, whoever asks, until ``resume``; also after a restart.

        Jobs are still accepted, those in hand go on, and what a consumer took ahead is in hand.
        ``stats().paused`` tells whether a queue is paused.

        Raises:
            UnsupportedCapability: If the adapter cannot; nothing was sent.
            Unavailable: If the broker stayed away; nothing was changed.
            Indeterminate: If it stayed away and a reply was lost.
        """
        await self._control(
            "pause", "pause the queue", lambda inside: inside.pause(self.name), Effect.SAME
        )

    async def resume(self) -> None:
        """Deliver again, and wake those who wait; no effect on a queue that is not paused.

        Raises:
            QcoreError: As ``pause``.
        """
        await self._control(
            "pause", "resume the queue", lambda inside: inside.resume(self.name), Effect.SAME
        )

    async def cancel(self, job_id: str) -> State | None:
        """Drop one job for good, wherever it is.

        One that somebody works on is taken from their hands: their next beat marks the delivery
        as lost, and what they settle is refused with ``LeaseLost``.

        Args:
            job_id: The job's id, as ``enqueue`` gave it.

        Returns:
            The state that it was in, or ``None`` if there is no such job (any more).

        Raises:
            InvalidInput: If that cannot be an id; nothing was sent.
            QcoreError: As ``pause``.
        """
        wanted = checked_id("id", job_id)
        return await self._control(
            "cancel", "cancel the job", lambda inside: inside.cancel(self.name, wanted), Effect.ONCE
        )

    async def reschedule(
        self, job_id: str, *, delay: float | None = None, at: datetime | float | None = None
    ) -> bool:
        """Make a job that is delayed due at another time, sooner or later.

        Args:
            job_id: The job's id, as ``enqueue`` gave it.
            delay: Seconds from now until it is due; 0 makes it due.
            at: When it is due, as in ``enqueue``; not with a delay.

        Returns:
            Whether that was done; ``False`` if it is not delayed (any more), or not there.

        Raises:
            InvalidInput: If an argument is wrong; nothing was sent.
            QcoreError: As ``pause``.
        """
        wanted = checked_id("id", job_id)
        capabilities = self.session.capabilities
        capabilities.need("reschedule")
        delay_ms, at_ms = checked_due(delay, at, capabilities.limits, self._home.clock.time())
        return await self._control(
            "reschedule",
            "reschedule the job",
            lambda inside: inside.reschedule(self.name, wanted, delay_ms, at_ms),
            Effect.ONCE,
        )

    async def move(self, to: str, state: str = "ready", limit: int | None = None) -> int:
        """Bring jobs to another queue of this connection, the next one first.

        Each is in one of both queues at any time, and keeps its id, body, headers, priority,
        tenant, counts, and when it is due or too late. What is ready goes behind what waits there;
        dead jobs are ready there, as after ``redrive``. One whose id the other queue knows stays
        where it is, and so does one that is tracked (``keep``), and what comes meanwhile.

        Args:
            to: The name of the other queue.
            state: ``ready``, ``delayed`` or ``dead``.
            limit: How many at most; all by default.

        Returns:
            How many were moved. Many are moved in several steps, some of which may be done when
            an error is raised; what is left may be moved by another call.

        Raises:
            InvalidInput: If an argument is wrong, or it is the same queue; nothing was sent.
            QcoreError: As ``pause``.
        """
        target, where, most = checked_move(self.name, to, state, limit)
        return await self._control(
            "move",
            "move the jobs",
            lambda inside: inside.move(self.name, target, where, most),
            Effect.ONCE,
        )

    async def _control(
        self, needs: str, doing: str, act: Callable[[AsyncControl], Awaitable[T]], effect: Effect
    ) -> T:
        session = self.session
        session.check_open()
        session.capabilities.need(needs)
        inside = partial(act, cast("AsyncControl", session.backend))
        return await session.insist(doing, inside, effect=effect)
