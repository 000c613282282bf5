"""Workers that die of a job: by their own hand, with the job in it."""

from __future__ import annotations

import os
import signal

import qcore
from qcore_conformance.scenes import taken
from qcore_conformance.workers import Part

from .holding import begun

__all__ = ["POISON", "SHORT", "die_of_a_reserved_one", "die_while_consuming"]

POISON = b"poison"
SHORT = b"short"
"""The body of jobs that only let a consumer find its pace."""


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_consuming(part: Part, lease: float | None, *, at_once: bool) -> None:
    """Ack jobs as they come, taken ahead; one of them kills us, at once or after a while."""
    queue = part.queue()
    with queue.consume(prefetch=20, lease=lease) as consumer:
        for delivery in consumer:
            if delivery.job.body == POISON:
                part.say("poison", (delivery.attempt, delivery.crashes, _beside(queue, delivery)))
                if not at_once:
                    begun(delivery)
                _die()
            if delivery.job.body != SHORT:
                part.say("done", (delivery.job.body, delivery.attempt, delivery.crashes))
            delivery.ack()


def _beside(queue: qcore.Queue, delivery: qcore.Delivery) -> int:
    """How many jobs are held beside one that has to be alone."""
    return queue.stats().held - 1 if delivery.crashes else 0


def die_of_a_reserved_one(part: Part, lease: float | None) -> None:
    """Die of the first job that comes."""
    delivery = taken(part.queue(), lease)
    part.say("poison", (delivery.attempt, delivery.crashes))
    _die()
