"""``AsyncConsumer``: iterates over deliveries, taking ahead only what can start soon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, Self

from qcore.async_queue.delivery import AsyncDelivery
from qcore.consume.async_home import AsyncHome
from qcore.consume.prefetch import Buffer
from qcore.consume.session import Stopped
from qcore.errors import Closed, InvalidInput

__all__ = ["AsyncConsumer", "Look"]


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
    releases what was not started, and no longer keeps what was neither settled nor entered.
    """

    def __init__(self, name: str, home: AsyncHome, look: Look, most: int) -> None:
        self._name = name
        self._home = home
        self._look = look
        self._entered = False
        self._closed = False
        self._buffer = Buffer[AsyncDelivery](most, home.monotonic)
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Start; jobs are taken when the first is asked for."""
        self._entered = True
        self._home.consumers.add(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and release what was not started."""
        try:
            await self.close()
        finally:
            self._home.consumers.discard(self)
            self._home.leave(self)

    def __aiter__(self) -> AsyncIterator[AsyncDelivery]:
        """The deliveries."""
        return self

    async def __anext__(self) -> AsyncDelivery:
        """The next delivery; waits for it without end.

        Raises:
            InvalidInput: If used outside its ``async with`` block, which gives back what is taken
                ahead.
        """
        if not self._entered:
            raise InvalidInput("a consumer is used as 'async with queue.consume() as deliveries:'")
        async with self._turn:
            delivery = await self._next()
        if delivery is None:
            raise StopAsyncIteration
        self._home.keep(delivery, self, mark=delivery.ahead)
        return delivery

    async def _next(self) -> AsyncDelivery | None:
        while not self._closed:
            delivery = self._buffer.next()
            if delivery is None:
                await self._fill()
            elif delivery.lost:
                # Somebody else may work on it.
                self._home.drop(delivery)
            else:
                return delivery
        await self._release()
        return None

    async def _fill(self) -> None:
        limit = self._buffer.limit()
        try:
            taken = await self._look(limit, None, started=limit == 1, stopped=lambda: self._closed)
        except (Stopped, Closed):
            self._closed = True
            return
        for delivery in taken:
            self._home.keep(delivery, self)
        self._buffer.fill(taken)

    async def close(self) -> None:
        """End the iteration, also from another task; harmless twice.

        What was handed on stays kept until the block is left.
        """
        self._closed = True
        self._home.session.interrupt()
        await self._release()

    async def _release(self) -> None:
        unstarted = self._buffer.drain()
        for delivery in unstarted:
            self._home.drop(delivery)
        tokens = [delivery.receipt.token for delivery in unstarted]
        await self._home.session.give_back(self._name, tokens)
