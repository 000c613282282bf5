"""Steering a queue: what operators do to it while others work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, cast

from qcore.backend import AsyncControl
from qcore.consume.async_home import AsyncHome
from qcore.consume.async_session import AsyncSession

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
        """
        await self._control("pause", "pause the queue", lambda inside: inside.pause(self.name))

    async def resume(self) -> None:
        """Deliver again, and wake those who wait; no effect on a queue that is not paused.

        Raises:
            QcoreError: As ``pause``.
        """
        await self._control("pause", "resume the queue", lambda inside: inside.resume(self.name))

    async def _control(
        self, needs: str, doing: str, act: Callable[[AsyncControl], Awaitable[T]]
    ) -> T:
        session = self.session
        session.check_open()
        session.capabilities.need(needs)
        inside = partial(act, cast("AsyncControl", session.backend))
        return await session.insist(doing, inside, looking=False)
