"""``AsyncConsumer``: iterates over deliveries, taking ahead only what can start soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, Self

from qcore.async_queue.delivery import AsyncDelivery
from qcore.consume.async_home import AsyncHome
from qcore.consume.prefetch import Buffer
from qcore.consume.session import Stopped
from qcore.errors import Closed

__all__ = ["AsyncConsumer"]


class Look(Protocol):
    """The reserve loop of one queue, with its lease already chosen."""

    def __call__(
        self, limit: int, timeout: float | None, *, started: bool, stopped: Callable[[], bool]
    ) -> Awaitable[list[AsyncDelivery]]:
        """Take up to ``limit`` jobs."""
        ...


class AsyncConsumer:
    """Iterates over deliveries until it is closed; used as an async context manager.

    Several tasks may iterate over it at once. Leases of everything in hand are kept. Leaving
    releases what was not started.
    """

    def __init__(self, name: str, home: AsyncHome, look: Look, most: int) -> None:
        self._name = name
        self._home = home
        self._look = look
        self._buffer = Buffer[AsyncDelivery](most, home.monotonic)
        self._handed: list[AsyncDelivery] = []
        self._filling = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start; jobs are taken when the first is asked for."""
        self._home.consumers.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and release what was not started."""
        await self.close()

    def __aiter__(self) -> AsyncIterator[AsyncDelivery]:
        """The deliveries."""
        return self

    async def __anext__(self) -> AsyncDelivery:
        """The next delivery; waits for it without end."""
        self._handed = [delivery for delivery in self._handed if not delivery.settled]
        async with self._filling:
            while not self._closed and not self._buffer:
                await self._fill()
            try:
                delivery = self._buffer.next()
            except IndexError:
                # Closed meanwhile.
                raise StopAsyncIteration from None
        self._handed.append(delivery)
        self._home.keep(delivery, mark=True)
        return delivery

    async def _fill(self) -> None:
        limit = self._buffer.limit()
        try:
            taken = await self._look(limit, None, started=limit == 1, stopped=lambda: self._closed)
        except (Stopped, Closed):
            self._closed = True
            return
        for delivery in taken:
            self._home.keep(delivery)
        self._buffer.fill(taken)
        if self._closed:
            await self.close()

    async def close(self) -> None:
        """End the iteration; harmless twice."""
        self._closed = True
        self._home.consumers.discard(self)
        unstarted = self._buffer.drain()
        for delivery in [*unstarted, *self._handed]:
            self._home.keeper.drop(delivery)
        session = self._home.session
        session.interrupt()
        await session.give_back(self._name, [delivery.receipt.token for delivery in unstarted])
