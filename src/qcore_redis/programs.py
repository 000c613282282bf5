"""The operations of the list and streams adapters, written once for both colours.

A program yields words (a command with its arguments) and is sent the bare reply; an error of the
command is thrown into it. A timeout is the port's ``SocketLost``. What differs between the two
adapters is which store their scripts are assembled with, and how they wait.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from qcore.backend import (
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    GateLimits,
    JoinTerms,
    PeekedJob,
    QueueStats,
    Settle,
    Setup,
    Taken,
    TakenJob,
    TakeRequest,
    Verb,
)
from qcore.record import Record
from qcore.sansio import Program
from qcore.states import State
from qcore_redis.faults import NotSent, Refused, SocketLost, fault_of
from qcore_redis.keys import LEVELS, QueueKeys, channel, meta_pattern, queue_of_meta
from qcore_redis.outbox import effect_steps, numbered_rows, parcels
from qcore_redis.ports.settings import LONGEST_BLOCK, database_of
from qcore_redis.records import read_record
from qcore_redis.scripts import Script, load

__all__ = ["StoredPrograms", "Words", "evaluate", "own_keys"]

Words = tuple[Any, ...]

_ANSWER_KEPT_MS = 60_000
_PAGE = 1000
_MOST_CLAIMS = 20
"""How often a job is looked for that goes from hand to hand meanwhile."""
_OVERTIME = 0.25
_LONGEST_SLEEP = 1.75
"""Seconds that the server may let a sleeper of the list adapter wait."""
_ALIVE_MS = 2000
"""Milliseconds that such a sleeper counts as alive at least: what is handed to one that is gone is
found when it no longer does, and it must not be handed anything later."""


def evaluate(script: Script, keys: Sequence[str], args: Sequence[Any]) -> Program[Words, Any]:
    """Run a script by its hash, sending its text when the server has forgotten it."""
    try:
        return (yield ("EVALSHA", script.sha, len(keys), *keys, *args))
    except Refused as error:
        if not str(error).startswith("NOSCRIPT"):
            raise
    return (yield ("EVAL", script.text, len(keys), *keys, *args))


def own_keys(keys: QueueKeys, job: Enqueue, *, brought: bool = False) -> tuple[str, list[str]]:
    """The keys of a job's own, each with a letter, as the script that enqueues wants them."""
    kinds, names = "", list[str]()
    if job.unique or brought:
        kinds, names = "i" if job.unique else "b", [keys.unique("id", job.id)]
    if job.dedup is not None:
        kinds, names = f"{kinds}d", [*names, keys.unique("dedup", job.dedup)]
    if job.join is not None:
        kinds, names = f"{kinds}j", [*names, keys.unique("join", job.id)]
    return kinds, names


