"""qcore: a job queue whose broker is chosen by a URL, every broker held to one contract.

import qcore

with qcore.connect("memory://demo") as connection:
    queue = connection.queue("mail")
    queue.enqueue(b"hello")
    with queue.reserve(timeout=1.0) as delivery:
        print(delivery.job.body)
"""

from __future__ import annotations

from qcore.async_connection import AsyncConnection, connect_async
from qcore.async_queue import AsyncConsumer, AsyncDelivery, AsyncQueue
from qcore.backend import QueueStats, Verb
from qcore.capabilities import Capabilities, Claim, Limits
from qcore.clock import Clock, ManualClock, SystemClock
from qcore.connection import Connection, connect
from qcore.consume.inspect import InspectedJob
from qcore.consume.reading import LogEntry
from qcore.consume.settlement import Settlement
from qcore.errors import (
    AdapterConflict,
    AdapterNotFound,
    Closed,
    Corrupt,
    HistoryGone,
    Indeterminate,
    InvalidInput,
    InvalidReceipt,
    InvalidUrl,
    LeaseLost,
    LimitExceeded,
    NotApplied,
    NotTracked,
    QcoreError,
    Rejected,
    Unavailable,
    UnsupportedCapability,
)
from qcore.job import Job, JobId, Receipt
from qcore.options import Gate, Join, NewJob
from qcore.policy import RetryPolicy
from qcore.queue import Consumer, Delivery, Queue
from qcore.record import Keep, Record, Try
from qcore.states import State

__all__ = [
    "AdapterConflict",
    "AdapterNotFound",
    "AsyncConnection",
    "AsyncConsumer",
    "AsyncDelivery",
    "AsyncQueue",
    "Capabilities",
    "Claim",
    "Clock",
    "Closed",
    "Connection",
    "Consumer",
    "Corrupt",
    "Delivery",
    "Gate",
    "HistoryGone",
    "Indeterminate",
    "InspectedJob",
    "InvalidInput",
    "InvalidReceipt",
    "InvalidUrl",
    "Job",
    "JobId",
    "Join",
    "Keep",
    "LeaseLost",
    "LimitExceeded",
    "Limits",
    "LogEntry",
    "ManualClock",
    "NewJob",
    "NotApplied",
    "NotTracked",
    "QcoreError",
    "Queue",
    "QueueStats",
    "Receipt",
    "Record",
    "Rejected",
    "RetryPolicy",
    "Settlement",
    "State",
    "SystemClock",
    "Try",
    "Unavailable",
    "UnsupportedCapability",
    "Verb",
    "connect",
    "connect_async",
]
