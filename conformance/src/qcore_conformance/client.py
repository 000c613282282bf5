"""A raw RESP client, for setting servers up and looking into them without a library.

In go words; out come decoded replies. An error of the server is raised as ``ServerError``,
a lost connection as ``ConnectionError``, and silence for longer than the timeout as
``TimeoutError``; after the last two the connection is of no use.
"""

from __future__ import annotations

import ssl
from collections import deque
from types import TracebackType
from typing import Self

from .addresses import Address, connect
from .resp import ReplyError, Splitter, Value, decode, encode

__all__ = ["RawClient", "ServerError"]


class ServerError(Exception):
    """The server replied with an error; the message is its own."""


class RawClient:
    """One connection that says exactly what it is told.

    Args:
        address: Where the server listens.
        timeout: Seconds for connecting and for each reply.
        tls: Wraps the connection if given; the name is not checked on a unix socket.
    """

    def __init__(
        self, address: Address, *, timeout: float = 5.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self._socket = connect(address, timeout=timeout)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._splitter = Splitter()
        self._messages: deque[bytes] = deque()

    def send(self, *words: str | bytes | float) -> None:
        """Send one request and do not wait for its reply."""
        self.send_raw(encode(*words))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: several requests at once, or half of one."""
        self._socket.sendall(data)

    def read_raw(self) -> bytes:
        """Wait for one whole message and return its bytes."""
        while not self._messages:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._messages.extend(self._splitter.feed(data))
        return self._messages.popleft()

    def read(self) -> Value:
        """Wait for one message and return its value.

        Raises:
            ServerError: It is an error reply.
            ConnectionError: The connection was closed.
            TimeoutError: Nothing came in time.
        """
        value = decode(self.read_raw())
        if isinstance(value, ReplyError):
            raise ServerError(value.message)
        return value

    def call(self, *words: str | bytes | float) -> Value:
        """Send one request and wait for its reply; raises what ``read`` raises."""
        self.send(*words)
        return self.read()

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