class StoredPrograms:
    """The programs of one connection to queues that store.

    Args:
        setup: What the URL said.
        store: ``list`` or ``stream``.
    """

    def __init__(self, setup: Setup, store: str) -> None:
        self._store = store
        self._owner = setup.owner
        self._namespace = str(setup.params["namespace"])
        self._database = database_of(setup)
        self._limits = (setup.params["crash_limit"], setup.params["delivery_cap"])
        self._window_ms = max(1, round(setup.params["dedup_window"] * 1000))
        self.patience = float(setup.params["patience"])
        self._kept_ms = max(_ANSWER_KEPT_MS, round(self.patience * 4000))
        self.has_blmove = True
        self._bound: dict[tuple[str, str], list[str]] = {}
        self._queues: dict[str, QueueKeys] = {}
        self._paused: set[str] = set()
        self._brought = itertools.count(1)

    def keys(self, queue: str) -> QueueKeys:
        """The keys of a queue."""
        found = self._queues.get(queue)
        if found is None:
            found = self._queues[queue] = QueueKeys(
                self._namespace, queue, self._owner, self._store
            )
        return found

    def _call(
        self, name: str, queue: str, args: Sequence[Any], flush: Flush | None = None
    ) -> Program[Words, Any]:
        return evaluate(load(name, self._store), self._declared(name, queue, flush), args)

    def _declared(self, name: str, queue: str, flush: Flush | None) -> list[str]:
        """The declared keys of a script; only the first depends on the flush."""
        bound = self._bound.get((name, queue))
        if bound is None:
            bound = load(name, self._store).keys(self.keys(queue))
            self._bound[name, queue] = bound
        return bound if flush is None else [self.keys(queue).flush(flush.lane), *bound[1:]]

    def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Program[Words, list[Enqueued]]:
        """Store jobs in one script call."""
        return (yield from self._stored(queue, jobs, flush))

    def _stored(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush, *, brought: bool = False
    ) -> Program[Words, list[Enqueued]]:
        script = load("enqueue", self._store)
        keys = self._declared("enqueue", queue, flush)
        unique: list[str] = []
        # Nobody repeats under its number what is brought, so its answer is not kept.
        args: list[Any] = [flush.number, 0 if brought else self._kept_ms, self._window_ms]
        for job in jobs:
            kinds, names = own_keys(self.keys(queue), job, brought=brought)
            unique += names
            at = "" if job.at_ms is None else job.at_ms
            options = kinds + _options(job)
            args += (job.id, _level(job.priority), job.delay_ms, at, options, job.envelope)
        reply = yield from evaluate(script, [*keys, *unique], args)
        flags, known = reply[0], iter(reply[1:])
        return [
            Enqueued(job.id) if flag == _CREATED else Enqueued(next(known).decode(), created=False)
            for job, flag in zip(jobs, flags, strict=True)
        ]

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Program[Words, Taken]:
        """Take jobs in one script call.

        Another two where a connection died while it waited, or was given a job that goes before
        all that could be taken, and has not woken yet.
        """
        args = (
            self._owner,
            flush.number,
            self._kept_ms,
            request.limit,
            request.lease_ms,
            max(request.lease_ms, _ALIVE_MS),
            int(request.started),
            *self._limits,
        )
        reply = yield from self._call("take", queue, (*args, 1), flush)
        rows = _rows_of(reply)
        if reply[2]:
            asleep = reply[4:5] == [1]
            owners = [owner.decode() for owner in reply[2]]
            swept = yield from self.sweep(queue, owners, "given_up" if asleep else "dead")
            if asleep or (swept and not reply[3]):
                reply = yield from self._call("take", queue, (*args, 0), flush)
                rows += _rows_of(reply)
        if rows:
            yield from self._bring(queue, rows)
        self._note_pause(queue, paused=reply[1] == _PAUSED)
        return _taken(reply)

    def _note_pause(self, queue: str, *, paused: bool) -> None:
        (self._paused.add if paused else self._paused.discard)(queue)

    def sweep(self, queue: str, owners: Sequence[str], whose: str = "dead") -> Program[Words, int]:
        """Give back what lies in the processing lists of these connections."""
        keys = self._declared("sweep", queue, None)
        claims = [self.keys(queue).claim_of(owner) for owner in owners]
        script = load("sweep", self._store)
        reply: int = yield from evaluate(script, [*keys, *claims], (whose, *owners))
        return reply

    def settle(
        self, queue: str, steps: Sequence[Settle], flush: Flush
    ) -> Program[Words, list[bool]]:
        """Do each step in one script call."""
        args: list[Any] = [flush.number, self._kept_ms]
        for step in steps:
            said = step.result if step.verb is Verb.ACK else step.note
            args += (step.token, step.verb.value, step.millis, said)
            if step.further or step.told:
                args += effect_steps(step, self._channel)
        reply = yield from self._call("settle", queue, args, flush)
        flags, _, first = reply.partition(b" ")
        held = [flag == _DONE for flag in flags]
        if first:
            yield from self._bring(queue, numbered_rows(steps, held, int(first)))
        return held

    def _channel(self, topic: str) -> str:
        return channel(self._namespace, topic, self._database)

    def _bring(self, queue: str, rows: Sequence[bytes]) -> Program[Words, None]:
        """Bring what acks of a queue enqueued to where it belongs.

        What cannot be brought now stays in the outbox, for whoever takes from the queue later. What
        is brought twice is known by its id.
        """
        waiting = parcels(rows)
        while waiting:
            target, jobs, theirs = waiting.pop(0)
            try:
                flush = Flush("further", next(self._brought))
                yield from self._stored(target, jobs, flush, brought=True)
                yield ("ZREM", self.keys(queue).one("outbox"), *theirs)
            except Refused as error:
                if fault_of(error) is Fault.CORRUPT and len(jobs) > 1:
                    # Perhaps it is what one of them touches; the others need not wait for that.
                    alone = zip(jobs, theirs, strict=True)
                    waiting = [*((target, [job], [row]) for job, row in alone), *waiting]
            except (NotSent, SocketLost):
                break

    def wait_words(self, queue: str, timeout: float, *, longer: bool = True) -> Words:
        """The command that sleeps until there may be work; taking nothing for good.

        Args:
            queue: Where the work is awaited.
            timeout: Seconds to sleep.
            longer: Whether the server may go on for a while, since it will be told to stop in
                time. By itself it ends up to 0.1 seconds late.
        """
        keys = self.keys(queue)
        block = max(timeout, 0.001) + (_OVERTIME if longer else 0)
        if queue in self._paused:
            # Whoever comes through the gate leaves it open for the next.
            gate = keys.one("gate")
            return self._move_words(gate, gate, block)
        if self._store != "list":
            return ("BZPOPMIN", keys.one("bell"), round(min(block, LONGEST_BLOCK), 3))
        normal = keys.each_level("ready")[LEVELS.index(0)]
        return self._move_words(normal, keys.one("claim"), block)

    def _move_words(self, source: str, target: str, block: float) -> Words:
        block = round(min(block, _LONGEST_SLEEP), 3)
        if self.has_blmove:
            return ("BLMOVE", source, target, "RIGHT", "LEFT", block)
        return ("BRPOPLPUSH", source, target, max(1, int(block)))

    def give_up(self, queue: str) -> Program[Words, Any]:
        """Undo a wait whose signal may have come: nobody of this connection will look."""
        if self._store != "list":
            return self._call("bell", queue, ())
        return self.sweep(queue, [self._owner], "given_up")

    def leave(self, queue: str, lanes: Sequence[str]) -> Program[Words, None]:
        """Remove what this connection keeps of its own in a queue."""
        if self._store == "list":
            yield from self.sweep(queue, [self._owner], "left")
        if lanes:
            yield ("DEL", *(self.keys(queue).flush(lane) for lane in lanes))

    def queues(self) -> Program[Words, list[str]]:
        """The queues of the namespace, found by their counters."""
        names: set[str] = set()
        cursor: Any = b"0"
        while True:
            cursor, found = yield (
                "SCAN",
                cursor,
                "MATCH",
                meta_pattern(self._namespace, self._store),
                "COUNT",
                _PAGE,
            )
            names.update(queue_of_meta(key.decode()) for key in found)
            if cursor in (b"0", 0):
                return sorted(names)

    def stats(self, queue: str) -> Program[Words, QueueStats]:
        """Counts by state, in one step."""
        reply = yield from self._call("stats", queue, ())
        ready, delayed, held, dead, enqueued, acked, dropped, paused, outbox = reply
        return QueueStats(
            ready, delayed, held, dead, enqueued, acked, dropped, bool(paused), outbox=outbox
        )

    def cancel(self, queue: str, job_id: str) -> Program[Words, State | None]:
        """Drop one job; says in which state it was. It is looked for in steps."""
        script, where = load("cancel", self._store), b""
        claims: list[str] = []
        for _ in range(_MOST_CLAIMS):
            keys = [*self._declared("cancel", queue, None), *claims]
            said = b"more"
            while said == b"more":
                said, where = yield from evaluate(script, keys, (job_id, where))
            if said != b"claimed":
                return State(said.decode()) if said else None
            # A sleeper was just given it, and takes it soon unless it is dead.
            owners = yield ("ZRANGE", self.keys(queue).one("waiters"), 0, -1)
            claims = [self.keys(queue).claim_of(owner.decode()) for owner in owners]
        return None

    def reschedule(
        self, queue: str, job_id: str, delay_ms: int, at_ms: int | None
    ) -> Program[Words, bool]:
        """Make a delayed job due at another time. It is looked for in steps."""
        said, where = b"more", b""
        while said == b"more":
            args = (job_id, where, delay_ms, "" if at_ms is None else at_ms)
            said, where = yield from self._call("reschedule", queue, args)
        return said != b""

    def records(self, queue: str, ids: Sequence[str]) -> Program[Words, list[Record | None]]:
        """What is kept of jobs."""
        reply = yield from self._call("record", queue, ids)
        return [read_record(job_id, *reply[2 * at : 2 * at + 2]) for at, job_id in enumerate(ids)]

    def listen_words(self, queue: str) -> Words:
        """The command that makes a connection hear of the ends of tracked jobs."""
        return ("SUBSCRIBE", self.keys(queue).one("records"))

    def pause(self, queue: str, *, on: bool) -> Program[Words, None]:
        """Pause a queue, or let it go on."""
        yield from self._call("pause", queue, ("pause" if on else "resume",))

    def peek(
        self, queue: str, state: State, limit: int, offset: int
    ) -> Program[Words, list[PeekedJob]]:
        """Jobs in one state."""
        reply = yield from self._call("peek", queue, (state.value, limit, offset))
        return [_peeked(state, reply[at : at + 5]) for at in range(0, len(reply), 5)]

    def purge(self, queue: str, state: State) -> Program[Words, int]:
        """Drop the jobs of one state in steps; those that come meanwhile may stay."""
        stats: QueueStats = yield from self.stats(queue)
        rest, dropped = int(getattr(stats, state.value)), 0
        while rest > 0:
            now = yield from self._call("purge", queue, (state.value, min(rest, _PAGE)))
            if not now:
                break
            dropped += now
            rest -= now
        return dropped

    def move(self, queue: str, to: str, state: State, limit: int | None) -> Program[Words, int]:
        """Bring jobs to another queue in steps; those that come meanwhile may stay."""
        stats: QueueStats = yield from self.stats(queue)
        rest, moved, stayed = int(getattr(stats, state.value)), 0, 0
        most = rest if limit is None else limit
        while rest > 0 and moved < most:
            want = min(rest, most - moved, _PAGE)
            ids = yield from self._call("peek", queue, (state.value, want, stayed, "ids"))
            if not ids:
                break
            rest -= len(ids)
            now, left = yield from self._move_these(queue, to, ids, (state.value, stayed))
            moved, stayed = moved + now, stayed + left
        return moved

    def _move_these(
        self, queue: str, to: str, ids: Sequence[bytes], where: Words
    ) -> Program[Words, tuple[int, int]]:
        """Bring jobs to another queue, in one step; how many, and how many of them stayed."""
        script, lines = load("move", self._store), (queue, to)
        names = [one.decode(errors="replace") for one in ids]
        keys = [key for line in lines for key in self._declared("move", line, None)]
        keys += [self.keys(line).unique("id", name) for line in lines for name in names]
        moved, stayed = yield from evaluate(script, keys, (*where, *ids))
        return moved, stayed

    def redrive(self, queue: str, ids: Sequence[str] | None) -> Program[Words, int]:
        """Make dead jobs ready again, in steps."""
        moved = 0
        while True:
            args = ("redrive", _PAGE, *(ids or ()))
            now = 0 if ids == [] else (yield from self._call("exhume", queue, args))
            moved += now
            if ids is not None or not now:
                return moved

    def remove(self, queue: str, ids: Sequence[str]) -> Program[Words, int]:
        """Drop the named dead jobs."""
        if not ids:
            return 0
        reply: int = yield from self._call("exhume", queue, ("remove", len(ids), *ids))
        return reply


