"""Asyncio in the words of ``actors``, for scenarios that block.

Each call becomes a task of an event loop in a thread of its own, and calls of several threads
become several tasks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import attrs

import qcore
from qcore.backend import Settle, Taken, TakeRequest
from tests.integration.actors import Hand

__all__ = ["AsyncClient", "AsyncHand", "AsyncLine", "Portal"]

N = TypeVar("N")
T = TypeVar("T")


class Portal:
    """An event loop in a thread, for scenarios that block.

    ``close`` fails if a task is left, since whoever started it has lost it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="portal")
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin a task; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a task to its end."""
        return self.start(work).result()

    def close(self) -> None:
        """End the loop and its thread."""
        left = self.call(self._left())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert not left, f"tasks were left behind: {left}"

    async def _left(self) -> list[str]:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            # What was cancelled just now may need a turn or two to end.
            await asyncio.wait(others, timeout=1.0)
        return [str(task) for task in others if not task.done()]


class AsyncHand:
    """A delivery of asyncio."""

    def __init__(self, portal: Portal, delivery: qcore.AsyncDelivery) -> None:
        self._portal = portal
        self.delivery = delivery

    @property
    def job(self) -> qcore.Job:
        """The job."""
        return self.delivery.job

    @property
    def number(self) -> int:
        """The delivery number."""
        return self.delivery.number

    @property
    def attempt(self) -> int:
        """The attempt."""
        return self.delivery.attempt

    @property
    def crashes(self) -> int:
        """How often its worker died."""
        return self.delivery.crashes

    @property
    def alone(self) -> bool:
        """Whether nothing may be worked on beside it."""
        return self.delivery.alone

    @property
    def receipt(self) -> qcore.Receipt:
        """Proof of this delivery."""
        return self.delivery.receipt

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold the job."""
        return self.delivery.lost

    def ack(self) -> None:
        """Ack."""
        self._portal.call(self.delivery.ack())

    def release(self) -> None:
        """Release."""
        self._portal.call(self.delivery.release())

    def retry(self, delay: float = 0.0, error: str = "") -> None:
        """Retry."""
        self._portal.call(self.delivery.retry(delay, error))

    def dead_letter(self, reason: str) -> None:
        """Dead-letter."""
        self._portal.call(self.delivery.dead_letter(reason))

    def extend(self, lease: float) -> None:
        """Extend."""
        self._portal.call(self.delivery.extend(lease))


class AsyncFlow:
    """A consumer of asyncio."""

    def __init__(self, portal: Portal, consumer: qcore.AsyncConsumer) -> None:
        self._portal = portal
        self._consumer = consumer

    def __enter__(self) -> Iterator[AsyncHand]:
        """Start."""
        self._portal.call(self._consumer.__aenter__())
        return self._hands()

    def _hands(self) -> Iterator[AsyncHand]:
        while True:
            try:
                delivery = self._portal.call(self._consumer.__anext__())
            except StopAsyncIteration:
                return
            yield AsyncHand(self._portal, delivery)

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.close()

    def close(self) -> None:
        """End the iteration."""
        self._portal.call(self._consumer.close())


