"""The list and streams adapters for callers that block: programs run over a port."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from qcore.backend import (
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    PeekedJob,
    QueueStats,
    Settle,
    Taken,
    TakeRequest,
)
from qcore.capabilities import Capabilities
from qcore.record import Record
from qcore.sansio import Program, run
from qcore.states import State
from qcore_redis.faults import NotSent, Refused, SocketLost, fault_of, is_full
from qcore_redis.plain import storing
from qcore_redis.ports.listening import Listener
from qcore_redis.ports.sync import SyncPort
from qcore_redis.probe import judged, probing, scripting, weakest
from qcore_redis.programs import StoredPrograms, Words
from qcore_redis.records import is_told

__all__ = ["ENDED_WITHIN", "FULL_POLL", "PROBED", "UNHEARD_POLL", "StoredBackend", "Used"]

N = TypeVar("N")
T = TypeVar("T")

FULL_POLL = 0.1
"""Seconds between looks while a full server refuses to let us sleep on it."""

UNHEARD_POLL = 0.25
"""Seconds between looks at the record of a job whose end this user may not be told."""

ENDED_WITHIN = 3.0
"""Seconds that closing gives the waits under way: more than the longest of them takes."""

PROBED = ("blmove", "bzpopmin", "evalsha")


class Used:
    """Which queues and lanes this connection has used, to tidy up at close."""

    def __init__(self) -> None:
        self._lanes: defaultdict[str, set[str]] = defaultdict(set)

    def note(self, queue: str, flush: Flush) -> None:
        """A flush of a lane goes to a queue."""
        self._lanes[queue].add(flush.lane)

    def items(self) -> list[tuple[str, list[str]]]:
        """The queues, each with its lanes."""
        return [(queue, sorted(lanes)) for queue, lanes in self._lanes.items()]


class Waits:
    """The waits that are under way, so that what they may be given is put back after the last."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0
        self._over = False

    @contextlib.contextmanager
    def one(self) -> Generator[bool]:
        """For the time of one wait; says whether it may begin."""
        with self._changed:
            may_begin = not self._over
            self._count += may_begin
        try:
            yield may_begin
        finally:
            with self._changed:
                self._count -= may_begin
                self._changed.notify_all()

    def end(self, interrupt: Callable[[], None]) -> None:
        """Let no other begin, and return when all have ended, or after a while."""
        deadline = time.monotonic() + ENDED_WITHIN
        with self._changed:
            self._over = True
            while self._count and time.monotonic() < deadline:
                # One may have gone to sleep since the last time.
                interrupt()
                self._changed.wait(0.05)


