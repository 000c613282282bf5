"""A queue in memory, told the time."""

from __future__ import annotations

from qcore.backend import Enqueue, Settle, Taken, TakenJob, TakeRequest, Verb
from qcore.clock import ManualClock
from qcore.memory.store import MemoryQueue
from qcore.states import State

__all__ = ["LEASE", "Line"]

LEASE = 10.0


class Line:
    """A queue with a clock that stands still until told."""

    def __init__(self, crash_limit: int = 3, delivery_cap: int = 5, window: float = 60.0) -> None:
        self.queue = MemoryQueue(crash_limit, delivery_cap, window)
        self.clock = ManualClock()

    def put(self, *ids: str, priority: int = 0, delay: float = 0.0) -> None:
        """Store jobs."""
        jobs = [Enqueue(one, one.encode(), priority, round(delay * 1000)) for one in ids]
        self.queue.enqueue(jobs, self.clock.time())

    def look(self, limit: int = 100, *, started: bool = True, owner: str = "me") -> Taken:
        """Take jobs, and all that is said about it."""
        request = TakeRequest(limit, round(LEASE * 1000), started)
        return self.queue.take(request, owner, self.clock.time())

    def take(self, limit: int = 100, *, started: bool = True, owner: str = "me") -> list[TakenJob]:
        """Take jobs."""
        return list(self.look(limit, started=started, owner=owner).jobs)

    def ids(self, limit: int = 100) -> list[str]:
        """Take jobs; their ids."""
        return [job.id for job in self.take(limit)]

    def settle(self, verb: Verb, *jobs: TakenJob, millis: int = 0, note: str = "") -> list[bool]:
        """Settle jobs in one way."""
        steps = [Settle(job.token, verb, millis, note) for job in jobs]
        return self.queue.settle(steps, self.clock.time())

    def peek(self, state: State) -> list[str]:
        """The ids in one state."""
        return [row.id for row in self.queue.peek(state, 100, 0, self.clock.time())]

    def expire(self) -> None:
        """Let every lease run out."""
        self.clock.advance(LEASE)
