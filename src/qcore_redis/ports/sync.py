"""The port for callers that block: a pool for commands, and sockets of their own for waiting."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from qcore.backend import Setup
from qcore_redis.faults import Refused
from qcore_redis.keys import first_key
from qcore_redis.nodes import Locator, Node, Redirect
from qcore_redis.ports.pools import HOPS, Pools, known_node
from qcore_redis.ports.settings import connection_options, database_of, introduction
from qcore_redis.ports.sleeping import Alarm, Sleeper, sleep_on
from qcore_redis.ports.translate import (
    ANSWERS,
    CONNECT_ERRORS,
    EXCHANGE_ERRORS,
    committed,
    not_sent,
    transaction,
    translated,
)

__all__ = ["SyncPort"]

N = TypeVar("N")
T = TypeVar("T")

Words = Sequence[Any]


class SyncPort:
    """Executes commands of many threads, each on a connection that it has for itself.

    Args:
        setup: What the URL said.
        locator: Knows the node of each command. Asked at the first command, and when a node
            cannot be reached or is the wrong one.
    """

    def __init__(self, setup: Setup, locator: Locator) -> None:
        database_of(setup)
        self._setup = setup
        self._locator = locator
        self._pools = Pools(self._made)
        self._sleepers: list[Sleeper] = []
        self._alarms: set[Alarm] = set()
        self._lock = threading.Lock()
        # A signal handler may look for a node while the thread below it does.
        self._locating = threading.RLock()
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

    def execute(self, words: Words) -> Any:
        """Send one command, once, to its node, and return its bare reply.

        Raises:
            NotSent: If no connection could be had.
            SocketLost: If the server may have run it.
            Refused: If the server answered with an error.
        """
        return self._routed(words, lambda hop: self._exchange(hop, _one, words))

    def transact(self, commands: Sequence[Words]) -> Sequence[Any]:
        """Send commands in one round trip, to be run in one step, and return their bare replies.

        Raises:
            NotSent: As ``execute``.
            SocketLost: As ``execute``; all were run, or none.
            Refused: If the server refused one of them; none was run.
        """
        if len(commands) == 1:
            return [self.execute(commands[0])]
        return self._routed(
            commands[0], lambda hop: committed(self._exchange(hop, _whole, commands))
        )

    def nodes(self) -> list[Callable[[Words], Any]]:
        """For each node that stores, what ``execute`` is, but sent there and nowhere else.

        Raises:
            NotSent: If they could not be found out.
        """
        self._node("")
        return [partial(self._exchange, Redirect(node), _one) for node in self._locator.primaries()]

    def routed(self, words: Words, step: Callable[[Any], T]) -> T:
        """Take a step on a connection outside the pools to the node of these words.

        Raises:
            NotSent: If a connection could not be had.
            Refused: If the server does not let this user in, or refuses the step.
        """
        return self._routed(words, lambda hop: step(self._connected(hop.node)))

    def _routed(self, words: Words, step: Callable[[Redirect], T]) -> T:
        """Take a step at the node of these words, or where that node sends it."""
        hop = Redirect(self._node(first_key(words)))
        for _ in range(HOPS):
            try:
                return step(hop)
            except Refused as error:
                following = self._locator.redirected(hop.node, error)
                if following is None:
                    raise
                hop = following
        raise Refused("TRYAGAIN the nodes send each other this command")

    def _exchange(
        self, hop: Redirect, talk: Callable[[Any, Sequence[Any]], Any], what: Sequence[Any]
    ) -> Any:
        pool = self._pools.of(hop.node)
        connection = self._reach(hop.node, pool.get_connection)
        try:
            if hop.asking:
                _one(connection, ("ASKING",))
            return talk(connection, what)
        except EXCHANGE_ERRORS as error:
            problem = translated(error)
            if not isinstance(problem, Refused):
                connection.disconnect()
            self._locator.doubt(hop.node, problem)
            raise problem from error
        except BaseException:
            # Interrupted between request and reply: the reply must not meet the next caller.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)
            if self._closed or not self._pools.uses(hop.node, pool):
                connection.disconnect()

    def _connected(self, node: Node) -> Any:
        """A connection outside the pools; whoever asked for it ends it."""

        def connected() -> Any:
            connection = self._pools.of(node).make_connection()
            connection.connect()
            return connection

        return self._reach(node, connected)

    def _reach(self, node: Node, step: Callable[[], T]) -> T:
        """Take a step towards a node, with its errors as those of a lost way there."""
        try:
            return step()
        except CONNECT_ERRORS as error:
            problem = not_sent(error)
            self._locator.doubt(node, problem)
            raise problem from error

    def _node(self, key: str) -> Node:
        """The node of a key, found out first where it is not known."""
        node = self._locator.node(key)
        if node is not None:
            return node
        with self._locating:
            if self._locator.node(key) is None:
                try:
                    self._locator.locate()
                except CONNECT_ERRORS as error:
                    raise not_sent(error) from error
                self._leave_others()
        return known_node(self._locator, key)

    def _leave_others(self) -> None:
        """Drop idle connections to what is no node any more."""
        nodes = self._locator.primaries()
        for pool in self._pools.only(nodes):
            pool.disconnect(inuse_connections=False)
        with self._lock:
            strangers = [one for one in self._sleepers if one.node not in nodes]
            self._sleepers = [one for one in self._sleepers if one.node in nodes]
        for sleeper in strangers:
            sleeper.close()

    def wait(self, commands: Sequence[Words], timeout: float) -> bool:
        """Send blocking commands, each on a socket of its own, until one is answered.

        Ends when one was answered, when ``timeout`` seconds are over, or on ``interrupt``. By
        then none is under way: those without an answer were ended.

        Returns:
            Whether it was interrupted; an answer may have come all the same.

        Raises:
            NotSent: As ``execute``.
            SocketLost: As ``execute``.
            Refused: As ``execute``.
        """
        sleepers: list[Sleeper] = []
        try:
            # Those that were had are put back if another cannot be.
            sleepers.extend(self._sleeper(self._node(first_key(words))) for words in commands)
            for sleeper, words in zip(sleepers, commands, strict=True):
                sleeper.send(words)
            sleep_on([*sleepers, *(sleeper.alarm for sleeper in sleepers)], timeout)
            # Every alarm is asked, so that none rings into a later wait.
            rang = [sleeper.alarm.rang() for sleeper in sleepers]
            for sleeper in sleepers:
                self._end(sleeper)
        except EXCHANGE_ERRORS as error:
            raise translated(error) from error
        finally:
            self._put_back(sleepers)
        return any(rang)

    def pause(self, seconds: float) -> None:
        """Sleep without asking the server anything; ``interrupt`` ends it."""
        alarm = Alarm()
        with self._lock:
            self._alarms.add(alarm)
        try:
            sleep_on([alarm], seconds)
        finally:
            with self._lock:
                self._alarms.discard(alarm)
            alarm.close()

    def _sleeper(self, node: Node) -> Sleeper:
        with self._lock:
            idle = next((one for one in self._sleepers if one.node == node), None)
            if idle is not None:
                self._sleepers.remove(idle)
        sleeper = self._fresh_sleeper(node) if idle is None else idle
        with self._lock:
            self._alarms.add(sleeper.alarm)
        return sleeper

    def _fresh_sleeper(self, node: Node) -> Sleeper:
        sleeper = Sleeper(self._connected(node), node)
        try:
            self._reach(node, sleeper.identify)
        except BaseException:
            sleeper.close()
            raise
        if sleeper.client_id is None:
            self.may_unblock = False
        return sleeper

    def _end(self, sleeper: Sleeper) -> None:
        """Make sure that a sleeper's command is answered, and read the answer."""
        if not sleeper.answered() and self.may_unblock:
            try:
                self._exchange(
                    Redirect(sleeper.node), _one, ("CLIENT", "UNBLOCK", sleeper.client_id)
                )
            except Refused:
                self.may_unblock = False
        try:
            sleeper.finish()
        except EXCHANGE_ERRORS as error:
            problem = translated(error)
            self._locator.doubt(sleeper.node, problem)
            # The queue went to another node: there may be work, and the next take finds it.
            moved = isinstance(problem, Refused) and self._locator.redirected(sleeper.node, problem)
            if not moved:
                raise

    def _put_back(self, sleepers: Sequence[Sleeper]) -> None:
        with self._lock:
            kept = [] if self._closed else [one for one in sleepers if one.reusable]
            self._alarms.difference_update(sleeper.alarm for sleeper in sleepers)
            self._sleepers.extend(kept)
        for sleeper in sleepers:
            if sleeper not in kept:
                sleeper.close()

    def interrupt(self) -> None:
        """Make every ``wait`` and ``pause`` under way return soon."""
        with self._lock:
            for alarm in self._alarms:
                alarm.ring()

    def close(self) -> None:
        """Close every socket."""
        self.interrupt()
        with self._lock:
            self._closed = True
            idle, self._sleepers = self._sleepers, []
        for sleeper in idle:
            sleeper.close()
        for pool in self._pools.all():
            pool.disconnect()
        self._locator.close()

    def native(self, kind: type[N]) -> N | None:
        """A client over the same pool, if ``kind`` is its class and one node has everything."""
        if len(self._locator.primaries()) > 1 or self._pools.latest is None:
            return None
        client = redis.Redis(connection_pool=self._pools.latest)
        return client if isinstance(client, kind) else None


def _introduce(connection: Any, words: Words) -> None:
    connection.on_connect()
    with contextlib.suppress(*ANSWERS):
        _one(connection, words)


def _one(connection: Any, words: Words) -> Any:
    connection.send_command(*words)
    return connection.read_response()


def _whole(connection: Any, commands: Sequence[Words]) -> list[Any]:
    sent = transaction(commands)
    connection.send_packed_command(connection.pack_commands(sent))
    return [_reply(connection) for _ in sent]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ANSWERS as error:
        return error
