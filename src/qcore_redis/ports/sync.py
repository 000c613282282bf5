"""The port for callers that block: a pool for commands, and sockets of their own for waiting."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from qcore.backend import Setup
from qcore_redis.faults import Refused
from qcore_redis.ports.settings import connection_options
from qcore_redis.ports.translate import CONNECT_ERRORS, EXCHANGE_ERRORS, not_sent, translated

__all__ = ["SyncPort"]

N = TypeVar("N")

Words = Sequence[Any]


class SyncPort:
    """Executes commands of many threads, each on a connection that it has for itself.

    Args:
        setup: What the URL said.
        locate: Gives the unix socket to use, starting its server if need be; ``None`` for TCP.
            Called at the first command, and when the socket refuses.
    """

    def __init__(self, setup: Setup, locate: Callable[[], str] | None = None) -> None:
        kind: type[redis.Connection] = redis.Connection
        if locate is not None:
            kind = redis.UnixDomainSocketConnection
        elif setup.secure:
            kind = redis.SSLConnection
        self._locate = locate
        self._located = locate is None
        self._pool = redis.ConnectionPool(
            connection_class=kind,
            retry=Retry(NoBackoff(), 0),
            **connection_options(setup),
        )
        self._sleepers: list[_Sleeper] = []
        self._awake: list[_Sleeper] = []
        self._lock = threading.Lock()

    def execute(self, words: Words) -> Any:
        """Send one command, once, and return its bare reply.

        Raises:
            NotSent: If no connection could be had.
            SocketLost: If the server may have run it.
            Refused: If the server answered with an error.
        """
        connection = self._connected()
        try:
            connection.send_command(*words)
            return connection.read_response()
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

    def _connected(self) -> Any:
        try:
            self._find_server()
            return self._pool.get_connection()
        except CONNECT_ERRORS as error:
            self._located = self._locate is None
            raise not_sent(error) from error

    def _find_server(self) -> None:
        """Learn the socket's path, at first and after it refused: its server may be a new one."""
        if not self._located and self._locate is not None:
            self._pool.connection_kwargs["path"] = self._locate()
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
            interrupted = _first_ready(sleepers, timeout)
            for sleeper in sleepers:
                self._end(sleeper)
        except EXCHANGE_ERRORS as error:
            raise translated(error) from error
        finally:
            self._put_back(sleepers)
        return interrupted

    def pause(self, seconds: float) -> None:
        """Sleep without asking the server anything; ``interrupt`` ends it."""
        sleeper = _Sleeper(None)
        with self._lock:
            self._awake.append(sleeper)
        try:
            _first_ready([sleeper], seconds)
        finally:
            self._put_back([sleeper])

    def _sleeper(self) -> _Sleeper:
        with self._lock:
            sleeper = self._sleepers.pop() if self._sleepers else None
        if sleeper is None:
            try:
                self._find_server()
                sleeper = _Sleeper(self._pool.make_connection())
                sleeper.connect()
            except CONNECT_ERRORS as error:
                self._located = self._locate is None
                raise not_sent(error) from error
        with self._lock:
            self._awake.append(sleeper)
        return sleeper

    def _end(self, sleeper: _Sleeper) -> None:
        """Make sure that a sleeper's command is answered, and read the answer."""
        if not sleeper.answered() and sleeper.client_id is not None:
            with contextlib.suppress(Refused):
                self.execute(("CLIENT", "UNBLOCK", sleeper.client_id))
        sleeper.finish()

    def _put_back(self, sleepers: Sequence[_Sleeper]) -> None:
        with self._lock:
            for sleeper in sleepers:
                self._awake.remove(sleeper)
                if sleeper.reusable:
                    self._sleepers.append(sleeper)
        for sleeper in sleepers:
            if not sleeper.reusable:
                sleeper.close()

    def interrupt(self) -> None:
        """Make every ``wait`` and ``pause`` under way return soon."""
        with self._lock:
            for sleeper in self._awake:
                sleeper.wake()

    def close(self) -> None:
        """Close every socket."""
        self.interrupt()
        with self._lock:
            idle, self._sleepers = self._sleepers, []
        for sleeper in idle:
            sleeper.close()
        self._pool.disconnect()

    def native(self, kind: type[N]) -> N | None:
        """A client over the same pool, if ``kind`` is its class."""
        client = redis.Redis(connection_pool=self._pool)
        return client if isinstance(client, kind) else None


class _Sleeper:
    """A connection for blocking commands, with a pipe that wakes whoever waits for it."""

    def __init__(self, connection: Any | None) -> None:
        self._connection = connection
        self._pending = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self.client_id: int | None = None

    @property
    def reusable(self) -> bool:
        return (
            self._connection is not None
            and self._connection._sock is not None
            and not self._pending
        )

    def connect(self) -> None:
        assert self._connection is not None
        self._connection.connect()
        self._connection.send_command("CLIENT", "ID")
        try:
            self.client_id = self._connection.read_response()
        except EXCHANGE_ERRORS as error:
            if not isinstance(translated(error), Refused):
                raise

    def send(self, words: Words) -> None:
        assert self._connection is not None
        self._pending = True
        self._connection.send_command(*words)

    def watched(self) -> list[socket.socket]:
        ends = [self._wake_in]
        return ends if self._connection is None else [*ends, self._connection._sock]

    def answered(self) -> bool:
        return not self._pending or bool(self._connection and self._connection.can_read(timeout=0))

    def finish(self) -> None:
        if self._pending and self._connection is not None:
            try:
                self._connection.read_response()
            except EXCHANGE_ERRORS as error:
                self._pending = not isinstance(translated(error), Refused)
                raise
            self._pending = False

    def wake(self) -> None:
        with contextlib.suppress(OSError):
            self._wake_out.send(b"!")

    def woken(self) -> bool:
        """Whether somebody woke us since the last time."""
        try:
            return bool(self._wake_in.recv(4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Drop the socket; an answer that is still to come will never be read."""
        self._wake_in.close()
        self._wake_out.close()
        if self._connection is not None:
            self._connection.disconnect()


def _first_ready(sleepers: Sequence[_Sleeper], timeout: float) -> bool:
    """Sleep until a socket can be read or ``timeout`` is over; whether somebody woke us."""
    with selectors.DefaultSelector() as selector:
        for sleeper in sleepers:
            for end in sleeper.watched():
                selector.register(end, selectors.EVENT_READ)
        selector.select(timeout)
    return any([sleeper.woken() for sleeper in sleepers])
