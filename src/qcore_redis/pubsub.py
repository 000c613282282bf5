"""The Pub/Sub adapter for callers that block.

``take`` subscribes when nobody listened before, so that the first one finds nothing; call
``subscribe`` before others enqueue. It hands over what has arrived and leaves the rest in the
socket. A broken subscription is made again by the next ``take``, and ``NotSent`` if that fails.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import attrs

from qcore.backend import Enqueue, Enqueued, Fault, Flush, Settle, Taken, TakeRequest
from qcore.capabilities import Capabilities
from qcore.sansio import run
from qcore_redis.channels import Channels, Line, ended, enqueued, taken
from qcore_redis.faults import NotSent, fault_of
from qcore_redis.ports.listening import Listener, Subscription
from qcore_redis.ports.sync import SyncPort
from qcore_redis.probe import probing

__all__ = ["PubSubBackend"]

N = TypeVar("N")


@attrs.define(eq=False)
class _Line(Line[Subscription]):
    """A queue, and the lock of whoever makes its subscription."""

    lock: threading.Lock = attrs.field(factory=threading.Lock)


class PubSubBackend:
    """A connection that publishes and listens, for callers that block."""

    def __init__(self, channels: Channels, port: SyncPort, listener: Listener) -> None:
        self._channels = channels
        self._port = port
        self._listener = listener
        self._lines: dict[str, _Line] = {}
        self._closed = threading.Event()

    def open(self) -> Capabilities:
        """Probe the server."""
        facts = run(probing(*self._channels.needed), self._port.execute)
        return self._channels.promised(facts)

    def interrupt(self) -> None:
        """End every wait."""
        self._listener.interrupt()

    def close(self) -> None:
        """Stop listening and close the sockets."""
        self._closed.set()
        self._listener.interrupt()
        for line in list(self._lines.values()):
            if line.subscription is not None:
                line.subscription.close()
        self._port.close()

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """Publish jobs."""
        del flush
        replies = self._port.transact(self._channels.publish(queue, jobs))
        return enqueued(jobs, replies, counts=self._channels.counts)

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Hand over what has arrived."""
        del flush
        line = self._line(queue)
        with line.lock:
            subscription = self._listening(line)
            payloads = subscription.receive(request.limit)
            if subscription.broken and not payloads:
                subscription = self._again(line, subscription)
        return taken(payloads, more=subscription.pending)

    def subscribe(self, queue: str) -> None:
        """Listen; in effect when this returns."""
        line = self._line(queue)
        with line.lock:
            self._listening(line)

    def gaps(self, queue: str) -> int:
        """How often a subscription was made again."""
        return self._line(queue).gaps

    def _line(self, queue: str) -> _Line:
        return self._lines.setdefault(queue, _Line(queue))

    def _listening(self, line: _Line) -> Subscription:
        subscription = line.subscription
        if subscription is not None:
            if not subscription.broken:
                return subscription
            self._drop(line, subscription)
        subscription = self._listener.listen(self._channels.subscribe(line.queue))
        line.heard_by(subscription)
        if self._closed.is_set():
            subscription.close()
        return subscription

    def _again(self, line: _Line, broken: Subscription) -> Subscription:
        """Listen again at once; where that would be a loop, leave it to the back-off above."""
        self._drop(line, broken)
        if broken.pulse.is_young():
            raise NotSent(f"the subscription broke: {broken.broken}")
        return self._listening(line)

    def _drop(self, line: _Line, subscription: Subscription) -> None:
        line.lost(subscription.broken)
        subscription.close()

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until something arrives; not at all where nobody listens yet."""
        heard = [self._line(queue).subscription for queue in queues]
        listening = [subscription for subscription in heard if subscription is not None]
        if len(listening) == len(queues) and not self._closed.is_set():
            self._listener.watch(listening, timeout)

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Nothing is left to be done."""
        del queue, flush
        return ended(steps)

    def health(self) -> Mapping[str, Any]:
        """How long one exchange takes."""
        began = time.perf_counter()
        self._port.execute(("PING",))
        return {"latency": time.perf_counter() - began}

    def classify(self, error: BaseException) -> Fault | None:
        """What an error means."""
        return fault_of(error)

    def native(self, kind: type[N]) -> N | None:
        """A ``redis.Redis`` over the pool that publishes."""
        return self._port.native(kind)
