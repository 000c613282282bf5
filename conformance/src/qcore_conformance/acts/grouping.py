"""Workers that read a log as one of its groups."""

from __future__ import annotations

from qcore_conformance.acts.holding import taken_together
from qcore_conformance.workers import Part

__all__ = ["hold_some"]


def hold_some(part: Part, group: str, acked: int, held: int, lease: float) -> None:
    """As a group, ack so many jobs and keep so many in hand."""
    queue = part.queue().group(group)
    found = taken_together(queue, acked + held, lease)
    if not all(queue.ack_many(found[:acked])):
        raise AssertionError("an ack was refused")
    part.say("acked", [one.job.id for one in found[:acked]])
    part.linger()
