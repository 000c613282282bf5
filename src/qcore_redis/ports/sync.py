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
from qcore_redis.locators import Locator
from qcore_redis.ports.settings import connection_options, introduction
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
        locator: Finds the unix socket to use, starting its server if need be; ``None`` for TCP.
            Called at the first command, and when the socket refuses.
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
        self._sleepers: list[Sleeper] = []
        self._alarms: set[Alarm] = set()
        self._lock = threading.Lock()
        self._closed = False
        self.may_unblock = True

    def execute(self, words: Words) -> Any:
        """Send one command, once, and return its bare reply.

        Raises:
            NotSent: If no connection could be had.
            SocketLost: If the server may have run it.
            Refused: If the server answered with an error.
        """
        return self._exchange(_one, words)

    def transact(self, commands: Sequence[Words]) -> Sequence[Any]:
        """Send commands in one round trip, to be run in one step, and return their bare replies.

        Raises:
            NotSent: As ``execute``.
            SocketLost: As ``execute``; all were run, or none.
            Refused: If the server refused one of them; none was run.
        """
        if len(commands) == 1:
            return [self.execute(commands[0])]
        return committed(self._exchange(_whole, commands))

    def _exchange(self, talk: Callable[[Any, Sequence[Any]], Any], what: Sequence[Any]) -> Any:
        connection = self._reach(self._pool.get_connection)
        try:
            return talk(connection, what)
        except EXCHANGE_ERRORS as error:
            problem = translated(error)
            if not isinstance(problem, Refused):
                connection.disconnect()
            raise problem from error
        except BaseException:
            # Interrupted between request and reply: the reply must not meet the next caller.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)
            if self._closed:
                connection.disconnect()

    def own_connection(self) -> Any:
        """A connection outside the pool, connected; whoever asked for it ends it.

        Raises:
            NotSent: If it could not be had.
            Refused: If the server does not let this user in.
        """

        def connected() -> Any:
            connection = self._pool.make_connection()
            connection.connect()
            return connection

        return self._reach(connected)

    def _reach(self, step: Callable[[], T]) -> T:
        """Take a step towards the server, with its errors as those of a lost way there."""
        try:
            self._find_server()
            return step()
        except CONNECT_ERRORS as error:
            self._located = self._locator is None
            raise not_sent(error) from error

    def _find_server(self) -> None:
        """Learn the socket's path, at first and after it refused: its server may be a new one."""
        if not self._located and self._locator is not None:
            self._pool.connection_kwargs["path"] = self._locator.locate()
            self._located = True

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
        sleepers = [self._sleeper() for _ in commands]
        try:
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

    def _sleeper(self) -> Sleeper:
        with self._lock:
            sleeper = self._sleepers.pop() if self._sleepers else None
        if sleeper is None:
            sleeper = Sleeper(self.own_connection())
            try:
                self._reach(sleeper.identify)
            except BaseException:
                sleeper.close()
                raise
            if sleeper.client_id is None:
                self.may_unblock = False
        with self._lock:
            self._alarms.add(sleeper.alarm)
        return sleeper

    def _end(self, sleeper: Sleeper) -> None:
        """Make sure that a sleeper's command is answered, and read the answer."""
        if not sleeper.answered() and self.may_unblock:
            try:
                self.execute(("CLIENT", "UNBLOCK", sleeper.client_id))
            except Refused:
                self.may_unblock = False
        sleeper.finish()

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
        self._pool.disconnect()
        if self._locator is not None:
            self._locator.close()

    def native(self, kind: type[N]) -> N | None:
        """A client over the same pool, if ``kind`` is its class."""
        client = redis.Redis(connection_pool=self._pool)
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
