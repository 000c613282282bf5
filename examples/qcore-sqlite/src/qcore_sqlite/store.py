"""What happens to the rows, told the time. Every function runs inside one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from qcore.backend import (
    Enqueue,
    Enqueued,
    PeekedJob,
    QueueStats,
    Settle,
    Taken,
    TakenJob,
    TakeRequest,
    Verb,
)
from qcore.states import State

__all__ = ["Rows"]

_MOST_URGENT = 4
_FRONT = "(SELECT coalesce(min(place), 0) - 1 FROM jobs WHERE queue = :queue)"
_BACK = "(SELECT coalesce(max(place), 0) + 1 FROM jobs WHERE queue = :queue)"
_ORDER = {State.READY: "level, place", State.DELAYED: "due", State.HELD: "due", State.DEAD: "due"}


class Rows:
    """The rows of one queue within one transaction.

    Args:
        db: The connection, with a transaction under way.
        queue: Namespace and name.
        now: Unix milliseconds.
    """

    def __init__(self, db: sqlite3.Connection, queue: str, now: int) -> None:
        self._db = db
        self._queue = queue
        self._now = now

    def _run(self, sql: str, **values: Any) -> sqlite3.Cursor:
        return self._db.execute(sql, {"queue": self._queue, "now": self._now, **values})

    def _all(self, sql: str, **values: Any) -> list[sqlite3.Row]:
        return self._run(sql, **values).fetchall()

    def _count(self, field: str, amount: int) -> None:
        self._run("INSERT INTO counters (queue) VALUES (:queue) ON CONFLICT DO NOTHING")
        self._run(f"UPDATE counters SET {field} = {field} + :n WHERE queue = :queue", n=amount)

    def enqueue(self, jobs: Sequence[Enqueue], window_ms: int) -> list[Enqueued]:
        """Store the jobs that are not known yet."""
        self._run("DELETE FROM known WHERE queue = :queue AND until <= :now")
        outcomes = [self._enqueue(job, window_ms) for job in jobs]
        self._count("enqueued", sum(one.created for one in outcomes))
        return outcomes

    def _enqueue(self, job: Enqueue, window_ms: int) -> Enqueued:
        words = [f"id {job.id}"] if job.unique else []
        words += [f"dedup {job.dedup}"] if job.dedup is not None else []
        for word in words:
            found = self._all("SELECT id FROM known WHERE queue = :queue AND word = :w", w=word)
            if found:
                return Enqueued(found[0]["id"], created=False)
        for word in words:
            self._run(
                "INSERT INTO known VALUES (:queue, :w, :id, :now + :window)",
                w=word,
                id=job.id,
                window=window_ms,
            )
        due = self._now + job.delay_ms if job.at_ms is None else job.at_ms
        self._run(
            "INSERT INTO jobs (queue, id, envelope, level, place, state, due)"
            f" VALUES (:queue, :id, :envelope, :level, {_BACK}, :state, :due)",
            id=job.id,
            envelope=job.envelope,
            level=_MOST_URGENT - job.priority,
            state="delayed" if due > self._now else "ready",
            due=due,
        )
        return Enqueued(job.id)

    def take(self, request: TakeRequest, owner: str, crash_limit: int, delivery_cap: int) -> Taken:
        """Recover, promote, then lease what is ready, most urgent first."""
        self._recover(crash_limit, delivery_cap)
        self._promote()
        ready = self._all(
            "SELECT * FROM jobs WHERE queue = :queue AND state = 'ready'"
            " ORDER BY level, place LIMIT :limit",
            limit=request.limit + 1,
        )
        chosen = _together(ready[: request.limit])
        jobs = [self._lease(row, request, owner) for row in chosen]
        return Taken(jobs, more=len(ready) > len(chosen), next_due=self._next_due())

    def _recover(self, crash_limit: int, delivery_cap: int) -> None:
        expired = self._all(
            "SELECT row, crashes + started AS crashes, lost + 1 AS lost FROM jobs"
            " WHERE queue = :queue AND state = 'held' AND due <= :now ORDER BY due DESC"
        )
        for job in expired:
            self._run(
                "UPDATE jobs SET attempt = attempt + started, crashes = crashes + started,"
                f" lost = lost + 1, state = 'ready', token = NULL, place = {_FRONT}"
                " WHERE row = :row",
                row=job["row"],
            )
            if job["crashes"] >= crash_limit:
                self._bury(job["row"], f"its worker died {job['crashes']} times")
            elif job["lost"] >= delivery_cap:
                self._bury(job["row"], f"{job['lost']} deliveries were lost")

    def _promote(self) -> None:
        due = self._all(
            "SELECT row FROM jobs WHERE queue = :queue AND state = 'delayed' AND due <= :now"
            " ORDER BY due DESC, row DESC"
        )
        for job in due:
            self._run(
                f"UPDATE jobs SET state = 'ready', place = {_FRONT} WHERE row = :row",
                row=job["row"],
            )

    def _lease(self, job: sqlite3.Row, request: TakeRequest, owner: str) -> TakenJob:
        number, alone = job["number"] + 1, job["lost"] > 0
        token = f"{job['row']}|{number}|{owner}"
        self._run(
            "UPDATE jobs SET state = 'held', number = :number, token = :token,"
            " started = :started, due = :now + :lease WHERE row = :row",
            row=job["row"],
            number=number,
            token=token,
            started=int(request.started or alone),
            lease=request.lease_ms,
        )
        return TakenJob(
            token=token,
            id=job["id"],
            envelope=job["envelope"],
            number=number,
            attempt=job["attempt"],
            crashes=job["crashes"],
            alone=alone,
        )

    def _next_due(self) -> float | None:
        first = self._all(
            "SELECT min(due) AS due FROM jobs WHERE queue = :queue AND state IN ('held', 'delayed')"
        )[0]["due"]
        return None if first is None else max(0.0, (first - self._now) / 1000)

    def _bury(self, row: int, note: str) -> None:
        self._run(
            "UPDATE jobs SET state = 'dead', token = NULL, due = :now, note = :note"
            " WHERE row = :row",
            row=row,
            note=note,
        )

    def settle(self, steps: Sequence[Settle]) -> list[bool]:
        """Do each step whose token holds its delivery."""
        return [self._settle(step) for step in steps]

    def _settle(self, step: Settle) -> bool:
        held = self._all(
            "SELECT row FROM jobs WHERE queue = :queue AND token = :token AND due > :now",
            token=step.token,
        )
        if not held:
            return False
        row = held[0]["row"]
        if step.verb is Verb.ACK:
            self._run("DELETE FROM jobs WHERE row = :row", row=row)
            self._count("acked", 1)
        elif step.verb is Verb.DEAD_LETTER:
            self._bury(row, step.note)
        else:
            change = _CHANGES[step.verb]
            self._run(
                f"UPDATE jobs SET {change} WHERE row = :row",
                row=row,
                millis=step.millis,
                note=step.note,
            )
        return True

    def stats(self) -> QueueStats:
        """Counts by state, and what came and went."""
        states = self._all(
            "SELECT state, count(*) AS n FROM jobs WHERE queue = :queue GROUP BY state"
        )
        counters = self._all("SELECT enqueued, acked, dropped FROM counters WHERE queue = :queue")
        return QueueStats(
            **{row["state"]: row["n"] for row in states},
            **{name: row[name] for row in counters for name in row.keys()},  # noqa: SIM118
        )

    def peek(self, state: State, limit: int, offset: int) -> list[PeekedJob]:
        """Jobs in one state, next one first."""
        rows = self._all(
            "SELECT * FROM jobs WHERE queue = :queue AND state = :state"
            f" ORDER BY {_ORDER[state]}, row LIMIT :limit OFFSET :offset",
            state=state.value,
            limit=limit,
            offset=offset,
        )
        timed = state in (State.DELAYED, State.HELD)
        return [
            PeekedJob(
                id=row["id"],
                state=state,
                stored=row["envelope"],
                due_in=max(0.0, (row["due"] - self._now) / 1000) if timed else None,
                number=row["number"],
                attempt=row["attempt"],
                crashes=row["crashes"],
                note=row["note"],
            )
            for row in rows
        ]

    def purge(self, state: State) -> int:
        """Drop all jobs in one state."""
        return self._drop(
            self._all(
                "SELECT row FROM jobs WHERE queue = :queue AND state = :state", state=state.value
            )
        )

    def redrive(self, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again, behind those that wait."""
        rows = self._dead(ids)
        for row in rows:
            self._run(
                "UPDATE jobs SET state = 'ready', attempt = 1, crashes = 0, lost = 0,"
                f" place = {_BACK} WHERE row = :row",
                row=row["row"],
            )
        return len(rows)

    def remove(self, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        return self._drop(self._dead(ids))

    def _dead(self, ids: Sequence[str] | None) -> list[sqlite3.Row]:
        rows = self._all(
            "SELECT row, id FROM jobs WHERE queue = :queue AND state = 'dead' ORDER BY due, row"
        )
        return [row for row in rows if ids is None or row["id"] in ids]

    def _drop(self, rows: Iterable[sqlite3.Row]) -> int:
        doomed = [(row["row"],) for row in rows]
        self._db.executemany("DELETE FROM jobs WHERE row = ?", doomed)
        self._count("dropped", len(doomed))
        return len(doomed)


_CHANGES = {
    Verb.RELEASE: f"state = 'ready', token = NULL, place = {_FRONT}",
    Verb.RETRY: "state = 'delayed', token = NULL, attempt = attempt + 1,"
    " due = :now + :millis, note = :note",
    Verb.EXTEND: "due = :now + :millis",
    Verb.START: "started = 1",
}


def _together(rows: Sequence[sqlite3.Row]) -> Sequence[sqlite3.Row]:
    """What may go out together: a job that was in dying hands goes alone."""
    for at, row in enumerate(rows):
        if row["lost"]:
            return rows[: max(1, at)]
    return rows