@attrs.frozen
class AsyncLine:
    """A queue of asyncio."""

    portal: Portal
    inner: qcore.AsyncQueue

    def _hand(self, delivery: qcore.AsyncDelivery) -> AsyncHand:
        return AsyncHand(self.portal, delivery)

    def enqueue(self, body: object, **options: Any) -> qcore.JobId:
        """Enqueue."""
        return self.portal.call(self.inner.enqueue(body, **options))

    def enqueue_many(self, jobs: Iterable[object]) -> list[qcore.JobId]:
        """Enqueue many."""
        return self.portal.call(self.inner.enqueue_many(jobs))

    def reserve(self, timeout: float | None = None, lease: float | None = None) -> Hand | None:
        """Reserve."""
        found = self.portal.call(self.inner.reserve(timeout, lease))
        return None if found is None else self._hand(found)

    def reserve_many(
        self, limit: int, timeout: float | None = None, lease: float | None = None
    ) -> Sequence[Hand]:
        """Reserve many."""
        return list(
            map(self._hand, self.portal.call(self.inner.reserve_many(limit, timeout, lease)))
        )

    def ack_many(self, deliveries: Iterable[object]) -> list[bool]:
        """Ack many."""
        return self.portal.call(self.inner.ack_many(deliveries))

    def settle_many(self, settlements: Iterable[qcore.Settlement]) -> list[bool]:
        """Settle many."""
        return self.portal.call(self.inner.settle_many(settlements))

    def consume(self, prefetch: int = 50, lease: float | None = None) -> AsyncFlow:
        """Consume."""

        async def made() -> qcore.AsyncConsumer:
            return self.inner.consume(prefetch, lease)

        return AsyncFlow(self.portal, self.portal.call(made()))

    def stats(self) -> qcore.QueueStats:
        """Count."""
        return self.portal.call(self.inner.stats())

    def peek(
        self, state: str = "ready", limit: int = 20, offset: int = 0
    ) -> list[qcore.InspectedJob]:
        """Look."""
        return self.portal.call(self.inner.peek(state, limit, offset))

    def purge(self, state: str = "ready") -> int:
        """Purge."""
        return self.portal.call(self.inner.purge(state))

    def redrive(self, ids: Iterable[str] | None = None) -> int:
        """Redrive."""
        return self.portal.call(self.inner.redrive(ids))

    def remove(self, ids: Iterable[str]) -> int:
        """Remove."""
        return self.portal.call(self.inner.remove(ids))

    def get(self, job_id: str) -> qcore.Record:
        """Get the record of a job."""
        return self.portal.call(self.inner.get(job_id))

    def wait(self, job_id: str, timeout: float | None = None) -> qcore.Record:
        """Wait for the end of a job."""
        return self.portal.call(self.inner.wait(job_id, timeout))

    def cancel(self, job_id: str) -> qcore.State | None:
        """Cancel."""
        return self.portal.call(self.inner.cancel(job_id))

    def reschedule(self, job_id: str, **options: Any) -> bool:
        """Reschedule."""
        return self.portal.call(self.inner.reschedule(job_id, **options))

    def move(self, to: str, state: str = "ready", limit: int | None = None) -> int:
        """Move."""
        return self.portal.call(self.inner.move(to, state, limit))

    def pause(self) -> None:
        """Pause."""
        self.portal.call(self.inner.pause())

    def resume(self) -> None:
        """Resume."""
        self.portal.call(self.inner.resume())


class AsyncClient:
    """A connection of asyncio."""

    def __init__(self, portal: Portal, connection: qcore.AsyncConnection) -> None:
        self.portal = portal
        self.connection = connection

    @property
    def capabilities(self) -> qcore.Capabilities:
        """What is promised."""

        async def seen() -> qcore.Capabilities:
            return self.connection.capabilities

        return self.portal.call(seen())

    def queue(self, name: str = "work") -> AsyncLine:
        """A queue."""

        async def made() -> qcore.AsyncQueue:
            return self.connection.queue(name)

        return AsyncLine(self.portal, self.portal.call(made()))

    def queues(self) -> list[str]:
        """The names of the queues."""
        return self.portal.call(self.connection.queues())

    def health(self) -> dict[str, Any]:
        """Facts about the broker."""
        return self.portal.call(self.connection.health())

    def take(self, name: str, request: TakeRequest) -> Taken:
        """Take, as a consumer does."""

        async def work() -> Taken:
            return await self.connection.queue(name).session.take(name, request)

        return self.portal.call(work())

    def settle(self, name: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """Settle, as a consumer does."""

        async def work() -> Sequence[bool]:
            return await self.connection.queue(name).session.settle(name, steps)

        return self.portal.call(work())

    def native(self, kind: type[N]) -> N | None:
        """The client underneath."""

        async def seen() -> N | None:
            return self.connection.native(kind)

        return self.portal.call(seen())

    def close(self) -> None:
        """Close."""
        self.portal.call(self.connection.close())
