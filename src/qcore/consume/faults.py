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

__all__ = ["explaining"]

_KINDS: Mapping[Fault, tuple[type[QcoreError], str]] = {
    Fault.UNAVAILABLE: (Unavailable, "nothing was done; try again when the broker is back"),
    Fault.REJECTED: (Rejected, "nothing was done; check the rights and settings of this user"),
    Fault.INDETERMINATE: (Indeterminate, "it may have happened; the reply was lost"),
    Fault.CORRUPT: (Corrupt, "the stored data is not what qcore wrote; inspect it before going on"),
    Fault.CLOSED: (Closed, "open a new connection"),
}


class explaining:  # noqa: N801  (used as a statement: ``with explaining(…):``)
    """Raise the error of qcore's tree that says what an error of the block means for the caller.

    Errors that are qcore's already, and those that the adapter does not know, stay as they are.

    Args:
        classify: The adapter's judgement.
        doing: What could not be done, for the message.
        looking: Whether nothing is changed; a lost reply then leaves nothing in doubt.
    """

    def __init__(
        self,
        classify: Callable[[BaseException], Fault | None],
        doing: str,
        *,
        looking: bool = False,
    ) -> None:
        self._classify = classify
        self._doing = doing
        self._looking = looking

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Explain what came."""
        if not isinstance(error, Exception) or isinstance(error, QcoreError):
            return
        fault = self._classify(error)
        if self._looking and fault is Fault.INDETERMINATE:
            fault = Fault.UNAVAILABLE
        if fault is not None:
            meant, advice = _KINDS[fault]
            said = str(error) or type(error).__name__
            raise meant(f"could not {self._doing}: {said} ({advice})") from error
