"""From an error that escaped an adapter to one of qcore's tree, with the cause kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qcore.backend import Fault
from qcore.errors import (
    Closed,
    Corrupt,
    Indeterminate,
    QcoreError,
    Rejected,
    Unavailable,
)

__all__ = ["explained"]

_KINDS: Mapping[Fault, tuple[type[QcoreError], str]] = {
    Fault.UNAVAILABLE: (Unavailable, "nothing was done; try again when the broker is back"),
    Fault.REJECTED: (Rejected, "nothing was done; check the rights and settings of this user"),
    Fault.INDETERMINATE: (Indeterminate, "it may have happened; the reply was lost"),
    Fault.CORRUPT: (Corrupt, "the stored data is not what qcore wrote; inspect it before going on"),
    Fault.CLOSED: (Closed, "open a new connection"),
}


def explained(
    error: BaseException, classify: Callable[[BaseException], Fault | None], doing: str
) -> BaseException:
    """The error of qcore's tree that says what ``error`` means for the caller.

    Errors that are qcore's already, and those that the adapter does not know, stay as they are.
    """
    if isinstance(error, QcoreError):
        return error
    fault = classify(error)
    if fault is None:
        return error
    kind, advice = _KINDS[fault]
    found = kind(f"could not {doing}: {str(error) or type(error).__name__} ({advice})")
    found.__cause__ = error
    return found
