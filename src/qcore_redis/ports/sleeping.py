"""Sleeping on sockets in code that blocks, so that another thread can end it at any time."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Sequence
from typing import Any, Protocol

from qcore_redis.faults import Refused
from qcore_redis.nodes import Node
from qcore_redis.ports.translate import EXCHANGE_ERRORS, translated

__all__ = ["Alarm", "Sleeper", "sleep_on"]


class Readable(Protocol):
    """Whatever the system can watch."""

    def fileno(self) -> int:
        """The descriptor; -1 when it is closed."""
        ...


class Alarm:
    """A pipe that wakes whoever sleeps on it."""

    def __init__(self) -> None:
        self._hears, self._rings = socket.socketpair()
        self._hears.settimeout(0)
        self._rings.settimeout(0)

    def fileno(self) -> int:
        """The end to sleep on."""
        return self._hears.fileno()

    def ring(self) -> None:
        """Wake the sleeper."""
        # It may have gone, and a full pipe wakes as well as any.
        with contextlib.suppress(OSError):
            self._rings.send(b"!")

    def rang(self) -> bool:
        """Whether somebody rang since the last time."""
        try:
            return bool(self._hears.recv(4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Give the pipe back."""
        self._hears.close()
        self._rings.close()


class Sleeper:
    """A connection for blocking commands, and the alarm of whoever waits for it."""

    def __init__(self, connection: Any, node: Node) -> None:
        self._connection = connection
        self.node = node
        self._pending = False
        self.alarm = Alarm()
        self.client_id: int | None = None

    @property
    def reusable(self) -> bool:
        """Whether nothing is under way on a connection that works."""
        return not self._pending and self._connection._sock is not None  # noqa: SLF001  (no other way to the socket)

    def identify(self) -> None:
        """Ask by which id the server knows the connection."""
        self._connection.send_command("CLIENT", "ID")
        try:
            self.client_id = self._connection.read_response()
        except EXCHANGE_ERRORS as error:
            if not isinstance(translated(error), Refused):
                raise

    def send(self, words: Sequence[Any]) -> None:
        """Send a command without waiting for its answer."""
        self._pending = True
        self._connection.send_command(*words)

    def fileno(self) -> int:
        """The socket on which the answer will come."""
        return int(self._connection._sock.fileno())  # noqa: SLF001  (no other way to the socket)

    def answered(self) -> bool:
        """Whether ``finish`` would not wait."""
        return not self._pending or bool(self._connection.can_read(timeout=0))

    def finish(self) -> None:
        """Read the answer of what was sent."""
        if not self._pending:
            return
        try:
            self._connection.read_response()
        except EXCHANGE_ERRORS as error:
            self._pending = not isinstance(translated(error), Refused)
            raise
        self._pending = False

    def close(self) -> None:
        """Drop the socket; an answer that is still to come will never be read."""
        self.alarm.close()
        self._connection.disconnect()


def sleep_on(ends: Sequence[Readable], timeout: float) -> None:
    """Sleep until one of them can be read, or ``timeout`` seconds are over.

    Raises:
        ValueError: If one of them is closed.
    """
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        selector.select(timeout)
