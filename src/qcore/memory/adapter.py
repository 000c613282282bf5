"""The memory adapter: named stores shared by the connections of one process."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
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
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities, Claim
from qcore.memory.store import MemoryQueue
from qcore.states import State
from qcore.url import Parameter

__all__ = ["MemoryAdapter", "MemoryBackend"]

N = TypeVar("N")
T = TypeVar("T")

_PROMISES = Capabilities(
    adapter="memory",
    claims={
        "delivery": Claim("at_least_once"),
        "settlement": Claim("explicit"),
        "durability": Claim("none"),
        "scope": Claim("process"),
        "order": Claim("fifo"),
        "reentry": Claim("head"),
        "wake": Claim("native"),
        **{
            name: Claim(value=True)
            for name in [
                "fenced",
                "lease",
                "extend",
                "release",
                "retry",
                "dead_letter",
                "redrive",
                "attempts",
                "delay",
                "priority",
                "idempotent_id",
                "dedup",
                "replay",
                "stats",
                "peek",
                "purge",
                "thread_safe",
            ]
        },
    },
    refusals={
        "receivers": "a queue that stores does not know who listens",
        "gap": "a queue that stores misses nothing",
        "take_at_full_memory": "the queue shares its memory with the program",
    },
)


class _Store:
    """The queues of one name, and the condition on which consumers wait."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.queues: dict[tuple[str, str], MemoryQueue] = {}


class MemoryBackend:
    """A connection to a store of this process."""

    def __init__(self, setup: Setup, store: _Store) -> None:
        self._store = store
        self._owner = setup.owner
        self._clock = setup.clock
        self._params = setup.params
        self._interrupts = 0

    def open(self) -> Capabilities:
        """Say what is promised; there is nothing to reach."""
        return _PROMISES

    def interrupt(self) -> None:
        """Wake every waiter of the store; those of others go back to sleep."""
        with self._store.changed:
            self._interrupts += 1
            self._store.changed.notify_all()

    def close(self) -> None:
        """Drop the answers kept for replays."""
        with self._store.changed:
            for queue in self._store.queues.values():
                queue.forget_owner(self._owner)

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Store all jobs."""
        return self._once(queue, flush, lambda line, now: line.enqueue(jobs, now))

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Take what is due and ready."""
        return self._once(queue, flush, lambda line, now: line.take(request, self._owner, now))

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Do each step whose token holds its delivery."""
        return self._once(queue, flush, lambda line, now: line.settle(steps, now))

    def _once(self, queue: str, flush: Flush, act: Callable[[MemoryQueue, float], T]) -> T:
        with self._store.changed:
            line, now = self._line(queue), self._clock.time()
            answer: T = line.once(self._owner, flush, lambda: act(line, now))
            self._store.changed.notify_all()
            return answer

    def _line(self, queue: str) -> MemoryQueue:
        key = (str(self._params["namespace"]), queue)
        if key not in self._store.queues:
            self._store.queues[key] = MemoryQueue(
                self._params["crash_limit"],
                self._params["delivery_cap"],
                self._params["dedup_window"],
            )
        return self._store.queues[key]

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until one of the queues has ready jobs."""
        with self._store.changed:
            before = self._interrupts
            self._store.changed.wait_for(
                lambda: (
                    self._interrupts != before
                    or any(self._line(queue).stats().ready for queue in queues)
                ),
                timeout,
            )

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
        with self._store.changed:
            here = self._params["namespace"]
            return sorted(name for namespace, name in self._store.queues if namespace == here)

    def stats(self, queue: str) -> QueueStats:
        """Counts by state."""
        with self._store.changed:
            return self._line(queue).stats()

    def peek(self, queue: str, state: State, limit: int, offset: int) -> Sequence[PeekedJob]:
        """Jobs in one state."""
        with self._store.changed:
            return self._line(queue).peek(state, limit, offset, self._clock.time())

    def purge(self, queue: str, state: State) -> int:
        """Drop all jobs in one state."""
        with self._store.changed:
            return self._line(queue).purge(state)

    def redrive(self, queue: str, ids: Sequence[str] | None) -> int:
        """Make dead jobs ready again."""
        with self._store.changed:
            moved = self._line(queue).redrive(ids)
            self._store.changed.notify_all()
            return moved

    def remove(self, queue: str, ids: Sequence[str]) -> int:
        """Drop the named dead jobs."""
        with self._store.changed:
            return self._line(queue).remove(ids)


class MemoryAdapter:
    """Opens connections to named stores; a store lives as long as a connection to it."""

    scheme: str = "memory"
    parameters: Sequence[Parameter] = COMMON_PARAMETERS

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stores: weakref.WeakValueDictionary[str, _Store] = weakref.WeakValueDictionary()

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return _PROMISES

    def backend(self, setup: Setup) -> MemoryBackend:
        """A connection to the store that the URL names."""
        host = setup.url.hosts[0][0] if setup.url.hosts else ""
        name = f"{host}{setup.url.path}"
        with self._lock:
            store = self._stores.get(name) if name else None
            if store is None:
                store = _Store()
                if name:
                    self._stores[name] = store
        return MemoryBackend(setup, store)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same connection for asyncio."""
        return lift_inline(self.backend(setup))
