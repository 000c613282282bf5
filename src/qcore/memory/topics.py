"""``memory+pubsub://name``: who listens hears it, within one process, and nothing is kept.

What ``redis+pubsub`` is between programs, for tests and for programs of one process. It shares its
stores with ``memory://name``, whose acks may tell a topic. The first ``take`` subscribes where
nobody did, and so finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qcore.backend import (
    COMMON_PARAMETERS,
    AsyncBackend,
    Enqueue,
    Enqueued,
    Flush,
    Settle,
    Setup,
    Taken,
    TakenJob,
    TakeRequest,
    Verb,
)
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities
from qcore.memory.adapter import MemoryAdapter, MemoryBackend, MemoryStore
from qcore.memory.ears import Ear
from qcore.memory.promises import TOPIC_PROMISES
from qcore.url import Parameter

__all__ = ["MemoryTopicsAdapter", "TopicsBackend"]


class TopicsBackend(MemoryBackend):
    """A connection that tells and listens."""

    def __init__(
        self, setup: Setup, store: MemoryStore, left: Callable[[MemoryStore], None]
    ) -> None:
        super().__init__(setup, store, left)
        self._ears: dict[str, Ear] = {}
        self._gaps: dict[str, int] = {}

    def open(self) -> Capabilities:
        """Say what is promised; there is nothing to reach."""
        return TOPIC_PROMISES

    def close(self) -> None:
        """Listen no more."""
        with self._store.lock:
            for queue, ear in self._ears.items():
                self._store.ears.close(self._topic(queue), ear)
            self._ears.clear()
        super().close()

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Let everybody who listens hear these."""
        del flush
        with self._store.lock:
            return [Enqueued(job.id, receivers=self._tell(queue, job)) for job in jobs]

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Hand over what was heard."""
        del flush
        with self._store.lock:
            ear = self._ear(queue)
            jobs = [TakenJob("", job.id, job.envelope) for job in ear.take(request.limit)]
            if ear.is_cut and not jobs:
                self._gaps[queue] = self.gaps(queue) + 1
                self._ears[queue] = self._store.ears.open(self._topic(queue))
            return Taken(jobs, more=ear.pending)

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Nothing is left to be done.

        Raises:
            UnsupportedCapability: If a step is no ack.
        """
        del queue, flush
        for step in steps:
            if step.verb is not Verb.ACK:
                TOPIC_PROMISES.need(step.verb.value)
        return [True] * len(steps)

    def subscribe(self, queue: str) -> None:
        """Listen; in effect when this returns."""
        with self._store.lock:
            self._ear(queue)

    def gaps(self, queue: str) -> int:
        """How often this listener was cut off, since it did not keep up."""
        return self._gaps.get(queue, 0)

    def _ear(self, queue: str) -> Ear:
        ear = self._ears.get(queue)
        if ear is None:
            ear = self._ears[queue] = self._store.ears.open(self._topic(queue))
        return ear

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until something is heard; not at all where nobody listens yet."""
        with self._store.lock:
            ears = [self._ears.get(queue) for queue in queues]
            if any(ear is None or ear.pending or ear.is_cut for ear in ears):
                return
            sleeper = self._asleep([self._topic(queue) for queue in queues], timeout)
        self._sleep(sleeper, timeout)


class MemoryTopicsAdapter:
    """Opens connections to the topics of named stores.

    Args:
        stores: Knows the stores.
    """

    scheme: str = TOPIC_PROMISES.adapter
    parameters: Sequence[Parameter] = tuple(
        one for one in COMMON_PARAMETERS if one.name in {"namespace", "patience"}
    )

    def __init__(self, stores: MemoryAdapter) -> None:
        self._stores = stores

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return TOPIC_PROMISES

    def backend(self, setup: Setup) -> TopicsBackend:
        """A connection to the store that the URL names.

        Raises:
            InvalidUrl: If the URL says more than a name.
        """
        return self._stores.opened(setup, TopicsBackend)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same connection for asyncio."""
        return lift_inline(self.backend(setup))
