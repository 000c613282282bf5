"""What errors of the server and of its client library mean for the operation that met them."""

from __future__ import annotations

from qcore.backend import Fault

__all__ = ["NotSent", "Refused", "SocketLost", "fault_of", "is_full", "is_wrong_node"]


class NotSent(Exception):
    """No connection could be had: nothing was sent."""


class SocketLost(Exception):
    """The connection broke, or the reply did not come in time: the server may have acted."""


class Refused(Exception):
    """The server answered with an error; ``str`` is its text, code first."""


_UNAVAILABLE = (
    "OOM ",
    "LOADING ",
    "BUSY ",
    "READONLY ",
    "MASTERDOWN ",
    "CLUSTERDOWN ",
    "TRYAGAIN ",
    "MISCONF ",
    "NOREPLICAS ",
    "UNBLOCKED ",
    "max number of clients",
)
_REJECTED = (
    "NOPERM",
    "ACL failure",
    "The user executing the script can't",
    "NOAUTH",
    "WRONGPASS",
    "NOPROTO",
    "unknown command",
    "DENIED",
)


def fault_of(error: BaseException) -> Fault | None:
    """Classify an error that escaped from an adapter; ``None`` if it is a bug."""
    if isinstance(error, NotSent):
        return Fault.UNAVAILABLE
    if isinstance(error, SocketLost):
        return Fault.INDETERMINATE
    if not isinstance(error, Refused):
        return None
    return _fault_of_answer(str(error))


def _fault_of_answer(text: str) -> Fault:
    # Inside a script the server's own code stands somewhere behind its prefix.
    if "WRONGTYPE" in text:
        return Fault.CORRUPT
    if any(code in text for code in _UNAVAILABLE):
        return Fault.UNAVAILABLE
    if any(code in text for code in _REJECTED):
        return Fault.REJECTED
    return Fault.CORRUPT if "user_script" in text else Fault.REJECTED


def is_full(error: Refused) -> bool:
    """Whether the server refused because its memory is full."""
    return "OOM " in str(error)


def is_wrong_node(error: Refused) -> bool:
    """Whether the server said that it is not, or not any more, the one that takes writes."""
    return any(code in str(error) for code in ("READONLY ", "MASTERDOWN ", "UNBLOCKED "))
