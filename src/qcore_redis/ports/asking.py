"""A single question to a server, on a connection that is made for it and ended after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from qcore.backend import Setup
from qcore_redis.ports.translate import CONNECT_ERRORS, EXCHANGE_ERRORS, not_sent, translated

__all__ = ["Ask", "asked"]

Ask = Callable[[Setup, Mapping[str, Any], Sequence[Any]], Any]
"""Asks one question; as ``asked`` does."""

_TIMEOUT = 1.0
"""Seconds for one server, so that a dead one holds up nobody for long: others know as well."""


def asked(setup: Setup, options: Mapping[str, Any], words: Sequence[Any]) -> Any:
    """The answer to one command.

    Args:
        setup: What the URL said.
        options: Keyword arguments of the library's connection classes.
        words: The command.

    Raises:
        NotSent: If no connection could be had.
        SocketLost: If no answer came within a second.
        Refused: If the answer is an error.
    """
    kind: type[Any] = redis.SSLConnection if setup.secure else redis.Connection
    timeouts = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
    connection = kind(**{**options, **timeouts, "retry": Retry(NoBackoff(), 0)})
    try:
        connection.connect()
    except CONNECT_ERRORS as error:
        connection.disconnect()
        raise not_sent(error) from error
    try:
        connection.send_command(*words)
        return connection.read_response()
    except EXCHANGE_ERRORS as error:
        raise translated(error) from error
    finally:
        connection.disconnect()
