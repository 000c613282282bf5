"""Leases: a job in hand is nobody else's, for exactly as long as it was asked for."""

from __future__ import annotations

import random
import time
from functools import partial

import attrs
import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.scenes import CLOCKS, LONG, at_once, pass_time, quiet, taken
from qcore_conformance.waiting import scaled


@invariant("Q-LEASE-01")
def test_nobody_gets_a_job_while_it_is_leased(bed: Bed) -> None:
    """Neither who asks all the time nor who sleeps; afterwards one of them does."""
    queue = bed.queue()
    queue.enqueue(b"")
    found: list[tuple[float, qcore.Delivery]] = []

    def seek(other: qcore.Queue, patience: float) -> None:
        deadline = time.monotonic() + bed.lease + scaled(10.0)
        while not found and time.monotonic() < deadline:
            if delivery := other.reserve(timeout=patience, lease=LONG):
                found.append((time.monotonic(), delivery))

    asked = time.monotonic()
    taken(queue, bed.lease)
    at_once(*(partial(seek, bed.connect().queue("q"), scaled(one)) for one in (0, 0.1, 2)))

    assert len(found) == 1
    came, again = found[0]
    bed.figure("recovery after the lease", (came - asked - bed.lease) * 1000, "ms")
    assert came - asked >= bed.lease - CLOCKS
    again.ack()


@attrs.frozen
class _Holding:
    """One delivery as its holder saw it."""

    job: str
    number: int
    asked: float
    came: float


@invariant("Q-LEASE-01")
def test_leases_of_one_job_never_overlap(bed: Bed) -> None:
    """Many jobs, many consumers, some of which drop what they took."""
    ids = bed.queue().enqueue_many([b"%d" % number for number in range(40)])
    held, acked, lease = list[_Holding](), list[str](), 3 * bed.lease

    def work(seed: int) -> None:
        queue, chance = bed.connect().queue("q"), random.Random(seed)
        deadline = time.monotonic() + scaled(30.0)
        while len(acked) < len(ids) and time.monotonic() < deadline:
            asked = time.monotonic()
            delivery = queue.reserve(timeout=scaled(0.2), lease=lease)
            if delivery is None:
                continue
            held.append(_Holding(delivery.job.id, delivery.number, asked, time.monotonic()))
            if (delivery.number > 1 or chance.random() < 0.5) and queue.ack_many([delivery])[0]:
                acked.append(delivery.job.id)

    at_once(*(partial(work, seed) for seed in range(4)))

    assert sorted(acked) == sorted(ids)
    assert len(held) > len(ids)
    by_number = {(one.job, one.number): one for one in held}
    early = [
        (before, after)
        for (job, number), before in by_number.items()
        if (after := by_number.get((job, number + 1))) is not None
        and after.came - before.asked < lease - CLOCKS
    ]
    assert len(by_number) == len(held)
    assert early == []


@invariant("Q-LEASE-03")
def test_extend_keeps_a_job_hidden(bed: Bed) -> None:
    """For as long as it says, from when it was said."""
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue(b"")
    delivery = taken(queue, 2 * bed.lease)
    pass_time(time.monotonic() + bed.lease / 2)

    asked = time.monotonic()
    delivery.extend(2 * bed.lease)
    again = taken(other, LONG)

    assert time.monotonic() - asked >= 2 * bed.lease - CLOCKS
    assert delivery.lost
    again.ack()


@invariant("Q-LEASE-03")
def test_extend_after_the_end_is_refused(bed: Bed) -> None:
    """Although nobody else has taken the job; it stays free for others."""
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue(b"")
    delivery = taken(queue, bed.lease)
    pass_time(time.monotonic() + bed.lease + CLOCKS)

    with pytest.raises(qcore.LeaseLost):
        delivery.extend(LONG)
    assert queue.settle_many([_extension(delivery)]) == [False]

    assert delivery.lost
    taken(other, LONG).ack()
    assert quiet(queue)


@invariant("Q-LEASE-03")
def test_extend_does_not_take_a_job_back(bed: Bed) -> None:
    """Whoever has it now keeps it, and can settle it."""
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue(b"")
    delivery = taken(queue, bed.lease)
    again = taken(other, LONG)

    with pytest.raises(qcore.LeaseLost):
        delivery.extend(LONG)
    assert queue.settle_many([_extension(delivery), _extension(delivery.receipt)]) == [False, False]

    again.extend(LONG)
    again.ack()
    assert quiet(queue)


def _extension(delivery: object) -> qcore.Settlement:
    return qcore.Settlement(delivery, qcore.Verb.EXTEND, LONG)


@invariant("Q-LEASE-04")
def test_a_long_job_is_delivered_once(bed: Bed) -> None:
    """Work inside ``with`` and work for a consumer keep the lease, however short; uncounted."""
    lease = 2 * bed.lease

    def inside_with() -> None:
        queue, other = bed.queue("with"), bed.connect().queue("with")
        queue.enqueue(b"")
        with taken(queue, lease) as delivery:
            assert quiet(other, 5 * lease)
            assert not delivery.lost
        assert quiet(other, lease + bed.slack)

    def for_a_consumer() -> None:
        queue, other = bed.queue("consumer"), bed.connect().queue("consumer")
        queue.enqueue(b"")
        with queue.consume(lease=lease) as consumer:
            delivery = next(consumer)
            assert quiet(other, 5 * lease)
            assert not delivery.lost
            if not bed.claims("release", "attempts"):
                delivery.ack()
                return
            delivery.release()
        again = taken(other, LONG)
        assert (again.number, again.attempt) == (2, 1)
        again.ack()

    at_once(inside_with, for_a_consumer)


@invariant("Q-LEASE-04")
def test_jobs_of_one_id_in_two_queues_are_both_kept(bed: Bed) -> None:
    """Ids are unique within a queue; one connection may hold both."""
    lease, other = 2 * bed.lease, bed.connect()
    connection = bed.connect()
    for name in ("a", "b"):
        connection.queue(name).enqueue(b"", id="same")

    with taken(connection.queue("a"), lease) as one, taken(connection.queue("b"), lease) as two:
        seek = (partial(quiet, other.queue(name), 3 * lease) for name in ("a", "b"))
        assert at_once(*seek) == [True, True]
        assert not one.lost
        assert not two.lost
