"""Where a server or a proxy listens: a port of the loopback interface, or a unix socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

__all__ = ["Address", "Tcp", "Unix", "connect"]


@frozen
class Tcp:
    """A TCP port; port 0 asks the system for a free one."""

    host: str = "127.0.0.1"
    port: int = 0

    def url(self, scheme: str) -> str:
        """Return the address as a URL, such as ``redis+list://127.0.0.1:6379``."""
        return f"{scheme}://{self.host}:{self.port}"


@frozen
class Unix:
    """A unix socket, named by its path."""

    path: Path

    def url(self, scheme: str) -> str:
        """Return the address as a URL, such as ``redis+list+unix:///tmp/redis.sock``."""
        return f"{scheme}+unix://{self.path}"


Address: TypeAlias = Tcp | Unix


def connect(address: Address, *, timeout: float) -> socket.socket:
    """Open a stream socket to an address.

    Args:
        address: Where to connect.
        timeout: Seconds for connecting, and for each later send and receive.

    Raises:
        OSError: Nobody listens there; a ``TimeoutError`` if nobody answered in time.
    """
    if isinstance(address, Tcp):
        return socket.create_connection((address.host, address.port), timeout=timeout)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(str(address.path))
    except OSError:
        sock.close()
        raise
    return sock
