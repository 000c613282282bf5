"""The port for asyncio: a pool for commands, and connections of their own for waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from qcore.backend import Setup
from qcore_redis.faults import Refused
from qcore_redis.locators import Locator
from qcore_redis.ports.settings import connection_options, introduction
from qcore_redis.ports.translate import (
    ANSWERS,
    CONNECT_ERRORS,
    EXCHANGE_ERRORS,
    committed,
    not_sent,
    transaction,
    translated,
)

__all__ = ["AsyncPort"]

N = TypeVar("N")
T = TypeVar("T")

Words = Sequence[Any]


class AsyncPort:
    """Executes commands of many tasks, each on a connection that it has for itself.

    Args:
        setup: What the URL said.
        locator: Finds the unix socket to use, starting its server if need be; ``None`` for TCP.
            Called in a thread at the first command, and when the socket refuses.
    """

    def __init__(self, setup: Setup, locator: Locator | None = None) -> None:
        kind: type[Any] = redis.Connection
        if locator is not None:
            kind = redis.UnixDomainSocketConnection
        elif setup.secure:
            kind = redis.SSLConnection
        self._locator = locator
        self._located = locator is None
        self._pool: Any = redis.ConnectionPool(
            connection_class=kind,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=partial(_introduce, words=introduction(setup)),
            **connection_options(setup),
        )
        self._sleepers: list[_Sleeper] = []
        self._alarms: set[asyncio.Future[None]] = set()
        self._closed = False
        self.may_unblock = True

    async def execute(self, words: Words) -> Any:
        """Send one command, once, and return its bare reply.

        Raises:
            NotSent: If no connection could be had.
            SocketLost: If the server may have run it.
            Refused: If the server answered with an error.
        """
        return await self._exchange(_one, words)

    async def transact(self, commands: Sequence[Words]) -> Sequence[Any]:
        """Send commands in one round trip, to be run in one step, and return their bare replies.

        Raises:
            NotSent: As ``execute``.
            SocketLost: As ``execute``; all were run, or none.
            Refused: If the server refused one of them; none was run.
        """
        if len(commands) == 1:
            return [await self.execute(commands[0])]
        return committed(await self._exchange(_whole, commands))

    async def _exchange(
        self, talk: Callable[[Any, Sequence[Any]], Awaitable[Any]], what: Sequence[Any]
    ) -> Any:
        connection = await self._reach(self._pool.get_connection)
        try:
            return await talk(connection, what)
        except EXCHANGE_ERRORS as error:
            problem = translated(error)
            if not isinstance(problem, Refused):
                await connection.disconnect(nowait=True)
            raise problem from error
        except BaseException:
            # Cancelled between request and reply: the reply must not meet the next caller.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)
            if self._closed:
                await connection.disconnect(nowait=True)

    async def own_connection(self) -> Any:
        """A connection outside the pool, connected; whoever asked for it ends it.

        Raises:
            NotSent: If it could not be had.
            Refused: If the server does not let this user in.
        """

        async def connected() -> Any:
            connection = self._pool.make_connection()
            await connection.connect()
            return connection

        return await self._reach(connected)

    async def _reach(self, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step towards the server, with its errors as those of a lost way there."""
        try:
            await self._find_server()
            return await step()
        except CONNECT_ERRORS as error:
            self._located = self._locator is None
            raise not_sent(error) from error

    async def _find_server(self) -> None:
        """Learn the socket's path, at first and after it refused: its server may be a new one."""
        if not self._located and self._locator is not None:
            self._pool.connection_kwargs["path"] = await asyncio.to_thread(self._locator.locate)
            self._located = True

    def alarm(self) -> asyncio.Future[None]:
        """What ends one ``wait`` or ``pause`` when it rings; ``interrupt`` rings all."""
        alarm = asyncio.get_running_loop().create_future()
        self._alarms.add(alarm)
        alarm.add_done_callback(self._alarms.discard)
        return alarm

    def ring(self, alarm: asyncio.Future[None]) -> None:
        """Make the ``wait`` or ``pause`` with this alarm return soon."""
        if not alarm.done():
            alarm.set_result(None)

    async def wait(
        self, commands: Sequence[Words], timeout: float, alarm: asyncio.Future[None]
    ) -> bool:
        """Send blocking commands, each on a connection of its own, until one is answered.

        Ends when one was answered, when ``timeout`` seconds are over, or when the alarm rings. By
        then none is under way: those without an answer were ended. When cancelled, connections
        with an answer outstanding are dropped.

        Returns:
            Whether the alarm rang; an answer may have come all the same.

        Raises:
            NotSent: As ``execute``.
            SocketLost: As ``execute``.
            Refused: As ``execute``.
        """
        sleepers: list[_Sleeper] = []
        try:
            for words in commands:
                sleepers.append(sleeper := await self._sleeper())
                await sleeper.send(words)
            rang = await _first_of([sleeper.answer for sleeper in sleepers], timeout, alarm)
            for sleeper in sleepers:
                await self._end(sleeper)
        except EXCHANGE_ERRORS as error:
            raise translated(error) from error
        finally:
            self._alarms.discard(alarm)
            for sleeper in sleepers:
                if sleeper.reusable and not self._closed:
                    self._sleepers.append(sleeper)
                else:
                    await sleeper.drop()
        return rang

    async def pause(self, seconds: float, alarm: asyncio.Future[None]) -> None:
        """Sleep without asking the server anything, until the alarm rings."""
        self._alarms.add(alarm)
        await _first_of([], seconds, alarm)
        self._alarms.discard(alarm)

    async def _sleeper(self) -> _Sleeper:
        if self._sleepers:
            return self._sleepers.pop()
        sleeper = _Sleeper(await self.own_connection())
        try:
            await self._reach(sleeper.identify)
        except BaseException:
            await sleeper.drop()
            raise
        if sleeper.client_id is None:
            self.may_unblock = False
        return sleeper

    async def _end(self, sleeper: _Sleeper) -> None:
        """Make sure that a sleeper's command is answered, and read the answer."""
        if not sleeper.answer.done() and self.may_unblock:
            try:
                await self.execute(("CLIENT", "UNBLOCK", sleeper.client_id))
            except Refused:
                self.may_unblock = False
        await sleeper.finish()

    def interrupt(self) -> None:
        """Make every ``wait`` and ``pause`` under way return soon."""
        for alarm in list(self._alarms):
            self.ring(alarm)

    async def close(self) -> None:
        """Close every connection."""
        self._closed = True
        self.interrupt()
        idle, self._sleepers = self._sleepers, []
        for sleeper in idle:
            await sleeper.drop()
        await self._pool.disconnect()
        if self._locator is not None:
            self._locator.close()

    def native(self, kind: type[N]) -> N | None:
        """A client over the same pool, if ``kind`` is its class."""
        client = redis.Redis(connection_pool=self._pool)
        return client if isinstance(client, kind) else None


