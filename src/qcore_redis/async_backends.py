"""The list and streams adapters for asyncio: programs run over a port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping, Sequence
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
from qcore.sansio import Program, arun
from qcore.states import State
from qcore_redis.backends import ENDED_WITHIN, FULL_POLL, PROBED, UNHEARD_POLL, Used
from qcore_redis.faults import NotSent, Refused, SocketLost, fault_of, is_full
from qcore_redis.plain import storing
from qcore_redis.ports.aio import AsyncPort
from qcore_redis.ports.aio_listening import AsyncListener
from qcore_redis.probe import judged, probing, scripting, weakest
from qcore_redis.programs import StoredPrograms, Words
from qcore_redis.records import is_told

__all__ = ["AsyncStoredBackend"]

N = TypeVar("N")
T = TypeVar("T")

OWED_FOR = 0.1
"""Seconds after a wait in which a take must follow, before its signal is passed on."""


class AsyncStoredBackend:
    """A connection that stores, for asyncio."""

    def __init__(self, programs: StoredPrograms, port: AsyncPort, best: Capabilities) -> None:
        self._programs = programs
        self._port = port
        self._listener = AsyncListener(port, programs.patience)
        self._best = self._found = best
        self._may_script = True
        self._used = Used()
        self._closed = False
        self._sleeps: set[asyncio.Task[None]] = set()
        self._owed: dict[str, asyncio.TimerHandle] = {}

    async def _run(self, program: Program[Words, T]) -> T:
        return await arun(program, self._port.execute)

    async def open(self) -> Capabilities:
        """Probe the server."""
        nodes = await self._port.nodes()
        found = [await arun(probing(*PROBED), node) for node in nodes]
        self._may_script = all([await arun(scripting(), node) for node in nodes])
        self._programs.has_blmove = all(facts.has("blmove") for facts in found)
        known = [attrs.evolve(facts, may_script=self._may_script) for facts in found]
        self._found = weakest([judged(self._best, facts) for facts in known])
        return self._found

    def interrupt(self) -> None:
        """End every wait."""
        self._port.interrupt()
        self._listener.interrupt()

    async def close(self) -> None:
        """Give back what is claimed, drop kept answers, close the sockets."""
        if self._closed:
            return
        self._closed = True
        self.interrupt()
        if self._sleeps:
            await asyncio.wait(self._sleeps, timeout=ENDED_WITHIN)
        for alarm in self._owed.values():
            alarm.cancel()
        # Where the server is away, others sweep what was claimed, and answers expire.
        with contextlib.suppress(NotSent, SocketLost, Refused):
            for queue, lanes in self._used.items():
                await self._run(self._programs.leave(queue, lanes))
        await self._port.close()

    async def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Sequence[Enqueued]:
        """Store jobs."""
        if not self._may_script:
            await self._port.transact(storing(self._programs.keys(queue), jobs))
            return [Enqueued(job.id) for job in jobs]
        self._used.note(queue, flush)
        return await self._run(self._programs.enqueue(queue, jobs, flush))

    async def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Take jobs."""
        self._found.need("lease")
        self._used.note(queue, flush)
        if owed := self._owed.pop(queue, None):
            owed.cancel()
        return await self._run(self._programs.take(queue, request, flush))

    async def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Do each step."""
        self._found.need("lease")
        self._used.note(queue, flush)
        return await self._run(self._programs.settle(queue, steps, flush))

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep on the server; on a full one that refuses, look again soon."""
        alarm = self._port.alarm()
        sleep = self._start(self._sleep(queues, timeout, alarm))
        try:
            await asyncio.shield(sleep)
        except asyncio.CancelledError:
            # It ends by itself: what a connection is given that is gone would be nobody's.
            self._port.ring(alarm)
            raise

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._sleeps.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sleeps.discard(task)
        if not task.cancelled():
            # Whoever waited may have been cancelled, and asks for no error.
            task.exception()

    async def _sleep(
        self, queues: Sequence[str], timeout: float, alarm: asyncio.Future[None]
    ) -> None:
        longer = self._port.may_unblock
        commands = [self._programs.wait_words(queue, timeout, longer=longer) for queue in queues]
        interrupted = True
        try:
            interrupted = await self._port.wait(commands, timeout, alarm)
        except Refused as error:
            interrupted = False
            if not is_full(error):
                raise
            await self._port.pause(min(timeout, FULL_POLL), alarm)
        finally:
            if interrupted:
                await self._give_up(queues)
            else:
                self._owe(queues)

    def _owe(self, queues: Sequence[str]) -> None:
        """Expect a take: if whoever waited is cancelled before it, the signal is passed on."""
        for queue in queues:
            if queue not in self._owed:
                loop = asyncio.get_running_loop()
                self._owed[queue] = loop.call_later(OWED_FOR, self._overdue, queue)

    def _overdue(self, queue: str) -> None:
        del self._owed[queue]
        _ = self._start(self._give_up([queue]))

    async def _give_up(self, queues: Sequence[str]) -> None:
        """Pass on a signal that may have come: perhaps nobody here will look any more."""
        # Where the server is away, what was claimed is swept once this connection looks dead.
        with contextlib.suppress(NotSent, SocketLost, Refused):
            for queue in queues:
                await self._run(self._programs.give_up(queue))

    async def health(self) -> Mapping[str, Any]:
        """How long one exchange takes, with the slowest node."""
        times: list[float] = []
        for node in await self._port.nodes():
            began = time.perf_counter()
            await node(("PING",))
            times.append(time.perf_counter() - began)
        return {"latency": max(times), "nodes": len(times)}

    def classify(self, error: BaseException) -> Fault | None:
        """What an error means."""
        return fault_of(error)

    def native(self, kind: type[N]) -> N | None:
        """A ``redis.asyncio.Redis`` over the same pool."""
        return self._port.native(kind)

    async def queues(self) -> Sequence[str]:
        """The queues of the namespace."""
        found = [await arun(self._programs.queues(), node) for node in await self._port.nodes()]
        return sorted({name for names in found for name in names})

    async def stats(self, queue: str) -> QueueStats:
        """Counts by state."""
        return await self._run(self._programs.stats(queue))

    async def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state."""
        return await self._run(self._programs.peek(queue, state, limit, offset))

    async def purge(self, queue: str, state: State) -> int:
        """Drop all jobs in one state."""
        return await self._run(self._programs.purge(queue, state))

    async def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again."""
        return await self._run(self._programs.redrive(queue, ids))

    async def remove(self, queue: str, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        return await self._run(self._programs.remove(queue, ids))

    async def cancel(self, queue: str, job_id: str) -> State | None:
        """Drop one job."""
        return await self._run(self._programs.cancel(queue, job_id))

    async def reschedule(self, queue: str, job_id: str, delay_ms: int, at_ms: int | None) -> bool:
        """Make a delayed job due at another time."""
        return await self._run(self._programs.reschedule(queue, job_id, delay_ms, at_ms))

    async def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        """What is kept of jobs."""
        return await self._run(self._programs.records(queue, ids))

    async def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        """Listen until the end of a job is told."""
        deadline = time.monotonic() + timeout
        try:
            ends = await self._listener.listen(self._programs.listen_words(queue))
        except Refused:
            # A user who may not listen there looks again soon.
            alarm: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            await self._port.pause(min(timeout, UNHEARD_POLL), alarm)
            return
        try:
            record = (await self.records(queue, [job_id]))[0]
            while record is not None and not record.has_ended:
                await self._listener.watch([ends], max(0.0, deadline - time.monotonic()))
                told = ends.receive(self._found.limits.batch)
                # Nothing came: the time is over, the link broke, or somebody wants to stop.
                if not told or is_told(job_id, told):
                    return
        finally:
            await ends.close()

    async def move(self, queue: str, to: str, state: State, limit: int | None) -> int:
        """Bring jobs to another queue."""
        return await self._run(self._programs.move(queue, to, state, limit))

    async def pause(self, queue: str) -> None:
        """Deliver nothing until ``resume``."""
        await self._run(self._programs.pause(queue, on=True))

    async def resume(self, queue: str) -> None:
        """Deliver again."""
        await self._run(self._programs.pause(queue, on=False))
