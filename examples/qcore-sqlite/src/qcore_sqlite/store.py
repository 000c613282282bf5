"""What happens to the rows, told the time. Every function runs inside one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
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
from qcore.record import Record, Try
from qcore.states import TRANSITIONS, Event, State

__all__ = ["Rows"]

_MOST_URGENT = 4
_FOR_EVER = 1 << 60
_ENDS = ("done", "dead", "dropped")
_FRONT = "(SELECT coalesce(min(place), 0) - 1 FROM jobs WHERE queue = :queue)"
_BACK = "(SELECT coalesce(max(place), 0) + 1 FROM jobs WHERE queue = :queue)"
_LOST = "attempt = attempt + started, crashes = crashes + started, lost = lost + 1"
_TURN = "level, place, due, row"

_HELD = "state = 'held' AND token = :token AND due > :now"
_EXPIRED = "state = 'held' AND due <= :now"
_OPEN = "state IN ('ready', 'delayed', 'held') AND until > :now"
_DEAD = "state = 'dead' AND (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))"

_NEXT = {event: state for (_, event), state in TRANSITIONS.items()}
_CHANGES = {
    Event.TAKE: "number = number + 1, token = row || '|' || (number + 1) || '|' || :owner,"
    " worker = :owner, started = :started OR lost > 0, taken = max(changed, :now),"
    " due = :now + :lease",
    Event.ACK: "envelope = x'', result = :result, note = ''",
    Event.RELEASE: f"place = {_FRONT}",
    Event.RETRY: "attempt = attempt + 1, due = :now + :millis, note = :note",
    Event.DEAD_LETTER: "due = :now, note = :note",
    Event.EXPIRE: f"{_LOST}, place = {_FRONT}",
    Event.EXHAUST: f"{_LOST}, due = :now, note = :note",
    Event.DUE: f"place = {_FRONT}",
    Event.REDRIVE: f"attempt = 1, crashes = 0, lost = 0, place = {_BACK}",
    Event.PURGE: "envelope = x''",
}
_IN_HAND = {
    Verb.EXTEND: "due = :now + :millis",
    Verb.START: "started = 1",
    Verb.REPORT: "report = :note",
}

# A delivery that ends is one of the last five tries. A record whose time is over stays over.
_NOTED = f"""
    state = :state,
    changed = max(changed, :now),
    tries = CASE state WHEN 'held' THEN json_remove(json_insert(tries, '$[#]', json_array(
        number, attempt, taken / 1000.0, max(changed, :now) / 1000.0, :event, :note)), '$[#-6]')
        ELSE tries END,
    until = CASE WHEN until <= :now THEN until ELSE coalesce(
        :now + nullif(json_extract(keep, '$.' || :state), -1), {_FOR_EVER}) END
"""
_RECORD = """
    id, state, number, attempt, crashes, worker, note, tries,
    result AS stored_result, report AS stored_report,
    enqueued / 1000.0 AS enqueued_at, changed / 1000.0 AS changed_at, taken / 1000.0 AS taken_at,
    CASE state WHEN 'delayed' THEN due / 1000.0 END AS due_at,
    CASE WHEN state IN ('done', 'dead', 'dropped') THEN changed / 1000.0 END AS ended_at
