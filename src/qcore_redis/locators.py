"""Where a server listens that is reached by a unix socket: a fixed path, or a private server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from qcore.backend import Setup
from qcore.errors import InvalidUrl
from qcore_redis.embedded import EmbeddedServer

__all__ = ["Locator", "locator_for"]


class Locator(Protocol):
    """Finds the socket to connect to."""

    def locate(self) -> str:
        """The path of a socket, starting its server if need be."""
        ...

    def close(self) -> None:
        """Need it no longer; harmless twice."""
        ...


class _UnixSocket:
    def __init__(self, path: str) -> None:
        self._path = path

    def locate(self) -> str:
        return self._path

    def close(self) -> None:
        pass


class _PrivateServer:
    """A user of a private server from the first need on, until it is closed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: EmbeddedServer | None = None

    def locate(self) -> str:
        if self._server is None:
            self._server = EmbeddedServer.open(self._directory)
        return self._server.ensure()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()


def locator_for(setup: Setup) -> Locator | None:
    """How to find the socket of a topology; ``None`` for TCP.

    Raises:
        InvalidUrl: If the URL names no path, or asks for TLS on a socket.
    """
    if not setup.topology:
        return None
    scheme, path = setup.url.scheme, setup.url.path
    if setup.secure:
        plain = scheme.replace("rediss", "redis", 1)
        raise InvalidUrl(f"{scheme} asks for TLS on a unix socket, which has none; use {plain}")
    if setup.url.hosts or not path.strip("/"):
        raise InvalidUrl(f"{scheme} takes an absolute path: {scheme}:///path")
    return _UnixSocket(path) if setup.topology == "unix" else _PrivateServer(Path(path))
