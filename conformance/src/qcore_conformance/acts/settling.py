"""Workers that settle what they hold when they are told to, in time or too late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import qcore
from qcore_conformance.scenes import LONG, taken, taking_ahead
from qcore_conformance.waiting import wait_until
from qcore_conformance.workers import Part

from .holding import taken_together

__all__ = [
    "LOST",
    "WAYS",
    "consume_again",
    "see_the_loss",
    "settle_each_its_own_way",
    "stop_and_ack",
]

WAYS: Mapping[str, Callable[[qcore.Delivery], None]] = {
    "ack": lambda delivery: delivery.ack(),
    "dead_letter": lambda delivery: delivery.dead_letter("no good"),
    "extend": lambda delivery: delivery.extend(LONG),
    "release": lambda delivery: delivery.release(),
    "retry": lambda delivery: delivery.retry(LONG, "it failed"),
}
"""Every way to settle or keep a delivery, by the capability that it needs; ack needs none."""
LOST = qcore.LeaseLost.code
"""What a settle comes to that is refused because somebody else may have the job."""


def _outcome(way: str, delivery: qcore.Delivery) -> str:
    """The code of the error, or nothing."""
    try:
        WAYS[way](delivery)
    except qcore.QcoreError as error:
        return error.code
    return ""


def settle_each_its_own_way(part: Part, ways: Sequence[str], lease: float | None) -> None:
    """Hold jobs whose bodies say how to settle them; do that when told to, each by itself."""
    found = taken_together(part.queue(), len(ways), lease)
    part.await_go()
    tried = {one.job.body.decode(): one for one in found}
    part.say("tried", {way: _outcome(way, one) for way, one in tried.items()})
    part.linger()


def consume_again(part: Part, count: int, lease: float | None) -> None:
    """Take so many jobs ahead, stop at the first until told to go on, and ack what comes."""
    queue = part.queue()
    with queue.consume(prefetch=20, lease=lease) as consumer:
        delivery = taking_ahead(consumer, queue, count)
        part.await_go()
        while True:
            part.say("settled", (delivery.job.id, _outcome("ack", delivery)))
            delivery = next(consumer)


def stop_and_ack(part: Part, lease: float | None) -> None:
    """Keep a job through a consumer, and ack it when told to."""
    with part.queue().consume(lease=lease) as consumer:
        delivery = next(consumer)
        part.await_go()
        part.say("settled", _outcome("ack", delivery))
        part.linger()


def see_the_loss(part: Part, lease: float | None) -> None:
    """Work on a job for long, and say when it is known to be lost."""
    with taken(part.queue(), lease) as delivery:
        part.await_go()
        wait_until(lambda: delivery.lost, within=LONG, what="the delivery is known to be lost")
        part.say("lost")
        part.linger()
