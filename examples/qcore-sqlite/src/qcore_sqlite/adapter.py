"""The adapter: one connection to the file, and polling for what other processes put there."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any, TypeVar

from qcore.backend import (
    COMMON_PARAMETERS,
    AsyncBackend,
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    PeekedJob,
    QueueStats,
    Settle,
    Setup,
    Taken,
    TakeRequest,
)
from qcore.bridges import lift_threads
from qcore.capabilities import Capabilities, Claim
from qcore.errors import InvalidUrl
from qcore.record import Record
from qcore.states import State
from qcore_sqlite.store import Rows

__all__ = ["SqliteAdapter", "SqliteBackend"]

N = TypeVar("N")
T = TypeVar("T")

_POLL = 0.02
"""Seconds between two looks for what other processes wrote."""
_BUSY = 5.0
"""Seconds that a transaction waits for those of others."""
_AGAIN = 0.001
"""Seconds until a file that others have locked is tried again."""
_NOW = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

_PROMISES = Capabilities(
    adapter="sqlite",
    claims={
        "delivery": Claim("at_least_once"),
        "settlement": Claim("explicit"),
        "durability": Claim("power"),
        "scope": Claim("host"),
        "order": Claim("fifo"),
        "reentry": Claim("head"),
        "wake": Claim(f"polled({_POLL:g})"),
        **dict.fromkeys(
            (
                *("fenced", "lease", "extend", "release", "retry", "dead_letter", "redrive"),
                *("attempts", "delay", "priority", "idempotent_id", "dedup"),
                *("records", "stats", "peek", "purge", "thread_safe"),
            ),
            Claim(value=True),
        ),
    },
    refusals={
        "replay": "a transaction in a local file has no reply that could be lost",
        "receivers": "a queue that stores does not know who listens",
        "gap": "a queue that stores misses nothing",
        "pause": "a queue in a file has no switch; stop its consumers instead",
        "cancel": "this adapter has no way to a single job; purge drops all",
        "ttl": "this adapter keeps a job until somebody takes or purges it",
        "reschedule": "this adapter has no way to a single job",
        "fair": "this adapter hands jobs out in the order in which they were enqueued",
        "at_front": "this adapter hands jobs out in the order in which they were enqueued",
        "concurrency": "this adapter hands out whatever is there",
        "rate": "this adapter hands out whatever is there",
        "move": "this adapter has no way to a single job",
        "then": "this adapter enqueues what it is asked to, and nothing at an ack",
        "tell": "this adapter has nobody who listens",
        "join": "this adapter stores a job as soon as somebody asks",
        "take_at_full_memory": "a full disk refuses every transaction",
    },
)


class SqliteBackend:
    """One connection to the file, used by one thread at a time."""

    def __init__(self, setup: Setup) -> None:
        self._path = setup.url.path
        self._owner = setup.owner
        self._params = setup.params
        self._lock = threading.RLock()
        self._changed = threading.Condition()
        self._interrupts = 0
        self._db: sqlite3.Connection | None = None

    def open(self) -> Capabilities:
        """Open the file, making it if it is not there."""
        self._db = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(files("qcore_sqlite").joinpath("schema.sql").read_text())
        self._db.execute("PRAGMA busy_timeout = 0")
        return _PROMISES

    def interrupt(self) -> None:
        """End every wait."""
        with self._changed:
            self._interrupts += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            raise sqlite3.ProgrammingError("the connection is closed")
        return self._db

    def _within(self, queue: str, act: Callable[[Rows], T]) -> T:
        """Act in one transaction, and wake those of this process who wait."""
        with self._lock:
            db = self._connection()
            try:
                _in_turn(db, "BEGIN IMMEDIATE")
                now = int(db.execute(_NOW).fetchone()[0])
                rows = Rows(db, f"{self._params['namespace']}/{queue}", now)
                result = act(rows)
                rows.forget()
                db.execute("COMMIT")
            except BaseException:
                # A signal handler may raise behind the beginning and behind the end.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        with self._changed:
            self._changed.notify_all()
        return result

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Store all jobs, or none."""
        del flush
        window = round(self._params["dedup_window"] * 1000)
        return self._within(queue, lambda rows: rows.enqueue(jobs, window))

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Take what is due and ready."""
        del flush
        limits = self._params["crash_limit"], self._params["delivery_cap"]
        return self._within(queue, lambda rows: rows.take(request, self._owner, *limits))

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Do each step whose token holds its delivery."""
        del flush
        return self._within(queue, lambda rows: rows.settle(steps))

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until somebody wrote to the file, or ``timeout`` is over."""
        seen = self._seen()
        # What came between the last take and this would be missed otherwise.
        due = [self._within(queue, lambda rows: rows.next_due()) for queue in queues]
        self._sleep(seen, min([timeout, *(seconds for seconds in due if seconds is not None)]))

    def _sleep(self, seen: tuple[int, ...], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while self._seen() == seen and (left := deadline - time.monotonic()) > 0:
            with self._changed:
                self._changed.wait(min(left, _POLL))

    def _seen(self) -> tuple[int, ...]:
        """Numbers of which one changes when anybody writes to the file, or interrupts."""
        with self._lock:
            db = self._connection()
            version = int(_in_turn(db, "PRAGMA data_version").fetchone()[0])
            return version, db.total_changes, self._interrupts

    def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        """What is kept of jobs that are tracked."""
        return self._within(queue, lambda rows: rows.records(ids))

    def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        """Sleep until somebody wrote to the file, unless the job has ended already."""
        seen = self._seen()
        record = self.records(queue, [job_id])[0]
        if record is not None and not record.has_ended:
            self._sleep(seen, timeout)

    def health(self) -> Mapping[str, Any]:
        """How long a read takes."""
        began = time.perf_counter()
        self._seen()
        return {"latency": time.perf_counter() - began}

    def classify(self, error: BaseException) -> Fault | None:
        """What an error of SQLite means; a transaction that failed was rolled back."""
        if isinstance(error, sqlite3.ProgrammingError):
            return Fault.CLOSED
        if isinstance(error, sqlite3.OperationalError):
            return Fault.UNAVAILABLE
        return Fault.CORRUPT if isinstance(error, sqlite3.DatabaseError) else None

    def native(self, kind: type[N]) -> N | None:
        """The ``sqlite3.Connection``."""
        return self._db if isinstance(self._db, kind) else None

    def queues(self) -> Sequence[str]:
        """The queues of the namespace."""
        prefix = f"{self._params['namespace']}/"
        with self._lock:
            found = _in_turn(self._connection(), "SELECT DISTINCT queue FROM counters ORDER BY 1")
            names = [str(row["queue"]) for row in found]
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def stats(self, queue: str) -> QueueStats:
        """Counts by state."""
        return self._within(queue, lambda rows: rows.stats())

    def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state."""
        return self._within(queue, lambda rows: rows.peek(state, limit, offset))

    def purge(self, queue: str, state: State) -> int:
        """Drop all jobs in one state."""
        return self._within(queue, lambda rows: rows.purge(state))

    def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again."""
        return self._within(queue, lambda rows: rows.redrive(ids))

    def remove(self, queue: str, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        return self._within(queue, lambda rows: rows.remove(ids))


def _in_turn(db: sqlite3.Connection, statement: str) -> sqlite3.Cursor:
    """Execute what others may keep from the file for a moment.

    SQLite would ask more and more seldom and may find it taken each time; then leases run out.
    """
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            return db.execute(statement)
        except sqlite3.OperationalError as error:
            # What is above the last byte says more of the same error.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(_AGAIN)


class SqliteAdapter:
    """Opens connections to files."""

    scheme = "sqlite"
    parameters = COMMON_PARAMETERS

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return _PROMISES

    def backend(self, setup: Setup) -> SqliteBackend:
        """A connection for callers that block.

        Raises:
            InvalidUrl: If the URL names no file.
        """
        if setup.url.hosts or not setup.url.path.strip("/"):
            raise InvalidUrl("sqlite takes an absolute path: sqlite:///var/lib/app/jobs.db")
        return SqliteBackend(setup)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same connection for asyncio, each call in a thread."""
        return lift_threads(self.backend(setup))