class StoredBackend:
    """A connection that stores, for callers that block."""

    def __init__(self, programs: StoredPrograms, port: SyncPort, best: Capabilities) -> None:
        self._programs = programs
        self._port = port
        self._listener = Listener(port, programs.patience)
        self._best = self._found = best
        self._may_script = True
        self._used = Used()
        self._waits = Waits()
        self._closed = threading.Event()

    def _run(self, program: Program[Words, T]) -> T:
        return run(program, self._port.execute)

    def open(self) -> Capabilities:
        """Probe the server."""
        nodes = self._port.nodes()
        found = [run(probing(*PROBED), node) for node in nodes]
        self._may_script = all(run(scripting(), node) for node in nodes)
        self._programs.has_blmove = all(facts.has("blmove") for facts in found)
        known = [attrs.evolve(facts, may_script=self._may_script) for facts in found]
        self._found = weakest([judged(self._best, facts) for facts in known])
        return self._found

    def interrupt(self) -> None:
        """End every wait."""
        self._port.interrupt()
        self._listener.interrupt()

    def close(self) -> None:
        """Give back what is claimed, drop kept answers, close the sockets."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._waits.end(self.interrupt)
        # Where the server is away, others sweep what was claimed, and answers expire.
        with contextlib.suppress(NotSent, SocketLost, Refused):
            for queue, lanes in self._used.items():
                self._run(self._programs.leave(queue, lanes))
        self._port.close()

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Store jobs."""
        if not self._may_script:
            self._port.transact(storing(self._programs.keys(queue), jobs))
            return [Enqueued(job.id) for job in jobs]
        self._used.note(queue, flush)
        return self._run(self._programs.enqueue(queue, jobs, flush))

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Take jobs."""
        self._found.need("lease")
        self._used.note(queue, flush)
        return self._run(self._programs.take(queue, request, flush))

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Do each step."""
        self._found.need("lease")
        self._used.note(queue, flush)
        return self._run(self._programs.settle(queue, steps, flush))

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep on the server; on a full one that refuses, look again soon."""
        with self._waits.one() as may_begin:
            if may_begin:
                self._sleep(queues, timeout)

    def _sleep(self, queues: Sequence[str], timeout: float) -> None:
        longer = self._port.may_unblock
        commands = [self._programs.wait_words(queue, timeout, longer=longer) for queue in queues]
        interrupted = True
        try:
            interrupted = self._port.wait(commands, timeout)
        except Refused as error:
            interrupted = False
            if not is_full(error):
                raise
            self._port.pause(min(timeout, FULL_POLL))
        finally:
            if interrupted:
                self._give_up(queues)

    def _give_up(self, queues: Sequence[str]) -> None:
        """Pass on a signal that may have come: perhaps nobody here will look any more."""
        # Where the server is away, what was claimed is swept once this connection looks dead.
        with contextlib.suppress(NotSent, SocketLost, Refused):
            for queue in queues:
                self._run(self._programs.give_up(queue))

    def health(self) -> Mapping[str, Any]:
        """How long one exchange takes, with the slowest node."""
        times: list[float] = []
        for node in self._port.nodes():
            began = time.perf_counter()
            node(("PING",))
            times.append(time.perf_counter() - began)
        return {"latency": max(times), "nodes": len(times)}

    def classify(self, error: BaseException) -> Fault | None:
        """What an error means."""
        return fault_of(error)

    def native(self, kind: type[N]) -> N | None:
        """A ``redis.Redis`` over the same pool."""
        return self._port.native(kind)

    def queues(self) -> Sequence[str]:
        """The queues of the namespace."""
        found = [run(self._programs.queues(), node) for node in self._port.nodes()]
        return sorted({name for names in found for name in names})

    def stats(self, queue: str) -> QueueStats:
        """Counts by state."""
        return self._run(self._programs.stats(queue))

    def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state."""
        return self._run(self._programs.peek(queue, state, limit, offset))

    def purge(self, queue: str, state: State) -> int:
        """Drop all jobs in one state."""
        return self._run(self._programs.purge(queue, state))

    def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again."""
        return self._run(self._programs.redrive(queue, ids))

    def remove(self, queue: str, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        return self._run(self._programs.remove(queue, ids))

    def cancel(self, queue: str, job_id: str) -> State | None:
        """Drop one job."""
        return self._run(self._programs.cancel(queue, job_id))

    def reschedule(self, queue: str, job_id: str, delay_ms: int, at_ms: int | None) -> bool:
        """Make a delayed job due at another time."""
        return self._run(self._programs.reschedule(queue, job_id, delay_ms, at_ms))

    def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        """What is kept of jobs."""
        return self._run(self._programs.records(queue, ids))

    def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        """Listen until the end of a job is told."""
        with self._waits.one() as may_begin:
            if may_begin:
                self._listen(queue, job_id, timeout)

    def _listen(self, queue: str, job_id: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        try:
            ends = self._listener.listen(self._programs.listen_words(queue))
        except Refused:
            # A user who may not listen there looks again soon.
            self._port.pause(min(timeout, UNHEARD_POLL))
            return
        with contextlib.closing(ends):
            record = self.records(queue, [job_id])[0]
            while record is not None and not record.has_ended:
                self._listener.watch([ends], deadline - time.monotonic())
                told = ends.receive(self._found.limits.batch)
                # Nothing came: the time is over, the link broke, or somebody wants to stop.
                if not told or is_told(job_id, told):
                    return

    def move(self, queue: str, to: str, state: State, limit: int | None) -> int:
        """Bring jobs to another queue."""
        return self._run(self._programs.move(queue, to, state, limit))

    def pause(self, queue: str) -> None:
        """Deliver nothing until ``resume``."""
        self._run(self._programs.pause(queue, on=True))

    def resume(self, queue: str) -> None:
        """Deliver again."""
        self._run(self._programs.pause(queue, on=False))
