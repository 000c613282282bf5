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
from qcore_redis.keys import first_key
from qcore_redis.nodes import Locator, Node, Redirect
from qcore_redis.ports.pools import HOPS, Pools, known_node
from qcore_redis.ports.settings import connection_options, database_of, introduction
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
        locator: Knows the node of each command. Asked in a thread at the first command, and when
            a node cannot be reached or is the wrong one.
    """

    def __init__(self, setup: Setup, locator: Locator) -> None:
        database_of(setup)
        self._setup = setup
        self._locator = locator
        self._pools = Pools(self._made)
        self._sleepers: list[_Sleeper] = []
        self._alarms: set[asyncio.Future[None]] = set()
        self._locating = asyncio.Lock()
        self._closed = False
        self.may_unblock = True

    def _made(self, node: Node) -> Any:
        kind: type[Any] = redis.SSLConnection if self._setup.secure else redis.Connection
        if node.path:
            kind = redis.UnixDomainSocketConnection
        return redis.ConnectionPool(
            connection_class=kind,
            retry=Retry(NoBackoff(), 0),
            redis_connect_func=partial(_introduce, words=introduction(self._setup)),
            **connection_options(self._setup, node),
        )

    async def execute(self, words: Words) -> Any:
        """Send one command, once, to its node, and return its bare reply.

        Raises:
            NotSent: If no connection could be had.
            SocketLost: If the server may have run it.
            Refused: If the server answered with an error.
        """
        return await self._routed(words, lambda hop: self._exchange(hop, _one, words))

    async def transact(self, commands: Sequence[Words]) -> Sequence[Any]:
        """Send commands in one round trip, to be run in one step, and return their bare replies.

        Raises:
            NotSent: As ``execute``.
            SocketLost: As ``execute``; all were run, or none.
            Refused: If the server refused one of them; none was run.
        """
        if len(commands) == 1:
            return [await self.execute(commands[0])]

        async def step(hop: Redirect) -> Sequence[Any]:
            return committed(await self._exchange(hop, _whole, commands))

        return await self._routed(commands[0], step)

    async def nodes(self) -> list[Callable[[Words], Awaitable[Any]]]:
        """For each node that stores, what ``execute`` is, but sent there and nowhere else.

        Raises:
            NotSent: If they could not be found out.
        """
        await self._node("")
        return [partial(self._exchange, Redirect(node), _one) for node in self._locator.primaries()]

    async def routed(self, words: Words, step: Callable[[Any], Awaitable[T]]) -> T:
        """Take a step on a connection outside the pools to the node of these words.

        Raises:
            NotSent: If a connection could not be had.
            Refused: If the server does not let this user in, or refuses the step.
        """

        async def connected(hop: Redirect) -> T:
            return await step(await self._connected(hop.node))

        return await self._routed(words, connected)

    async def _routed(self, words: Words, step: Callable[[Redirect], Awaitable[T]]) -> T:
        """Take a step at the node of these words, or where that node sends it."""
        hop = Redirect(await self._node(first_key(words)))
        for _ in range(HOPS):
            try:
                return await step(hop)
            except Refused as error:
                following = self._locator.redirected(hop.node, error)
                if following is None:
                    raise
                hop = following
        raise Refused("TRYAGAIN the nodes send each other this command")

    async def _exchange(
        self, hop: Redirect, talk: Callable[[Any, Sequence[Any]], Awaitable[Any]], what: Words
    ) -> Any:
        pool = self._pools.of(hop.node)
        connection = await self._reach(hop.node, pool.get_connection)
        try:
            if hop.asking:
                await _one(connection, ("ASKING",))
            return await talk(connection, what)
        except EXCHANGE_ERRORS as error:
            problem = translated(error)
            if not isinstance(problem, Refused):
                await connection.disconnect(nowait=True)
            self._locator.doubt(hop.node, problem)
            raise problem from error
        except BaseException:
            # Cancelled between request and reply: the reply must not meet the next caller.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)
            if self._closed or not self._pools.uses(hop.node, pool):
                await connection.disconnect(nowait=True)

    async def _connected(self, node: Node) -> Any:
        """A connection outside the pools; whoever asked for it ends it."""

        async def connected() -> Any:
            connection = self._pools.of(node).make_connection()
            await connection.connect()
            return connection

        return await self._reach(node, connected)

    async def _reach(self, node: Node, step: Callable[[], Awaitable[T]]) -> T:
        """Take a step towards a node, with its errors as those of a lost way there."""
        try:
            return await step()
        except CONNECT_ERRORS as error:
            problem = not_sent(error)
            self._locator.doubt(node, problem)
            raise problem from error

    async def _node(self, key: str) -> Node:
        """The node of a key, found out first where it is not known."""
        node = self._locator.node(key)
        if node is not None:
            return node
        async with self._locating:
            if self._locator.node(key) is None:
                try:
                    await asyncio.to_thread(self._locator.locate)
                except CONNECT_ERRORS as error:
                    raise not_sent(error) from error
                await self._leave_others()
        return known_node(self._locator, key)

    async def _leave_others(self) -> None:
        """Drop idle connections to what is no node any more."""
        nodes = self._locator.primaries()
        strangers = [one for one in self._sleepers if one.node not in nodes]
        self._sleepers = [one for one in self._sleepers if one.node in nodes]
        for pool in self._pools.only(nodes):
            await pool.disconnect(inuse_connections=False)
        for sleeper in strangers:
            await sleeper.drop()

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
                node = await self._node(first_key(words))
                sleepers.append(sleeper := await self._sleeper(node))
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

    async def _sleeper(self, node: Node) -> _Sleeper:
        idle = next((one for one in self._sleepers if one.node == node), None)
        if idle is not None:
            self._sleepers.remove(idle)
            return idle
        sleeper = _Sleeper(await self._connected(node), node)
        try:
            await self._reach(node, sleeper.identify)
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
                words = ("CLIENT", "UNBLOCK", sleeper.client_id)
                await self._exchange(Redirect(sleeper.node), _one, words)
            except Refused:
                self.may_unblock = False
        try:
            await sleeper.finish()
        except EXCHANGE_ERRORS as error:
            problem = translated(error)
            self._locator.doubt(sleeper.node, problem)
            # The queue went to another node: there may be work, and the next take finds it.
            moved = isinstance(problem, Refused) and self._locator.redirected(sleeper.node, problem)
            if not moved:
                raise

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
        for pool in self._pools.all():
            await pool.disconnect()
        self._locator.close()

    def native(self, kind: type[N]) -> N | None:
        """A client over the same pool, if ``kind`` is its class and one node has everything."""
        if len(self._locator.primaries()) > 1 or self._pools.latest is None:
            return None
        client = redis.Redis(connection_pool=self._pools.latest)
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

    def __init__(self, connection: Any, node: Node) -> None:
        self._connection = connection
        self.node = node
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
