"""Workers that hold jobs, by one call or by a consumer that takes ahead."""

from __future__ import annotations

from functools import partial

import qcore
from qcore_conformance.scenes import LONG, taken, taking_ahead
from qcore_conformance.waiting import wait_until
from qcore_conformance.workers import Part

__all__ = [
    "ack_and_hold",
    "begun",
    "hear",
    "hold",
    "hold_for_ever",
    "retry_and_stay",
    "take_ahead",
    "taken_together",
]


def taken_together(queue: qcore.Queue, count: int, lease: float | None) -> list[qcore.Delivery]:
    """Take so many jobs that must be there, in as few calls as the adapter allows."""
    found: list[qcore.Delivery] = []
    while len(found) < count:
        batch = queue.reserve_many(count - len(found), 5.0, lease)
        if not batch:
            raise AssertionError(f"only {len(found)} of {count} jobs came")
        found += batch
    return found


def hold(part: Part, count: int, lease: float | None) -> None:
    """Take so many jobs, and do nothing with them."""
    queue = part.queue()
    part.await_go()
    found = taken_together(queue, count, lease)
    part.say("holds", sorted(one.job.id for one in found))
    part.linger()


def ack_and_hold(part: Part, count: int, acked: int, lease: float | None) -> None:
    """Take so many jobs, ack some of them one by one and the same number together."""
    queue = part.queue()
    found = taken_together(queue, count, lease)
    for one in found[:acked]:
        one.ack()
    together = found[acked : 2 * acked]
    if not all(queue.ack_many(together)):
        raise AssertionError("an ack was refused")
    part.say("acked", sorted(one.job.id for one in found[: 2 * acked]))
    part.linger()


def retry_and_stay(part: Part, delay: float, lease: float | None) -> None:
    """Give a job back for later."""
    queue = part.queue()
    delivery = taken(queue, lease)
    part.await_go()
    delivery.retry(delay, "it failed")
    part.say("retried")
    part.linger()


def begun(delivery: qcore.Delivery) -> None:
    """Return when the broker surely knows that work on a delivery of a consumer has begun.

    What keeps leases tells the broker in order, so that it has told of the start before the
    second beat from here on.
    """
    for _ in range(2 if delivery.can_be_kept else 0):
        kept = partial(_kept_since, delivery, delivery.until)
        wait_until(kept, within=LONG, what="the lease is kept")


def _kept_since(delivery: qcore.Delivery, until: float) -> bool:
    return delivery.until > until


def take_ahead(part: Part, count: int, lease: float | None) -> None:
    """Work on the first of so many jobs of our own, with the others taken ahead behind it."""
    queue = part.queue()
    with queue.consume(prefetch=20, lease=lease) as consumer:
        first = taking_ahead(consumer, queue, count)
        begun(first)
        part.say("began", first.job.id)
        part.linger()


def hold_for_ever(part: Part, lease: float | None) -> None:
    """Keep a job through a consumer for as long as we live."""
    with part.queue().consume(lease=lease) as consumer:
        part.say("holds", next(consumer).job.id)
        part.linger()


def hear(part: Part, count: int) -> None:
    """Listen, and take so many of the jobs that are heard."""
    queue = part.queue()
    queue.subscribe()
    part.await_go()
    part.say("holds", [taken(queue).job.id for _ in range(count)])
    part.linger()
