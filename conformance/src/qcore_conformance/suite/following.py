"""What tests of jobs that follow others have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.scenes import LONG, at_once, quiet, taken

__all__ = [
    "UNNAMEABLE",
    "acked_again",
    "arrived",
    "bodies_of",
    "follow",
    "in_hand",
    "long_lease",
    "nothing_follows",
    "two_queues",
    "won_by_acks",
]

UNNAMEABLE = ("a b", "", None, "n" * 129, "*")
"""What names no queue and no topic."""


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


def acked_again(bed: Bed, source: qcore.Queue, hand: qcore.Delivery) -> None:
    """Ack what is done by the delivery, by its receipt and elsewhere; none of it counts."""
    with pytest.raises(qcore.LeaseLost):
        hand.ack()
    assert source.ack_many([hand, hand.receipt]) == [False, False]
    assert bed.connect().queue("q").ack_many([hand.receipt]) == [False]


def won_by_acks(
    bed: Bed, source: qcore.Queue, prepare: Callable[[qcore.Delivery, int], None]
) -> list[int]:
    """Let the ack and the retry of one delivery race, many times.

    Args:
        bed: The test bed.
        source: The queue ``q``.
        prepare: Says what the ack of a delivery brings with it; is given the number of the race.

    Returns:
        The races that the ack won; the jobs of the others are done behind them.

    Raises:
        Unknown: If one side won every race.
    """
    rivals, won, races = [source, bed.connect().queue("q")], list[int](), bed.many(40)
    for number in range(races):
        hand = in_hand(bed, source)
        prepare(hand, number)
        ack = partial(source.ack_many, [hand])
        settlement = qcore.Settlement(hand.receipt, qcore.Verb.RETRY)
        retry = partial(rivals[number % 2].settle_many, [settlement])
        first, second = at_once(*((ack, retry) if number % 4 < 2 else (retry, ack)))
        assert sorted([first, second]) == [[False], [True]]
        if (first if number % 4 < 2 else second) == [True]:
            won.append(number)
        else:
            taken(source).ack()
    bed.figure("races won by ack", len(won), "races")
    if len(won) in (0, races):
        raise Unknown(f"one side won every race: {len(won)}")
    return won
