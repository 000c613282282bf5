"""The seam between qcore and a broker: what an adapter implements, and nothing else.

In: batches of values, already validated. Out: batches of values, one for each input, in order.
``take`` never blocks and ``wait`` never takes; a timeout of ``wait`` is an ordinary return. The
mandatory core is ``open``, ``close``, ``interrupt``, ``enqueue``, ``take``, ``wait``, ``settle``,
``health``, ``classify`` and ``native``. ``Inspection``, ``Control``, ``Records``, ``Groups``,
``History`` and ``Subscriptions`` are optional, and declared by capabilities.

An adapter must NOT:

- retry: an error goes up as the client library raised it, and ``classify`` says what it means;
- wrap errors, log bodies, or check arguments again;
- block in any call but ``wait``, and there not past the timeout (returning early is allowed);
- use the client's clock for leases or delays: relative times go to the broker as they are;
- keep a job in the process: what ``take`` returned is the caller's, everything else the broker's.

Atomicity: each of ``enqueue``, ``take`` and ``settle`` is one step of the broker for the whole
batch. If the adapter claims ``replay``, a call that comes again with the same ``Flush`` returns
the first answer and does nothing twice; the leases of a ``take`` begin anew, since whoever asks
again has not seen the jobs.
"""

from qcore.backend.adapter import (
    COMMON_PARAMETERS,
    LOG_PARAMETERS,
    Adapter,
    Modal,
    Setup,
    is_log,
)
from qcore.backend.core import AsyncBackend, Backend
from qcore.backend.optional import (
    AsyncControl,
    AsyncGroups,
    AsyncHistory,
    AsyncInspection,
    AsyncRecords,
    AsyncSubscriptions,
    Control,
    Groups,
    History,
    Inspection,
    Records,
    Subscriptions,
)
from qcore.backend.values import (
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    Further,
    GateLimits,
    JoinTerms,
    LoggedJob,
    PeekedJob,
    QueueStats,
    Settle,
    Span,
    Start,
    Taken,
    TakenJob,
    TakeRequest,
    Verb,
)

__all__ = [
    "COMMON_PARAMETERS",
    "LOG_PARAMETERS",
    "Adapter",
    "AsyncBackend",
    "AsyncControl",
    "AsyncGroups",
    "AsyncHistory",
    "AsyncInspection",
    "AsyncRecords",
    "AsyncSubscriptions",
    "Backend",
    "Control",
    "Enqueue",
    "Enqueued",
    "Fault",
    "Flush",
    "Further",
    "GateLimits",
    "Groups",
    "History",
    "Inspection",
    "JoinTerms",
    "LoggedJob",
    "Modal",
    "PeekedJob",
    "QueueStats",
    "Records",
    "Settle",
    "Setup",
    "Span",
    "Start",
    "Subscriptions",
    "TakeRequest",
    "Taken",
    "TakenJob",
    "Verb",
    "is_log",
]
