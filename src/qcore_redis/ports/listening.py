"""Subscriptions for callers that block: each has a socket of its own.

In: the words of a command that subscribes. Out: payloads, in the order in which they came, each
to one caller. ``receive`` never waits: it hands over what has arrived, at most as many as asked
for, and leaves the rest in the socket, so that a slow program is the server's concern and not its
own memory's. ``watch`` sleeps, and a timeout is an ordinary return. A subscription that broke says
why in ``broken``; the port never makes it again.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from qcore_redis.faults import NotSent, SocketLost
from qcore_redis.ports.messages import CHUNK, PING, Inbox, Pulse
from qcore_redis.ports.sleeping import Alarm, sleep_on
from qcore_redis.ports.sync import SyncPort
from qcore_redis.ports.translate import EXCHANGE_ERRORS, not_sent

__all__ = ["Listener", "Subscription"]

Words = Sequence[Any]

_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError)


class Listener:
    """Makes subscriptions, and lets threads sleep until one has something.

    Args:
        port: Where connections come from.
        patience: Seconds of silence before a link is asked, asked again, and given up.
        monotonic: Tells the time.
    """

    def __init__(
        self,
        port: SyncPort,
        patience: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._patience = patience
        self._monotonic = monotonic
        self._sleeping: set[Alarm] = set()
        self._lock = threading.Lock()

    def listen(self, words: Words) -> Subscription:
        """Subscribe; in effect when this returns.

        Raises:
            NotSent: If no connection could be had, or it broke before the confirmation.
            Refused: If the server does not let this user listen.
        """
        return self._port.routed(words, lambda connection: self._started(connection, words))

    def _started(self, connection: Any, words: Words) -> Subscription:
        subscription = Subscription(connection, Pulse(self._patience, self._monotonic))
        try:
            subscription.start(words)
        except BaseException as error:
            subscription.close()
            if isinstance(error, EXCHANGE_ERRORS):
                raise not_sent(error) from error
            if isinstance(error, SocketLost):
                raise NotSent(str(error)) from error
            raise
        return subscription

    def watch(self, subscriptions: Sequence[Subscription], timeout: float) -> None:
        """Sleep until one of them may have something, ``interrupt``, or the timeout in seconds."""
        alarm = Alarm()
        with self._lock:
            self._sleeping.add(alarm)
        try:
            for subscription in subscriptions:
                subscription.sleeping.add(alarm)
            # Looked at after the alarm is set, so that nothing comes in between unheard.
            if not any(subscription.pending for subscription in subscriptions):
                sleep_on([alarm, *subscriptions], timeout)
        except (ValueError, OSError):
            # Somebody found one of them broken and closed it: there is something to look at.
            pass
        finally:
            for subscription in subscriptions:
                subscription.sleeping.discard(alarm)
            with self._lock:
                self._sleeping.discard(alarm)
            alarm.close()

    def interrupt(self) -> None:
        """Make every ``watch`` under way return soon."""
        with self._lock:
            for alarm in self._sleeping:
                alarm.ring()


class Subscription:
    """One channel that is listened to.

    Attributes:
        pulse: How long it lives and is silent.
        pending: Whether the last ``receive`` may have left something that no socket shows.
        broken: Why nothing will ever come again; empty while it works.
        sleeping: The alarms of those who sleep on it.
    """

    def __init__(self, connection: Any, pulse: Pulse) -> None:
        self._connection = connection
        self._socket: socket.socket = connection._sock  # noqa: SLF001  (no other way to the socket)
        self._inbox = Inbox()
        self.pulse = pulse
        self._lock = threading.Lock()
        self.pending = False
        self.broken = ""
        self.sleeping: set[Alarm] = set()

    def start(self, words: Words) -> None:
        """Subscribe and wait for the confirmation.

        Raises:
            SocketLost: If the connection ended.
            Refused: If the server does not let this user listen.
        """
        self._connection.send_command(*words)
        while not self._inbox.confirmed():
            self._inbox.feed(self._socket.recv(CHUNK))
        self._socket.settimeout(0)

    def receive(self, limit: int) -> list[bytes]:
        """What has arrived, at most ``limit`` payloads; never waits."""
        found: list[bytes] = []
        with self._lock:
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
            for alarm in list(self.sleeping):
                alarm.ring()
        return found

    def _read(self) -> bool:
        """Take over what is in the socket; ``False`` if that is nothing."""
        try:
            data = self._socket.recv(CHUNK)
        except _NOTHING_YET:
            if self.pulse.should_ask():
                self._socket.sendall(PING)
            return False
        self._inbox.feed(data)
        self.pulse.heard()
        return True

    def fileno(self) -> int:
        """The socket's, for whoever sleeps on it; -1 after ``close``."""
        return self._socket.fileno()

    def close(self) -> None:
        """End it; harmless twice."""
        self._connection.disconnect()
