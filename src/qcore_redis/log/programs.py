"""The operations of a log, written once for both colours; what is not here is as for other queues.

A line is a queue as one of its groups sees it: the queue's name alone, or with a group behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcore.backend import (
    Enqueue,
    Enqueued,
    Flush,
    LoggedJob,
    QueueStats,
    Setup,
    Span,
    Start,
)
from qcore.sansio import Program
from qcore_redis.faults import Refused
from qcore_redis.log.keys import LogKeys, parted
from qcore_redis.programs import StoredPrograms, Words, evaluate, own_keys
from qcore_redis.scripts import load

__all__ = ["LogPrograms"]

_CREATED = ord("1")
_UNNAMED = b"?"


class LogPrograms(StoredPrograms):
    """The programs of one connection to logs.

    Args:
        setup: What the URL said.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup, "log")
        params = setup.params
        self._retention = (
            round(params["retention"] * 1000),
            params["retention_count"],
            int(params["lossy"]),
        )
        self._named: dict[str, list[str]] = {}

    def keys(self, queue: str) -> LogKeys:
        """The keys of a line."""
        found = self._queues.get(queue)
        if not isinstance(found, LogKeys):
            name, group = parted(queue)
            found = LogKeys(self._namespace, name, self._owner, self._store, group)
            self._queues[queue] = found
        return found

    def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Program[Words, list[Enqueued]]:
        """Append jobs in one script call; another if groups began that were not known here."""
        while True:
            named = self._named.get(queue, [])
            reply = yield from self._append(queue, jobs, flush, named)
            if reply[0] != _UNNAMED:
                break
            self._named[queue] = sorted({*named, *(name.decode() for name in reply[1:])})
        flags, known = reply[0], iter(reply[1:])
        return [
            Enqueued(job.id) if flag == _CREATED else Enqueued(next(known).decode(), created=False)
            for job, flag in zip(jobs, flags, strict=True)
        ]

    def _append(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush, named: Sequence[str]
    ) -> Program[Words, Any]:
        own = self.keys(queue)
        keys = self._declared("log/append", queue, flush)
        bells = [self.keys(f"{own.queue}/{group}").one("bell") for group in named]
        unique: list[str] = []
        args: list[Any] = [flush.number, self._kept_ms, self._window_ms, *self._retention]
        args += (len(named), *named)
        for job in jobs:
            kinds, names = own_keys(own, job)
            unique += names
            args += (job.id, kinds, job.envelope)
        script = load("log/append", self._store)
        return (yield from evaluate(script, [*keys, *bells, *unique], args))

    def stats(self, queue: str) -> Program[Words, QueueStats]:
        """Counts by state, in one step."""
        reply = yield from self._call("log/stats", queue, ())
        ready, delayed, held, dead, enqueued, acked, dropped, paused, age = reply
        oldest = None if age < 0 else age / 1000
        return QueueStats(
            ready, delayed, held, dead, enqueued, acked, dropped, bool(paused), oldest
        )

    def begin(self, line: str, start: Start) -> Program[Words, bool]:
        """Make a group, unless there is one."""
        return self._begin("begin", line, start)

    def rewind(self, line: str, start: Start) -> Program[Words, bool]:
        """Let a group begin anew."""
        return self._begin("rewind", line, start)

    def _begin(self, verb: str, line: str, start: Start) -> Program[Words, bool]:
        args = (verb, self.keys(line).group, *_bound(start))
        reply = yield from self._call("log/begin", line, args)
        return bool(reply)

    def end(self, line: str) -> Program[Words, None]:
        """Remove a group."""
        yield from self._call("log/end", line, (self.keys(line).group,))

    def groups(self, queue: str) -> Program[Words, list[str]]:
        """The names of the groups."""
        try:
            rows = yield ("XINFO", "GROUPS", self.keys(queue).one("entries"))
        except Refused as error:
            if "no such key" not in str(error):
                raise
            return []
        return sorted(_named(row) for row in rows)

    def read(self, queue: str, span: Span) -> Program[Words, list[LoggedJob] | None]:
        """Entries in order."""
        args = (
            *_bound(span.start),
            *_bound(span.end),
            span.after,
            span.limit,
            int(span.newest_first),
        )
        reply = yield from self._call("log/read", queue, args)
        if not reply[0]:
            return None
        return [
            LoggedJob(reply[at].decode(errors="replace"), reply[at + 2], int(reply[at + 1]) / 1000)
            for at in range(1, len(reply), 3)
        ]

    def find(self, queue: str, job_id: str) -> Program[Words, LoggedJob | None]:
        """The entry of a job."""
        itself = Start("id", id=job_id)
        found = yield from self.read(queue, Span(itself, itself, limit=1))
        return found[0] if found else None


def _bound(start: Start) -> tuple[str, str, int]:
    return start.kind, start.id, start.millis


def _named(row: Sequence[bytes]) -> str:
    """The name in what XINFO says of a group."""
    return row[row.index(b"name") + 1].decode()
