"""What the queues of one asyncio connection share; see ``home``.

The keeper runs in a thread with a session of its own, so that a busy event loop keeps its leases.
An asyncio connection belongs to one event loop of one process; anywhere else it is an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Protocol

from qcore.capabilities import Capabilities
from qcore.clock import Clock
from qcore.consume.async_session import AsyncSession
from qcore.consume.home import Keeping
from qcore.consume.session import Session
from qcore.errors import InvalidInput

__all__ = ["AsyncClosing", "AsyncHome"]


class AsyncClosing(Protocol):
    """Something that wants to end before the session does."""

    async def close(self) -> None:
        """End now."""
        ...


class AsyncHome(Keeping):
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
        self.lease = lease
        self.monotonic: Callable[[], float] = time.monotonic
        super().__init__(self._beat_session, self.monotonic, clock, new_id)
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
        if not self.is_here or not self._is_own_loop:
            raise InvalidInput(
                "an asyncio connection belongs to the event loop and the process that opened it; "
                "open another one here"
            )
        return self._session

    @property
    def _is_own_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    @property
    def capabilities(self) -> Capabilities:
        """What the broker promised when the session was opened."""
        return self._session.capabilities

    async def close(self) -> None:
        """End consumers, heartbeats and the sessions; harmless twice."""
        session = self.session
        session.hurry()
        if self._beats is not None:
            self._beats.hurry()
        async with AsyncExitStack() as ends:
            ends.push_async_callback(self._end_beats)
            ends.push_async_callback(session.close)
            for consumer in list(self.consumers):
                ends.push_async_callback(consumer.close)

    async def _end_beats(self) -> None:
        if self._keeper.running:
            await asyncio.to_thread(self._close_beats)
        else:
            self._keeper.close(0.0)

    def _close_beats(self) -> None:
        self._keeper.close(self._session.patience)
        if self._beats is not None:
            self._beats.close()
