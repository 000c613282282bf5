"""The errors of qcore, told apart by what the caller can do about them.

    QcoreError
    ├── InvalidInput            the call is wrong; nothing was sent (also a ValueError)
    │   ├── InvalidUrl          a URL that names no broker, or a parameter nobody knows
    │   ├── InvalidReceipt      a receipt of another queue, or one that was never handed out
    │   └── LimitExceeded       larger, longer or more than the adapter declares
    ├── AdapterNotFound         no installed package registers the scheme
    ├── AdapterConflict         two installed packages register the same scheme
    ├── HistoryGone             the log does not reach back to what was asked for
    ├── NotTracked              no record is kept of the job, or its time is over
    ├── UnsupportedCapability   the adapter never does this; nothing was sent
    ├── NotApplied              the broker did not do it
    │   ├── Unavailable         not reachable, loading, full: the same call may succeed later
    │   └── Rejected            refused for good: permissions, configuration
    ├── Indeterminate           it may or may not have happened; the reply was lost
    ├── LeaseLost               somebody else may hold this delivery; the settle changed nothing
    ├── Closed                  the connection was closed by this program
    └── Corrupt                 stored data is not what qcore wrote

``retryable`` says whether repeating the very same call can help. ``Indeterminate`` is not
``retryable``: repeating may do the work twice, unless the job carries an id of the caller's.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AdapterConflict",
    "AdapterNotFound",
    "Closed",
    "Corrupt",
    "HistoryGone",
    "Indeterminate",
    "InvalidInput",
    "InvalidReceipt",
    "InvalidUrl",
    "LeaseLost",
    "LimitExceeded",
    "NotApplied",
    "NotTracked",
    "QcoreError",
    "Rejected",
    "Unavailable",
    "UnsupportedCapability",
]


class QcoreError(Exception):
    """The root of every error that qcore raises on purpose."""

    code: ClassVar[str] = "error"
    """A stable word for logs, ``--json`` output and metrics."""
    retryable: ClassVar[bool] = False
    """Whether the very same call may succeed later."""


class InvalidInput(QcoreError, ValueError):
    """An argument is wrong; it was refused before anything was sent."""

    code = "invalid-input"


class InvalidUrl(InvalidInput):
    """The URL cannot be understood; the message lists what is known."""

    code = "invalid-url"


class InvalidReceipt(InvalidInput):
    """The receipt is malformed or belongs to another queue."""

    code = "invalid-receipt"


class LimitExceeded(InvalidInput):
    """A declared limit of the adapter was passed; nothing was stored."""

    code = "limit-exceeded"


class AdapterNotFound(QcoreError, LookupError):
    """No installed package registers the URL's scheme."""

    code = "adapter-not-found"


class AdapterConflict(QcoreError):
    """Two installed packages register the same scheme, and neither may win silently."""

    code = "adapter-conflict"


class HistoryGone(QcoreError, LookupError):
    """The log does not reach back to what was asked for, or never held it."""

    code = "history-gone"


class NotTracked(QcoreError, LookupError):
    """No record is kept of the job: it was enqueued without, or the record's time is over."""

    code = "not-tracked"


class UnsupportedCapability(QcoreError):
    """The adapter does not offer what was asked, and said so before any I/O.

    Args:
        adapter: The scheme of the adapter, such as ``redis+pubsub``.
        capability: The capability or capabilities that are missing.
        why: Why the adapter cannot, or why this server lowered it.
    """

    code = "unsupported"

    def __init__(self, adapter: str, capability: str, why: str = "") -> None:
        self.adapter = adapter
        self.capability = capability
        self.why = why
        reason = f": {why}" if why else ""
        super().__init__(f"{adapter} does not offer '{capability}'{reason}")

    def __reduce__(self) -> tuple[type[UnsupportedCapability], tuple[str, str, str]]:
        return type(self), (self.adapter, self.capability, self.why)


class NotApplied(QcoreError):
    """The broker did not carry out the operation."""

    code = "not-applied"


class Unavailable(NotApplied):
    """The broker cannot be reached or cannot take it now; nothing was done."""

    code = "unavailable"
    retryable = True


class Rejected(NotApplied):
    """The broker refused for good; nothing was done."""

    code = "rejected"


class Indeterminate(QcoreError):
    """The reply was lost: the operation may or may not have taken effect."""

    code = "indeterminate"


class LeaseLost(QcoreError):
    """The delivery is no longer held: it was settled, or its lease ran out."""

    code = "lease-lost"


class Closed(QcoreError):
    """The connection was closed; open a new one."""

    code = "closed"


class Corrupt(QcoreError):
    """Stored data is missing or of the wrong kind; the message names the key."""

    code = "corrupt"
