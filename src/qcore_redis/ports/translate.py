"""From the client library's errors to the port's own three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis.exceptions as theirs

from qcore_redis.faults import NotSent, Refused, SocketLost

__all__ = [
    "ANSWERS",
    "CONNECT_ERRORS",
    "EXCHANGE_ERRORS",
    "committed",
    "not_sent",
    "transaction",
    "translated",
]

# The library takes the code off the text of these.
_CODES: Mapping[type[Exception], str] = {
    theirs.MasterDownError: "MASTERDOWN",
    theirs.ClusterDownError: "CLUSTERDOWN",
    theirs.TryAgainError: "TRYAGAIN",
    theirs.MovedError: "MOVED",
    theirs.AskError: "ASK",
    theirs.OutOfMemoryError: "OOM",
    theirs.BusyLoadingError: "LOADING",
    theirs.ReadOnlyError: "READONLY",
    theirs.NoPermissionError: "NOPERM",
    theirs.AuthenticationError: "WRONGPASS",
    theirs.NoScriptError: "NOSCRIPT",
    theirs.ExecAbortError: "EXECABORT",
}

ANSWERS = (theirs.ResponseError,)
CONNECT_ERRORS = (theirs.ConnectionError, theirs.TimeoutError, OSError, *ANSWERS)
EXCHANGE_ERRORS = (theirs.RedisError, OSError)


def not_sent(error: Exception) -> NotSent | Refused:
    """The error of a connection that could not be had."""
    if isinstance(error.__cause__, theirs.RedisError):
        # Over a unix socket, asyncio's connection wraps what the server said.
        error = error.__cause__
    if isinstance(error, theirs.AuthenticationError | theirs.AuthorizationError):
        return Refused(f"WRONGPASS {error}")
    if isinstance(error, theirs.BusyLoadingError):
        return Refused(f"LOADING {error}")
    if isinstance(error, ANSWERS):
        return _refused(error)
    return NotSent(str(error) or type(error).__name__)


def translated(error: Exception) -> Refused | SocketLost:
    """The error of an exchange that had begun."""
    if isinstance(error, Refused | SocketLost):
        return error
    if isinstance(error, (*ANSWERS, *_CODES)):
        return _refused(error)
    return SocketLost(str(error) or type(error).__name__)


def _refused(error: Exception) -> Refused:
    code = next((f"{code} " for kind, code in _CODES.items() if isinstance(error, kind)), "")
    return Refused(f"{code}{error}")


def transaction(commands: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """What to send so that the commands are run in one step; ``committed`` reads the replies."""
    return [("MULTI",), *commands, ("EXEC",)]


def committed(replies: Sequence[Any]) -> Sequence[Any]:
    """The replies of the commands of a transaction, errors of it being values.

    Raises:
        Refused: If one was refused; the first of them says why.
    """
    begun, *queued, ended = replies
    # To a user who may not say MULTI, each command was answered by itself.
    answers: Sequence[Any] = queued if isinstance(begun, Exception) else ended
    errors = [reply for reply in queued if isinstance(reply, Exception)]
    if isinstance(answers, Exception):
        errors.append(answers)
    else:
        errors += [reply for reply in answers if isinstance(reply, Exception)]
    if errors:
        raise _refused(errors[0]) from errors[0]
    return answers