async def _first_of(
    answers: Sequence[asyncio.Future[Any]], timeout: float, alarm: asyncio.Future[None]
) -> bool:
    """Sleep until something is there or ``timeout`` is over; whether the alarm rang."""
    await asyncio.wait([*answers, alarm], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    return alarm.done()


async def _introduce(connection: Any, words: Words) -> None:
    await connection.on_connect()
    with contextlib.suppress(*ANSWERS):
        await _one(connection, words)


async def _one(connection: Any, words: Words) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


async def _whole(connection: Any, commands: Sequence[Words]) -> list[Any]:
    sent = transaction(commands)
    await connection.send_packed_command(connection.pack_commands(sent))
    return [await _reply(connection) for _ in sent]


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ANSWERS as error:
        return error


class _Sleeper:
    """A connection for blocking commands; each answer is read by a task of its own."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.client_id: int | None = None
        self.reusable = False

    async def identify(self) -> None:
        await self._connection.send_command("CLIENT", "ID")
        try:
            self.client_id = await self._connection.read_response()
        except EXCHANGE_ERRORS as error:
            if not isinstance(translated(error), Refused):
                raise

    async def send(self, words: Words) -> None:
        self.reusable = False
        await self._connection.send_command(*words)
        self.answer = asyncio.ensure_future(self._connection.read_response())

    async def finish(self) -> None:
        try:
            await self.answer
        except EXCHANGE_ERRORS as error:
            self.reusable = isinstance(translated(error), Refused)
            raise
        self.reusable = True

    async def drop(self) -> None:
        """Drop the connection; an answer that is still to come will never be read."""
        self.answer.cancel()
        await self._connection.disconnect(nowait=True)
