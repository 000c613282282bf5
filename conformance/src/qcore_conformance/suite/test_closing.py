"""Closing: what was taken ahead and never started is somebody else's at once."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, quiet, taking_ahead
from qcore_conformance.waiting import scaled

_Close = Callable[[qcore.Connection, qcore.Consumer], None]

_WAYS: dict[str, _Close] = {
    "consumer": lambda _, consumer: consumer.close(),
    "connection": lambda connection, _: connection.close(),
}


@invariant("Q-CLOSE-01")
@pytest.mark.parametrize("what", list(_WAYS))
def test_close_gives_back_what_was_not_started(bed: Bed, what: str) -> None:
    """Uncounted and without waiting for its lease; what was started is kept."""
    if not bed.claims("release"):
        raise NotApplicable("no job can be given back")
    connection, other = bed.connect(), bed.connect().queue("q")
    queue = connection.queue("q")
    lease = LONG if bed.claims("lease") else None

    with queue.consume(prefetch=20, lease=lease) as consumer:
        started = taking_ahead(consumer, queue, 6)
        if bed.claims("stats") and other.stats().held < 2:
            raise NotApplicable("this adapter takes nothing ahead")
        closed = time.monotonic()
        _WAYS[what](connection, consumer)
        assert list(consumer) == []

        found = [found for _ in range(5) for found in other.reserve_many(1, timeout=scaled(5.0))]
        assert time.monotonic() - closed < scaled(10.0)

    assert len({delivery.job.id for delivery in found} | {started.job.id}) == 6
    assert all((one.attempt, one.crashes) == (1, 0) for one in found)
    assert other.ack_many(found) == [True] * 5
    assert quiet(other)


@invariant("Q-CLOSE-01")
def test_a_consumer_that_was_closed_hands_out_nothing_more(bed: Bed) -> None:
    """Its iteration ends, and what it handed out before can still be settled."""
    queue, other = bed.queue(), bed.connect().queue("q")

    with queue.consume(prefetch=20) as consumer:
        started = taking_ahead(consumer, queue, 3)
        consumer.close()
        assert list(consumer) == []
        started.ack()

    assert len(other.reserve_many(10, timeout=scaled(5.0))) == 2
