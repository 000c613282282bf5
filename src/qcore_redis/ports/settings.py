"""How connections to the server are made: timeouts, keepalive, TLS, where it listens.

Retries are off, since the library would send a command again that the server may have run; the
socket timeout lies above the longest block; keepalive and TCP_USER_TIMEOUT find dead links.
"""

from __future__ import annotations

import socket
from typing import Any

from qcore.backend import Setup
from qcore.errors import InvalidUrl
from qcore_redis.nodes import Node

__all__ = [
    "LONGEST_BLOCK",
    "SOCKET_TIMEOUT",
    "connection_options",
    "database_of",
    "introduction",
    "transport_options",
]

LONGEST_BLOCK = 5.0
"""Seconds that the server may keep one of our commands waiting."""
SOCKET_TIMEOUT = LONGEST_BLOCK + 2.0
_CONNECT_TIMEOUT = 5.0
_USER_TIMEOUT_MS = 20_000
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


def connection_options(setup: Setup, node: Node) -> dict[str, Any]:
    """Keyword arguments of the library's connection classes, the same for both colours."""
    options: dict[str, Any] = {
        "db": database_of(setup),
        "username": setup.url.username or None,
        "password": setup.url.password or None,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": _CONNECT_TIMEOUT,
        "protocol": 2,
    }
    return options | transport_options(setup, node)


def transport_options(setup: Setup, node: Node) -> dict[str, Any]:
    """Where to connect to, how to notice a dead link, and TLS."""
    if node.path:
        return node.options()
    options = node.options() | {
        "socket_keepalive": True,
        "socket_keepalive_options": _keepalive_options(),
    }
    return options | (_tls_options(setup) if setup.secure else {})


def introduction(setup: Setup) -> tuple[str, ...]:
    """How a connection tells the server whose it is; a user who may do little may not say it."""
    return ("CLIENT", "SETNAME", f"qcore-{setup.owner}")


def database_of(setup: Setup) -> int:
    """The database number that the URL names.

    Raises:
        InvalidUrl: If the path is none; the other topologies take it as a parameter.
    """
    if setup.topology:
        return int(setup.params["db"])
    path = setup.url.path.strip("/")
    if not path:
        return int(setup.params["db"])
    if not path.isascii() or not path.isdigit():
        raise InvalidUrl(f"the path of {setup.url.scheme} is a database number, such as /0")
    return int(path)


def _keepalive_options() -> dict[int, int]:
    wanted = {**_KEEPALIVE, "TCP_USER_TIMEOUT": _USER_TIMEOUT_MS}
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def _tls_options(setup: Setup) -> dict[str, Any]:
    verify = bool(setup.params["tls_verify"])
    return {
        "ssl_cert_reqs": "required" if verify else "none",
        "ssl_check_hostname": verify,
        "ssl_ca_certs": setup.params["tls_ca"] or None,
        "ssl_certfile": setup.params["tls_cert"] or None,
        "ssl_keyfile": setup.params["tls_key"] or None,
    }
