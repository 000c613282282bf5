"""The memory adapter: named stores shared by the connections of one process."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from qcore.backend import (
    COMMON_PARAMETERS,
    LOG_PARAMETERS,
    Adapter,
    AsyncBackend,
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    Further,
    PeekedJob,
    QueueStats,
    Settle,
    Setup,
    Taken,
    TakeRequest,
    is_log,
)
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities
from qcore.errors import InvalidUrl
from qcore.memory.bells import Bells, Sleeper
from qcore.memory.ears import Ears
from qcore.memory.promises import PROMISES
from qcore.memory.store import MemoryQueue
from qcore.record import Record
from qcore.states import State
from qcore.url import Parameter, Url

__all__ = ["MemoryAdapter", "MemoryBackend", "MemoryStore"]

if TYPE_CHECKING:
    from qcore.memory.log import MemoryLog

B = TypeVar("B")
N = TypeVar("N")
T = TypeVar("T")

_Line = tuple[str, str]
"""Namespace and name of a queue."""


class MemoryStore:
    """The queues of one name, and who waits for work in them."""

    def __init__(self, url: Url) -> None:
        # Kept, so that the name of a store without one is not given twice.
        self._url = url
        # A signal handler may close a consumer while the thread below it is in here.
        self.lock = threading.RLock()
        self.queues: dict[_Line, MemoryQueue] = {}
        self.logs: dict[_Line, MemoryLog] = {}
        self.bells = Bells()
        self.ears = Ears()
        self.users: set[str] = set()


class MemoryBackend:
    """A connection to a store of this process.

    Attributes:
        queue_type: What keeps the jobs of one queue.
    """

    queue_type: type[MemoryQueue] = MemoryQueue

    def __init__(
        self, setup: Setup, store: MemoryStore, left: Callable[[MemoryStore], None]
    ) -> None:
        self._store = store
        self._left = left
        self._owner = setup.owner
        self._clock = setup.clock
        self._params = setup.params
        store.users.add(setup.owner)

    def open(self) -> Capabilities:
        """Say what is promised; there is nothing to reach."""
        return PROMISES

    def interrupt(self) -> None:
        """Wake every waiter of this connection."""
        with self._store.lock:
            self._store.bells.ring_all(self)

    def close(self) -> None:
        """Drop the answers kept for replays, and with the last connection the store."""
        with self._store.lock:
            for queue in self._store.queues.values():
                queue.forget_owner(self._owner)
            self._store.users.discard(self._owner)
        self._left(self._store)

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Store all jobs."""
        if jobs:
            self._keep(queue)
        return self._once(queue, flush, lambda line, now: line.enqueue(jobs, now))

    def _keep(self, queue: str) -> None:
        with self._store.lock:
            if self._line(queue) not in self._store.queues:
                self._store.queues[self._line(queue)] = self._new_queue()

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Take what is due and ready."""

        def act(line: MemoryQueue, now: float) -> Taken:
            taken = line.once(self._owner, flush, lambda: line.take(request, self._owner, now))
            return line.lease_anew(taken, now + request.lease_ms / 1000)

        return self._act(queue, act)

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Do each step whose token holds its delivery."""

        def act(line: MemoryQueue, now: float) -> list[bool]:
            held = line.settle(steps, now)
            for step, is_held in zip(steps, held, strict=True):
                if is_held:
                    self._follow(step.further)
                    for one in step.told:
                        self._tell(one.queue, one.job)
            return held

        return self._once(queue, flush, act)

    def _follow(self, further: Sequence[Further]) -> None:
        """Enqueue what follows an ack, jobs for one queue together."""
        jobs: dict[str, list[Enqueue]] = {}
        for one in further:
            jobs.setdefault(one.queue, []).append(one.job)
        for queue, news in jobs.items():
            self._keep(queue)
            self._act(queue, partial(_enqueued, news))

    def _tell(self, topic: str, message: Enqueue) -> int:
        """Let those who listen to a topic hear a message, and wake them; says how many hear it."""
        line = self._topic(topic)
        receivers = self._store.ears.tell(line, message)
        self._store.bells.ring(line, sys.maxsize)
        return receivers

    def _topic(self, name: str) -> _Line:
        """Where those wait who listen; no queue has such a name."""
        return str(self._params["namespace"]), f"{name} topic"

    def _once(self, queue: str, flush: Flush, act: Callable[[MemoryQueue, float], T]) -> T:
        return self._act(
            queue, lambda line, now: line.once(self._owner, flush, lambda: act(line, now))
        )

    def _act(self, queue: str, act: Callable[[MemoryQueue, float], T]) -> T:
        """Do something with a queue, and wake whom it concerns."""
        with self._store.lock:
            now = self._clock.time()
            line = self._store.queues.get(self._line(queue)) or self._new_queue()
            line.ledger.tell(now)
            answer = act(line, now)
            if line.ledger.ended:
                line.ledger.ended = False
                self._store.bells.ring(self._ends(queue), sys.maxsize)
            if self.sleepers(queue):
                self._ring(queue, line, now)
            return answer

    def sleepers(self, queue: str) -> int:
        """How many wait for work in a queue, over all connections to the store."""
        with self._store.lock:
            return self._store.bells.count(self._line(queue))

    def _ring(self, queue: str, line: MemoryQueue, now: float) -> None:
        self._store.bells.ring(self._line(queue), line.available(now))
        due = line.next_due(now)
        if due is not None:
            self._store.bells.ring_before(self._line(queue), time.monotonic() + due)

    def _line(self, queue: str) -> _Line:
        return str(self._params["namespace"]), queue

    def _new_queue(self) -> MemoryQueue:
        return self.queue_type(
            self._params["crash_limit"], self._params["delivery_cap"], self._params["dedup_window"]
        )

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until one of the queues may have a job to take."""
        with self._store.lock:
            pause = min([timeout, *(self._pause(queue) for queue in queues)])
            sleeper = self._asleep([self._line(queue) for queue in queues], pause)
        self._sleep(sleeper, pause)

    def _asleep(self, lines: Sequence[_Line], seconds: float) -> Sleeper:
        """Somebody who will be woken for one of these lines; made under the lock."""
        sleeper = Sleeper(lines, self, time.monotonic() + seconds)
        self._store.bells.enter(sleeper)
        return sleeper

    def _sleep(self, sleeper: Sleeper, seconds: float) -> None:
        try:
            sleeper.sleep(max(0.0, seconds))
        finally:
            with self._store.lock:
                self._store.bells.leave(sleeper)

    def _pause(self, queue: str) -> float:
        """Seconds for which nothing of a queue can be taken, as far as is known now."""
        line, now = self._store.queues.get(self._line(queue)), self._clock.time()
        if line is None:
            return math.inf
        if line.available(now):
            return 0.0
        due = line.next_due(now)
        return math.inf if due is None else due

    def health(self) -> Mapping[str, Any]:
        """Always well."""
        return {"latency": 0.0}

    def classify(self, error: BaseException) -> Fault | None:
        """No error of this adapter is expected."""
        del error
        return None

    def native(self, kind: type[N]) -> N | None:
        """There is no client underneath."""
        del kind
        return None

    def queues(self) -> Sequence[str]:
        """The names of the queues in this namespace."""
        with self._store.lock:
            here = self._params["namespace"]
            return sorted(name for namespace, name in self._store.queues if namespace == here)

    def stats(self, queue: str) -> QueueStats:
        """Counts by state."""
        return self._act(queue, lambda line, _: line.stats())

    def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state."""
        return self._act(queue, lambda line, now: line.peek(state, limit, offset, now))

    def purge(self, queue: str, state: State) -> int:
        """Drop all jobs in one state."""
        return self._act(queue, lambda line, _: line.purge(state))

    def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again."""
        return self._act(queue, lambda line, _: line.redrive(ids))

    def remove(self, queue: str, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        return self._act(queue, lambda line, _: line.remove(ids))

    def cancel(self, queue: str, job_id: str) -> State | None:
        """Drop one job."""
        return self._act(queue, lambda line, _: line.cancel(job_id))

    def reschedule(self, queue: str, job_id: str, delay_ms: int, at_ms: int | None) -> bool:
        """Make a delayed job due at another time."""

        def act(line: MemoryQueue, now: float) -> bool:
            due = now + delay_ms / 1000 if at_ms is None else at_ms / 1000
            return line.reschedule(job_id, due, now)

        return self._act(queue, act)

    def _ends(self, queue: str) -> _Line:
        """Where those wait who wait for an end; no queue has such a name."""
        return str(self._params["namespace"]), f"{queue} ends"

    def records(self, queue: str, ids: Sequence[str]) -> Sequence[Record | None]:
        """The records of jobs."""
        return self._act(queue, lambda line, _: line.ledger.records(ids))

    def wait_end(self, queue: str, job_id: str, timeout: float) -> None:
        """Sleep until a job of the queue ends."""
        with self._store.lock:
            record = self.records(queue, [job_id])[0]
            if record is None or record.has_ended:
                return
            sleeper = self._asleep([self._ends(queue)], timeout)
        self._sleep(sleeper, timeout)

    def move(self, queue: str, to: str, state: State, limit: int | None) -> int:
        """Bring jobs to another queue."""
        with self._store.lock:
            source = self._store.queues.get(self._line(queue))
            if source is None:
                return 0
            target = self._store.queues.get(self._line(to)) or self._new_queue()
            moved = source.move_to(target, state, limit, self._clock.time())
            if moved:
                self._store.queues[self._line(to)] = target
            return self._act(to, lambda _line, _now: moved)

    def pause(self, queue: str) -> None:
        """Deliver nothing until ``resume``."""
        self._keep(queue)
        self._act(queue, lambda line, _: line.pause())

    def resume(self, queue: str) -> None:
        """Deliver again."""
        self._act(queue, lambda line, _: line.resume())


class MemoryAdapter:
    """Opens connections to named stores; a store lives as long as a connection to it is open.

    Attributes:
        backend_type: What a connection is made of.
    """

    scheme: str = "memory"
    backend_type: type[MemoryBackend] = MemoryBackend
    parameters: Sequence[Parameter] = (*COMMON_PARAMETERS, *LOG_PARAMETERS)

    def __init__(self) -> None:
        self._begin()
        # A child has no jobs of its own yet, and must not wait for locks of its parent's threads.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._stores: WeakValueDictionary[str, MemoryStore] = WeakValueDictionary()

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return PROMISES

    def in_mode(self, params: Mapping[str, Any]) -> Adapter:
        """This adapter, or the one for logs.

        Raises:
            InvalidUrl: If a parameter of logs is given without one.
        """
        if is_log(params):
            from qcore.memory.logs import MemoryLogAdapter

            return MemoryLogAdapter(self)
        return self

    def backend(self, setup: Setup) -> MemoryBackend:
        """A connection to the store that the URL names.

        Raises:
            InvalidUrl: If the URL says more than a name.
        """
        return self.opened(setup, self.backend_type)

    def opened(self, setup: Setup, kind: Callable[..., B], among: str = "") -> B:
        """A connection of a kind, which shares a store with its like.

        Args:
            setup: What the URL said.
            kind: The class of the connection.
            among: Told apart from stores of other kinds.

        Raises:
            InvalidUrl: If the URL says more than a name.
        """
        name = f"{_name(setup)}{among}"
        with self._lock:
            store = self._stores.get(name)
            if store is None:
                self._stores[name] = store = MemoryStore(setup.url)
            return kind(setup, store, partial(self._left, name))

    def _left(self, name: str, store: MemoryStore) -> None:
        with self._lock:
            if not store.users and self._stores.get(name) is store:
                del self._stores[name]

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same connection for asyncio."""
        return lift_inline(self.backend(setup))


def _enqueued(jobs: Sequence[Enqueue], line: MemoryQueue, now: float) -> None:
    line.enqueue(jobs, now)


def _name(setup: Setup) -> str:
    """The name of a store; without one it belongs to whoever parsed the URL."""
    url = setup.url
    host, port = url.hosts[0] if url.hosts else ("", None)
    said = [setup.secure, setup.topology, url.username, url.password, port, url.hosts[1:]]
    if any(said):
        raise InvalidUrl("a store in memory has a name and nothing else, such as memory://shop")
    return f"{host}{url.path}" or f"#{id(url)}"