"""


@dataclass
class Rows:
    """The rows of one queue within one transaction.

    Args:
        db: The connection, with a transaction under way.
        queue: Namespace and name.
        now: Unix milliseconds.
    """

    db: sqlite3.Connection
    queue: str
    now: int

    def _run(self, sql: str, **values: Any) -> sqlite3.Cursor:
        return self.db.execute(sql, {"queue": self.queue, "now": self.now, **values})

    def _jobs(self, columns: str, which: str, **values: Any) -> list[sqlite3.Row]:
        """What the rows say for which a condition holds."""
        sql = f"SELECT {columns} FROM jobs WHERE queue = :queue AND {which}"
        return self._run(sql, **values).fetchall()

    def _count(self, name: str, amount: int) -> None:
        sql = "INSERT INTO counters VALUES (:queue, :name, :n) ON CONFLICT DO UPDATE SET n = n + :n"
        self._run(sql, name=name, n=amount)

    def _meet(self, event: Event, which: str, **values: Any) -> int:
        """Let the jobs for which a condition holds meet an event. Says how many there are."""
        sql = f"UPDATE jobs SET {_CHANGES[event]}, {_NOTED} WHERE queue = :queue AND {which}"
        facts = {"event": event.value, "state": _NEXT[event].value, "note": "", **values}
        return self._run(sql, **facts).rowcount

    def forget(self) -> None:
        """Delete what has ended and has no record, or none any longer."""
        over = "state IN ('done', 'dropped') AND until <= :now"
        self._run(f"DELETE FROM jobs WHERE queue = :queue AND {over}")

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
            sql = "SELECT id FROM known WHERE queue = :queue AND word = :word"
            for row in self._run(sql, word=word):
                return Enqueued(row["id"], created=False)
        if job.unique and self._jobs("id", f"id = :id AND {_OPEN}", id=job.id):
            return Enqueued(job.id, created=False)
        known = [(self.queue, word, job.id, self.now + window_ms) for word in words]
        self.db.executemany("INSERT INTO known VALUES (?, ?, ?, ?)", known)
        self._store(job)
        return Enqueued(job.id)

    def _store(self, job: Enqueue) -> None:
        # What is kept of an earlier job of this id makes way.
        self._run("UPDATE jobs SET until = 0 WHERE queue = :queue AND id = :id", id=job.id)
        due = self.now + job.delay_ms if job.at_ms is None else job.at_ms
        self._run(
            "INSERT INTO jobs (queue, id, envelope, level, place, state, due, enqueued, changed,"
            f" keep, until) VALUES (:queue, :id, :envelope, :level, {_BACK}, :state, :due, :now,"
            " :now, :keep, :until)",
            id=job.id,
            envelope=job.envelope,
            level=_MOST_URGENT - job.priority,
            state="delayed" if due > self.now else "ready",
            due=due,
            keep=json.dumps(dict(zip(_ENDS, job.keep_ms or (), strict=False))),
            until=0 if job.keep_ms is None else _FOR_EVER,
        )

    def take(self, request: TakeRequest, owner: str, crash_limit: int, delivery_cap: int) -> Taken:
        """Recover, promote, then lease what is ready, most urgent first."""
        self._recover(crash_limit, delivery_cap)
        self._meet(Event.DUE, "state = 'delayed' AND due <= :now")
        which = f"state = 'ready' ORDER BY {_TURN} LIMIT :limit"
        ready = self._jobs("row, lost", which, limit=request.limit + 1)
        chosen = _together(ready[: request.limit])
        jobs = [self._lease(job["row"], request, owner) for job in chosen]
        return Taken(jobs, more=len(ready) > len(chosen), next_due=self.next_due())

    def _recover(self, crash_limit: int, delivery_cap: int) -> None:
        for row, crashes, lost in self._jobs("row, crashes + started, lost + 1", _EXPIRED):
            if crashes >= crash_limit:
                note = f"its worker died {crashes} times"
                self._meet(Event.EXHAUST, "row = :row", row=row, note=note)
            elif lost >= delivery_cap:
                note = f"{lost} deliveries were lost"
                self._meet(Event.EXHAUST, "row = :row", row=row, note=note)
        self._meet(Event.EXPIRE, _EXPIRED)

    def _lease(self, row: int, request: TakeRequest, owner: str) -> TakenJob:
        terms = {"lease": request.lease_ms, "started": request.started}
        self._meet(Event.TAKE, "row = :row", row=row, owner=owner, **terms)
        columns = "token, id, envelope, number, attempt, crashes, lost > 0 AS alone"
        (taken,) = self._jobs(columns, "row = :row", row=row)
        return TakenJob(**taken)

    def next_due(self) -> float | None:
        """Seconds until a take has something to do; ``None`` if it never will."""
        if self._jobs("row", "state = 'ready' LIMIT 1"):
            return 0.0
        ((first,),) = self._jobs("min(due)", "state IN ('held', 'delayed')")
        return None if first is None else max(0.0, (first - self.now) / 1000)

    def settle(self, steps: Sequence[Settle]) -> list[bool]:
        """Do each step whose token holds its delivery."""
        return [self._settle(step) for step in steps]

    def _settle(self, step: Settle) -> bool:
        facts = {"token": step.token, "note": step.note, "millis": step.millis}
        if step.verb in _IN_HAND:
            sql = f"UPDATE jobs SET {_IN_HAND[step.verb]} WHERE queue = :queue AND {_HELD}"
            return self._run(sql, **facts).rowcount > 0
        is_held = self._meet(Event(step.verb), _HELD, result=step.result, **facts) > 0
        if is_held and step.verb is Verb.ACK:
            self._count("acked", 1)
        return is_held

    def stats(self) -> QueueStats:
        """Counts by state, and what came and went."""
        rows = self._run(
            "SELECT state, count(*) FROM jobs WHERE queue = :queue"
            " AND state NOT IN ('done', 'dropped') GROUP BY state"
            " UNION ALL SELECT name, n FROM counters WHERE queue = :queue"
        )
        return QueueStats(**{row[0]: row[1] for row in rows})

    def peek(self, state: State, limit: int, offset: int) -> list[PeekedJob]:
        """Jobs in one state, next one first."""
        order = _TURN if state is State.READY else "due, row"
        rows = self._jobs(
            "id, envelope AS stored, number, attempt, crashes, note, CASE"
            " WHEN state IN ('delayed', 'held') THEN max(0, due - :now) / 1000.0 END AS due_in",
            f"state = :state ORDER BY {order} LIMIT :limit OFFSET :offset",
            state=state.value,
            limit=limit,
            offset=offset,
        )
        return [PeekedJob(state=state, **row) for row in rows]

    def purge(self, state: State) -> int:
        """Drop all jobs in one state."""
        return self._drop("state = :old", old=state.value)

    def redrive(self, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again, behind those that wait."""
        return self._meet(Event.REDRIVE, _DEAD, ids=None if ids is None else json.dumps(ids))

    def remove(self, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        return self._drop(_DEAD, ids=json.dumps(ids))

    def _drop(self, which: str, **values: str) -> int:
        dropped = self._meet(Event.PURGE, which, **values)
        self._count("dropped", dropped)
        return dropped

    def records(self, ids: Sequence[str]) -> list[Record | None]:
        """What is kept of these jobs; ``None`` for each of which nothing is."""
        which = "until > :now AND id IN (SELECT value FROM json_each(:ids))"
        rows = self._jobs(_RECORD, which, ids=json.dumps(ids))
        found = {row["id"]: _record(**row) for row in rows}
        return [found.get(job_id) for job_id in ids]


def _record(state: str, tries: str, **facts: Any) -> Record:
    return Record(state=State(state), tries=[Try(*one) for one in json.loads(tries)], **facts)


def _together(rows: Sequence[sqlite3.Row]) -> Sequence[sqlite3.Row]:
    """What may go out together: a job that was in dying hands goes alone."""
    for at, row in enumerate(rows):
        if row["lost"]:
            return rows[: max(1, at)]
    return rows
