"""Subscriptions for asyncio: each has a connection of its own; see ``listening``.

One task for each subscription reads ahead a single chunk; what is behind it fills the buffer of
the stream, which is small, and then that of the socket. Callers that are cancelled disturb neither.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from qcore_redis.faults import NotSent, SocketLost
from qcore_redis.ports.aio import AsyncPort
from qcore_redis.ports.messages import CHUNK, PING, Inbox, Pulse
from qcore_redis.ports.settings import SOCKET_TIMEOUT
from qcore_redis.ports.translate import EXCHANGE_ERRORS, not_sent

__all__ = ["AsyncListener", "AsyncSubscription"]

Words = Sequence[Any]


class AsyncListener:
    """Makes subscriptions, and lets tasks sleep until one has something.

    Args:
        port: Where connections come from.
        patience: Seconds of silence before a link is asked, asked again, and given up.
        monotonic: Tells the time.
    """

    def __init__(
        self,
        port: AsyncPort,
        patience: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._patience = patience
        self._monotonic = monotonic
        self._sleeping: set[asyncio.Future[None]] = set()

    async def listen(self, words: Words) -> AsyncSubscription:
        """Subscribe; in effect when this returns.

        Raises:
            NotSent: If no connection could be had, or it broke before the confirmation.
            Refused: If the server does not let this user listen.
        """
        return await self._port.routed(words, lambda connection: self._started(connection, words))

    async def _started(self, connection: Any, words: Words) -> AsyncSubscription:
        subscription = AsyncSubscription(connection, Pulse(self._patience, self._monotonic))
        try:
            await subscription.start(words)
        except BaseException as error:
            await subscription.close()
            if isinstance(error, EXCHANGE_ERRORS):
                raise not_sent(error) from error
            if isinstance(error, SocketLost):
                raise NotSent(str(error)) from error
            raise
        return subscription

    async def watch(self, subscriptions: Sequence[AsyncSubscription], timeout: float) -> None:
        """Sleep until one of them may have something, ``interrupt``, or the timeout in seconds."""
        if any(subscription.pending for subscription in subscriptions):
            return
        alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ends: list[asyncio.Future[Any]] = [alarm, *(one.reading for one in subscriptions)]
        self._sleeping.add(alarm)
        for subscription in subscriptions:
            subscription.sleeping.add(alarm)
        try:
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for subscription in subscriptions:
                subscription.sleeping.discard(alarm)
            self._sleeping.discard(alarm)
            alarm.cancel()

    def interrupt(self) -> None:
        """Make every ``watch`` under way return soon."""
        _ring(self._sleeping)


class AsyncSubscription:
    """One channel that is listened to; see ``listening.Subscription``.

    Attributes:
        pulse: How long it lives and is silent.
        pending: Whether the last ``receive`` may have left something that no socket shows.
        broken: Why nothing will ever come again; empty while it works.
        sleeping: The alarms of those who sleep on it.
        reading: The task that reads the next chunk.
    """

    def __init__(self, connection: Any, pulse: Pulse) -> None:
        self._connection = connection
        self._source: asyncio.StreamReader = connection._reader  # noqa: SLF001  (no other way to it)
        self._sink: asyncio.StreamWriter = connection._writer  # noqa: SLF001  (no other way to it)
        self._inbox = Inbox()
        self.pulse = pulse
        self.pending = False
        self.broken = ""
        self.sleeping: set[asyncio.Future[None]] = set()
        self.reading: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def start(self, words: Words) -> None:
        """Subscribe and wait for the confirmation.

        Raises:
            SocketLost: If the connection ended.
            Refused: If the server does not let this user listen.
        """
        await self._connection.send_command(*words)
        while not self._inbox.confirmed():
            self._inbox.feed(await asyncio.wait_for(self._source.read(CHUNK), SOCKET_TIMEOUT))
        self.reading = asyncio.ensure_future(self._source.read(CHUNK))

    def receive(self, limit: int) -> list[bytes]:
        """What has arrived, at most ``limit`` payloads; never waits."""
        found: list[bytes] = []
        try:
            while not self.broken and len(found) < limit:
                payload = self._inbox.next()
                if payload is not None:
                    found.append(payload)
                elif not self._read():
                    break
        except (SocketLost, OSError) as error:
            self.broken = str(error) or type(error).__name__
        self.pending = len(found) == limit or bool(self.broken)
        if self.pending:
            _ring(self.sleeping)
        return found

    def _read(self) -> bool:
        """Take over what was read ahead; ``False`` if that is nothing."""
        if not self.reading.done():
            if self.pulse.should_ask():
                self._sink.write(PING)
            return False
        self._inbox.feed(self.reading.result())
        self.pulse.heard()
        self.reading = asyncio.ensure_future(self._source.read(CHUNK))
        return True

    async def close(self) -> None:
        """End it; harmless twice."""
        if self.reading.done() and not self.reading.cancelled():
            # Nobody else will look, and asyncio complains of an error that nobody looked at.
            self.reading.exception()
        self.reading.cancel()
        await self._connection.disconnect(nowait=True)


def _ring(alarms: set[asyncio.Future[None]]) -> None:
    for alarm in alarms:
        if not alarm.done():
            alarm.set_result(None)
