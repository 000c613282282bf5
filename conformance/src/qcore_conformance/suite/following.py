"""What tests of jobs that follow others have in common."""

from __future__ import annotations

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, quiet, taken

__all__ = [
    "arrived",
    "bodies_of",
    "follow",
    "in_hand",
    "long_lease",
    "nothing_follows",
    "two_queues",
]


def two_queues(bed: Bed, *names: str) -> tuple[qcore.Queue, qcore.Queue]:
    """Two queues of one connection."""
    if not bed.claims("then", "stats", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('then', *names)}")
    connection = bed.connect()
    return connection.queue("q"), connection.queue("next")


def in_hand(bed: Bed, queue: qcore.Queue, body: bytes = b"") -> qcore.Delivery:
    """A new job, in hand."""
    queue.enqueue(body)
    return taken(queue, long_lease(bed))


def long_lease(bed: Bed) -> float | None:
    """A lease that does not end during the test, where there are leases."""
    return LONG if bed.claims("lease") else None


def follow(bed: Bed, queue: qcore.Queue, *jobs: object) -> None:
    """Let these follow a job into the other queue, and wait until they are there."""
    hand = in_hand(bed, queue)
    hand.then("next", *jobs)
    hand.ack()
    arrived(bed, queue)


def arrived(bed: Bed, queue: qcore.Queue) -> None:
    """Wait until nothing is on its way from a queue."""
    bed.until(lambda: not queue.stats().outbox, "what follows is in its queues")


def bodies_of(queue: qcore.Queue, count: int) -> list[str]:
    """Take and ack so many, one by one; their bodies."""
    found: list[str] = []
    for _ in range(count):
        with taken(queue) as delivery:
            found.append(delivery.job.body.decode())
    return found


def nothing_follows(source: qcore.Queue, target: qcore.Queue) -> None:
    """See that nothing was enqueued: none is there, and none on its way."""
    assert quiet(target)
    assert (source.stats().outbox, target.stats().enqueued) == (0, 0)
