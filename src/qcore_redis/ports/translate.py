"""From the client library's errors to the port's own three."""

from __future__ import annotations

from collections.abc import Mapping

import redis.exceptions as theirs

from qcore_redis.faults import NotSent, Refused, SocketLost

__all__ = ["CONNECT_ERRORS", "EXCHANGE_ERRORS", "not_sent", "translated"]

# The library takes the code off the text of these.
_CODES: Mapping[type[Exception], str] = {
    theirs.MasterDownError: "MASTERDOWN",
    theirs.ClusterDownError: "CLUSTERDOWN",
    theirs.TryAgainError: "TRYAGAIN",
    theirs.OutOfMemoryError: "OOM",
    theirs.BusyLoadingError: "LOADING",
    theirs.ReadOnlyError: "READONLY",
    theirs.NoPermissionError: "NOPERM",
    theirs.AuthenticationError: "WRONGPASS",
    theirs.NoScriptError: "NOSCRIPT",
    theirs.ExecAbortError: "EXECABORT",
}

CONNECT_ERRORS = (theirs.ConnectionError, theirs.TimeoutError, OSError)
EXCHANGE_ERRORS = (theirs.RedisError, OSError)


def not_sent(error: Exception) -> NotSent | Refused:
    """The error of a connection that could not be had."""
    if isinstance(error, theirs.AuthenticationError | theirs.AuthorizationError):
        return Refused(f"WRONGPASS {error}")
    if isinstance(error, theirs.BusyLoadingError):
        return Refused(f"LOADING {error}")
    return NotSent(str(error) or type(error).__name__)


def translated(error: Exception) -> Refused | SocketLost:
    """The error of an exchange that had begun."""
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return Refused(f"{code} {error}")
    if isinstance(error, theirs.ResponseError):
        return Refused(str(error))
    return SocketLost(str(error) or type(error).__name__)
