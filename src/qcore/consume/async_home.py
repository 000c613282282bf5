"""What the queues of one asyncio connection share; see ``home``.

The keeper runs in a thread with a session of its own, so that a busy event loop keeps its leases.
An asyncio connection belongs to one event loop of one process; anywhere else it is an error.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol

from qcore.clock import Clock
from qcore.consume.async_session import AsyncSession
from qcore.consume.delivery import BaseDelivery
from qcore.consume.keeper import Keeper
from qcore.consume.session import Session
from qcore.errors import InvalidInput

__all__ = ["AsyncClosing", "AsyncHome"]


class AsyncClosing(Protocol):
    """Something that wants to end before the session does."""

    async def close(self) -> None:
        """End now."""
        ...


class AsyncHome:
    """The shared parts of a connection for asyncio.

    Args:
        session: The open session.
        beats: Opens the session that the keeper's thread uses.
        clock: The producer's clock.
        new_id: Makes job ids.
        lease: Seconds of a lease where the caller gives none.
    """

    def __init__(
        self,
        session: AsyncSession,
        beats: Callable[[], Session],
        clock: Clock,
        new_id: Callable[[], str],
        lease: float,
    ) -> None:
        self._session = session
        self._open_beats = beats
        self._beats: Session | None = None
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self.clock = clock
        self.new_id = new_id
        self.lease = lease
        self.monotonic: Callable[[], float] = time.monotonic
        self.keeper = Keeper(self._beat_session, self.monotonic)
        self.consumers: set[AsyncClosing] = set()

    def _beat_session(self) -> Session:
        if self._beats is None:
            self._beats = self._open_beats()
        return self._beats

    @property
    def session(self) -> AsyncSession:
        """The session.

        Raises:
            InvalidInput: If used in another process or on another event loop than its own.
        """
        if self._pid != os.getpid() or asyncio.get_running_loop() is not self._loop:
            raise InvalidInput(
                "an asyncio connection belongs to the event loop and the process that opened it; "
                "open another one here"
            )
        return self._session

    def keep(self, delivery: BaseDelivery, *, mark: bool = False) -> None:
        """Keep the lease of a delivery, where there are leases."""
        if "extend" in self._session.capabilities:
            self.keeper.keep(delivery, mark=mark)

    async def close(self) -> None:
        """End consumers, heartbeats and the sessions; harmless twice."""
        session = self.session
        for consumer in list(self.consumers):
            await consumer.close()
        await asyncio.to_thread(self.keeper.close)
        await session.close()
        if self._beats is not None:
            await asyncio.to_thread(self._beats.close)
