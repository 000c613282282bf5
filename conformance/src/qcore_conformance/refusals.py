"""Which calls need which capability: what an adapter without it has to refuse.

Every capability has a line, so that a new one cannot be forgotten; where it is empty no call
needs the capability, and only ``connect(url, require=...)`` can ask for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

import qcore

__all__ = ["FORMS", "Form", "Scene"]


@attrs.frozen
class Scene:
    """What a refused call may be made on.

    Attributes:
        connection: An open connection.
        queue: A queue of it.
        delivery: A job of that queue, in hand.
    """

    connection: qcore.Connection
    queue: qcore.Queue
    delivery: qcore.Delivery

    def settle(self, verb: str, seconds: float = 0.0) -> object:
        """Settle the job in hand as one of many."""
        return self.queue.settle_many([qcore.Settlement(self.delivery, qcore.Verb(verb), seconds)])

    def put(self, **options: Any) -> object:
        """Enqueue a job with options as one of many, behind one without."""
        return self.queue.enqueue_many([b"plain", qcore.NewJob(b"refused", **options)])


Form = Callable[[Scene], object]

_ENDLESS = qcore.RetryPolicy(max_attempts=None)
_FOREVER = 4_000_000_000.0
_FULL = qcore.Gate("acme", concurrency=2)
_OFTEN = qcore.Gate("acme", rate=2, window=60.0)
_BOTH = qcore.Join(2, "left")

FORMS: Mapping[str, Sequence[Form]] = {
    "delivery": (),
    "settlement": (),
    "durability": (),
    "scope": (),
    "order": (),
    "reentry": (),
    "wake": (),
    "fenced": (),
    "lease": (
        lambda scene: scene.queue.reserve(timeout=0.0, lease=1.0),
        lambda scene: scene.queue.reserve_many(2, timeout=0.0, lease=1.0),
        lambda scene: scene.queue.consume(lease=1.0),
    ),
    "extend": (
        lambda scene: scene.delivery.extend(1.0),
        lambda scene: scene.settle("extend", 1.0),
    ),
    "release": (
        lambda scene: scene.delivery.release(),
        lambda scene: scene.settle("release"),
    ),
    "retry": (
        lambda scene: scene.delivery.retry(),
        lambda scene: scene.delivery.retry(1.0, "why"),
        lambda scene: scene.settle("retry", 1.0),
        lambda scene: scene.connection.queue("q", retry=_ENDLESS),
    ),
    "dead_letter": (
        lambda scene: scene.delivery.dead_letter("why"),
        lambda scene: scene.settle("dead_letter"),
        lambda scene: scene.queue.remove([scene.delivery.job.id]),
    ),
    "redrive": (
        lambda scene: scene.queue.redrive(),
        lambda scene: scene.queue.redrive(where=lambda _: True),
        lambda scene: scene.queue.redrive([scene.delivery.job.id]),
    ),
    "attempts": (),
    "delay": (
        lambda scene: scene.queue.enqueue(b"refused", delay=1.0),
        lambda scene: scene.queue.enqueue(b"refused", at=_FOREVER),
        lambda scene: scene.put(delay=1.0),
    ),
    "priority": (
        lambda scene: scene.queue.enqueue(b"refused", priority=1),
        lambda scene: scene.queue.enqueue(b"refused", priority=-1),
        lambda scene: scene.put(priority=4),
    ),
    "idempotent_id": (
        lambda scene: scene.queue.enqueue(b"refused", id="my-id"),
        lambda scene: scene.put(id="my-id"),
    ),
    "dedup": (
        lambda scene: scene.queue.enqueue(b"refused", dedup="my-key"),
        lambda scene: scene.put(dedup="my-key"),
    ),
    "replay": (),
    "stats": (
        lambda scene: scene.queue.stats(),
        lambda scene: scene.connection.queues(),
    ),
    "peek": (
        lambda scene: scene.queue.peek(),
        lambda scene: scene.queue.peek("dead", limit=1, offset=1),
    ),
    "purge": (
        lambda scene: scene.queue.purge(),
        lambda scene: scene.queue.purge("dead"),
    ),
    "pause": (
        lambda scene: scene.queue.pause(),
        lambda scene: scene.queue.resume(),
    ),
    "cancel": (lambda scene: scene.queue.cancel(scene.delivery.job.id),),
    "ttl": (
        lambda scene: scene.queue.enqueue(b"refused", ttl=1.0),
        lambda scene: scene.put(ttl=1.0),
    ),
    "reschedule": (
        lambda scene: scene.queue.reschedule(scene.delivery.job.id, delay=1.0),
        lambda scene: scene.queue.reschedule(scene.delivery.job.id, at=_FOREVER),
    ),
    "fair": (
        lambda scene: scene.queue.enqueue(b"refused", tenant="acme"),
        lambda scene: scene.put(tenant="acme"),
    ),
    "at_front": (
        lambda scene: scene.queue.enqueue(b"refused", front=True),
        lambda scene: scene.put(front=True),
    ),
    "concurrency": (
        lambda scene: scene.queue.enqueue(b"refused", gate=_FULL),
        lambda scene: scene.put(gate=_FULL),
    ),
    "rate": (
        lambda scene: scene.queue.enqueue(b"refused", gate=_OFTEN),
        lambda scene: scene.put(gate=_OFTEN),
    ),
    "records": (
        lambda scene: scene.queue.enqueue(b"refused", keep=qcore.Keep()),
        lambda scene: scene.put(keep=qcore.Keep()),
        lambda scene: scene.connection.queue("q", keep=qcore.Keep()),
        lambda scene: scene.queue.get(scene.delivery.job.id),
        lambda scene: scene.queue.get_many([scene.delivery.job.id]),
        lambda scene: scene.queue.wait(scene.delivery.job.id, timeout=0.0),
    ),
    "move": (
        lambda scene: scene.queue.move("elsewhere"),
        lambda scene: scene.queue.move("elsewhere", "dead", limit=1),
    ),
    "then": (
        lambda scene: scene.delivery.then("elsewhere", b"refused"),
        lambda scene: scene.delivery.then("q", qcore.NewJob(b"refused")),
        lambda scene: scene.delivery.then("elsewhere"),
    ),
    "tell": (
        lambda scene: scene.delivery.tell("news", b"refused"),
        lambda scene: scene.delivery.tell("news", b"refused", {"a": "b"}),
    ),
    "join": (
        lambda scene: scene.queue.enqueue(b"refused", id="end", join=_BOTH),
        lambda scene: scene.put(id="end", join=_BOTH),
    ),
    "groups": (
        lambda scene: scene.queue.subscribe("all"),
        lambda scene: scene.queue.subscribe("new"),
        lambda scene: scene.queue.rewind("all"),
        lambda scene: scene.queue.unsubscribe(),
        lambda scene: scene.queue.groups(),
        lambda scene: scene.queue.group("billing"),
    ),
    "history": (
        lambda scene: scene.queue.history(),
        lambda scene: scene.queue.history(newest_first=True),
        lambda scene: scene.queue.lookup(scene.delivery.job.id),
    ),
    "take_at_full_memory": (),
    "thread_safe": (),
    "receivers": (),
    "gap": (),
}
"""The calls that need a capability, by its name."""