_CREATED, _DONE = ord("1"), ord("1")
_PAUSED = -2


def _level(priority: int) -> int:
    return LEVELS.index(priority) + 1


def _options(job: Enqueue) -> str:
    """What not every job has, as ``;name=value`` each."""
    said = {
        "ttl": job.ttl_ms,
        "tenant": job.tenant,
        "front": 1 if job.front else None,
        "gate": None if job.gate is None else _gate(job.gate),
        "keep": None if job.keep_ms is None else ",".join(map(str, job.keep_ms)),
        "join": None if job.join is None else _join(job.join),
    }
    return "".join(f";{name}={value}" for name, value in said.items() if value is not None)


def _gate(gate: GateLimits) -> str:
    return f"{gate.key},{gate.concurrency or 0},{gate.rate or 0},{gate.window_ms}"


def _join(terms: JoinTerms) -> str:
    return f"{terms.of},{terms.within_ms},{terms.member}"


def _rows_of(reply: Sequence[Any]) -> list[bytes]:
    """What a take hands out to be brought elsewhere."""
    return [row for rows in reply[5:6] for row in rows]


def _taken(reply: Any) -> Taken:
    more, due, _, flat, *_ = reply
    jobs = [
        _taken_job(flat[at].decode(), flat[at + 1].decode(), flat[at + 2])
        for at in range(0, len(flat), 3)
    ]
    return Taken(jobs, bool(more), None if due < 0 else due / 1000)


def _taken_job(token: str, job_id: str, envelope: bytes) -> TakenJob:
    _, _, number, attempt, crashes, lost, _, _ = token.rsplit("|", 7)
    return TakenJob(
        token=token,
        id=job_id,
        envelope=envelope,
        number=int(number),
        attempt=int(attempt),
        crashes=int(crashes),
        alone=re.split("[~^]", lost, maxsplit=1)[0] != "0",
    )


def _peeked(state: State, row: Sequence[Any]) -> PeekedJob:
    job_id, element, due, body, note = row
    counts = element.decode().rsplit("|", 5)[2:] if element else ["0", "1", "0", "0"]
    return PeekedJob(
        id=job_id.decode(errors="replace"),
        state=state,
        stored=body,
        due_in=None if due < 0 else due / 1000,
        number=int(counts[0]),
        attempt=int(counts[1]),
        crashes=int(counts[2]),
        note=note.decode(errors="replace"),
    )
