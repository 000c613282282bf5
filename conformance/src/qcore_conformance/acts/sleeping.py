"""Workers that sleep until a job comes."""

from __future__ import annotations

from qcore_conformance.workers import Part

__all__ = ["sleep_until_a_job_comes"]


def sleep_until_a_job_comes(part: Part, lease: float) -> None:
    """Sleep on an empty queue, and ack what comes."""
    queue = part.queue()
    part.say("sleeps")
    delivery = queue.reserve(lease=lease)
    delivery.ack()
    part.say("came", (delivery.job.id, delivery.attempt, delivery.crashes))
    part.linger()
