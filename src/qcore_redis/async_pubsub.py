"""The Pub/Sub adapter for asyncio; see ``pubsub``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from qcore.backend import Enqueue, Enqueued, Fault, Flush, Settle, Taken, TakeRequest
from qcore.capabilities import Capabilities
from qcore.sansio import arun
from qcore_redis.channels import Channels, Line, ended, enqueued, taken
from qcore_redis.faults import NotSent, fault_of
from qcore_redis.ports.aio import AsyncPort
from qcore_redis.ports.aio_listening import AsyncListener, AsyncSubscription
from qcore_redis.probe import probing

__all__ = ["AsyncPubSubBackend"]

N = TypeVar("N")


@attrs.define(eq=False)
class _Line(Line[AsyncSubscription]):
    """A queue, and the lock of whoever makes its subscription."""

    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)


class AsyncPubSubBackend:
    """A connection that publishes and listens, for asyncio."""

    def __init__(self, channels: Channels, port: AsyncPort, listener: AsyncListener) -> None:
        self._channels = channels
        self._port = port
        self._listener = listener
        self._lines: dict[str, _Line] = {}
        self._closed = False

    async def open(self) -> Capabilities:
        """Probe the server."""
        facts = await arun(probing(*self._channels.needed), self._port.execute)
        return self._channels.promised(facts)

    def interrupt(self) -> None:
        """End every wait."""
        self._listener.interrupt()

    async def close(self) -> None:
        """Stop listening and close the sockets."""
        self._closed = True
        self._listener.interrupt()
        for line in list(self._lines.values()):
            if line.subscription is not None:
                await line.subscription.close()
        await self._port.close()

    async def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Sequence[Enqueued]:
        """Publish jobs."""
        del flush
        replies = await self._port.transact(self._channels.publish(queue, jobs))
        return enqueued(jobs, replies, counts=self._channels.counts)

    async def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Hand over what has arrived."""
        del flush
        line = self._line(queue)
        async with line.lock:
            subscription = await self._listening(line)
            payloads = subscription.receive(request.limit)
            if subscription.broken and not payloads:
                subscription = await self._again(line, subscription)
        return taken(payloads, more=subscription.pending)

    async def subscribe(self, queue: str) -> None:
        """Listen; in effect when this returns."""
        line = self._line(queue)
        async with line.lock:
            await self._listening(line)

    def gaps(self, queue: str) -> int:
        """How often a subscription was made again."""
        return self._line(queue).gaps

    def _line(self, queue: str) -> _Line:
        return self._lines.setdefault(queue, _Line(queue))

    async def _listening(self, line: _Line) -> AsyncSubscription:
        subscription = line.subscription
        if subscription is not None:
            if not subscription.broken:
                return subscription
            await self._drop(line, subscription)
        subscription = await self._listener.listen(self._channels.subscribe(line.queue))
        line.heard_by(subscription)
        if self._closed:
            await subscription.close()
        return subscription

    async def _again(self, line: _Line, broken: AsyncSubscription) -> AsyncSubscription:
        """Listen again at once; where that would be a loop, leave it to the back-off above."""
        await self._drop(line, broken)
        if broken.pulse.is_young():
            raise NotSent(f"the subscription broke: {broken.broken}")
        return await self._listening(line)

    async def _drop(self, line: _Line, subscription: AsyncSubscription) -> None:
        line.lost(subscription.broken)
        await subscription.close()

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until something arrives; not at all where nobody listens yet."""
        heard = [self._line(queue).subscription for queue in queues]
        listening = [subscription for subscription in heard if subscription is not None]
        if len(listening) == len(queues) and not self._closed:
            await self._listener.watch(listening, timeout)

    async def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Nothing is left to be done."""
        del queue, flush
        return ended(steps)

    async def health(self) -> Mapping[str, Any]:
        """How long one exchange takes."""
        began = time.perf_counter()
        await self._port.execute(("PING",))
        return {"latency": time.perf_counter() - began}

    def classify(self, error: BaseException) -> Fault | None:
        """What an error means."""
        return fault_of(error)

    def native(self, kind: type[N]) -> N | None:
        """A ``redis.asyncio.Redis`` over the pool that publishes."""
        return self._port.native(kind)
