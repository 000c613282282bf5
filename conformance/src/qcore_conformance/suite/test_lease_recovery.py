"""Recovery: what a lost consumer held comes back, whoever is left and whatever else is held."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.scenes import CLOCKS, LONG, pass_time, quiet, taken, taking_ahead
from qcore_conformance.waiting import scaled


@invariant("Q-LEASE-06")
def test_jobs_taken_ahead_do_not_run_out_while_they_wait(bed: Bed) -> None:
    """Each is started once, though together they take longer than their lease."""
    queue, other = bed.queue(), bed.connect().queue("q")
    started, lease = list[str](), max(4 * bed.lease, scaled(4.0))

    with queue.consume(prefetch=20, lease=lease) as consumer:
        delivery = taking_ahead(consumer, queue, 4)
        ahead = 4 - _left(other)
        if ahead < 2:
            raise NotApplicable("this adapter takes nothing ahead")
        for place in range(ahead):
            started.append(delivery.job.id)
            assert quiet(other, lease / 3)
            delivery.ack()
            if place < ahead - 1:
                delivery = next(consumer)

    assert len(set(started)) == ahead
    assert quiet(other, lease + bed.slack)


def _left(queue: qcore.Queue) -> int:
    """Take and ack what nobody has taken yet; how many that were."""
    count = 0
    while (delivery := queue.reserve(timeout=0.0)) is not None:
        delivery.ack()
        count += 1
    return count


@invariant("Q-LEASE-07")
def test_many_live_leases_do_not_hide_a_dead_one(bed: Bed) -> None:
    """Though all of them are older and longer."""
    queue, other = bed.queue(), bed.connect().queue("q")
    held = _hold(queue, bed.many(10_000), bed.capabilities.limits.batch)
    dead = queue.enqueue(b"dead")
    asked = time.monotonic()
    taken(queue, bed.lease)

    found = taken(other, LONG)

    late = time.monotonic() - asked - bed.lease
    bed.figure(f"recovery among {len(held)} leases", late * 1000, "ms")
    assert found.job.id == dead
    assert -CLOCKS <= late <= bed.recovery
    found.ack()
    for start in range(0, len(held), 1000):
        assert all(queue.ack_many(held[start : start + 1000]))


def _hold(queue: qcore.Queue, count: int, batch: int) -> list[qcore.Receipt]:
    """Enqueue jobs and hold them for long."""
    for start in range(0, count, batch):
        queue.enqueue_many([b""] * min(batch, count - start))
    held: list[qcore.Receipt] = []
    while len(held) < count:
        found = queue.reserve_many(min(batch, count - len(held)), timeout=0.0, lease=10 * LONG)
        held += [delivery.receipt for delivery in found]
    return held


@invariant("Q-LEASE-11")
def test_a_consumer_that_sleeps_recovers_what_others_lost(bed: Bed) -> None:
    """The only one that is left, which slept before the other one was gone."""
    queue = bed.queue()
    gone = bed.connect()
    job_id = queue.enqueue(b"")

    with ThreadPoolExecutor(1) as pool:
        asked = time.monotonic()
        taken(gone.queue("q"), 2 * bed.lease)
        sleeper = pool.submit(taken, queue, LONG)
        pass_time(asked + bed.lease)
        gone.close()
        again = sleeper.result()

    late = time.monotonic() - asked - 2 * bed.lease
    bed.figure("recovery by a sleeping consumer", late * 1000, "ms")
    assert again.job.id == job_id
    assert -CLOCKS <= late <= bed.recovery
    again.ack()


@invariant("Q-LEASE-11")
def test_a_consumer_that_is_busy_recovers_what_others_lost(bed: Bed) -> None:
    """The only one that is left, which never finds its queue empty."""
    queue = bed.queue()
    gone = bed.connect()
    lost = queue.enqueue(b"lost")
    asked = time.monotonic()
    taken(gone.queue("q"), bed.lease)
    gone.close()
    queue.enqueue_many([b"more"] * 200)

    found, worked = False, 0
    while not found and time.monotonic() - asked < bed.lease + scaled(10.0):
        batch = queue.reserve_many(5, timeout=0.0, lease=LONG)
        if not batch:
            raise Unknown("the consumer was not kept busy")
        found = lost in [delivery.job.id for delivery in batch]
        queue.ack_many(batch)
        queue.enqueue_many([b"more"] * len(batch))
        worked += len(batch)

    late = time.monotonic() - asked - bed.lease
    bed.figure("recovery by a busy consumer", late * 1000, "ms")
    assert found, f"not among {worked} jobs"
    assert late <= bed.recovery
