"""Resources: what a queue and its users leave behind when they are done: next to nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.measuring import Footprint, open_descriptors, resident_bytes
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, taken
from qcore_conformance.waiting import scaled

_SOME = 1 << 20
"""Bytes that a process may grow by for reasons of its own."""


def _leftovers(bed: Bed, namespace: str) -> Sequence[str]:
    """What a namespace leaves behind, by names that do not tell which namespace it was."""
    found = bed.harness.leftovers(f"{bed.namespace}-{namespace}")
    if found is None:
        raise NotRun("the harness cannot tell what is stored")
    return sorted(name.replace(f"{bed.namespace}-{namespace}", "NAMESPACE") for name in found)


@invariant("Q-RES-01")
def test_a_drained_queue_leaves_only_what_is_declared(bed: Bed) -> None:
    """After a life with everything that can happen to a job."""
    _leftovers(bed, "n")
    connection = bed.connect(bed.url_in("n"))
    queue = connection.queue("q")
    queue.subscribe()
    queue.enqueue_many([b""] * 50)
    _live(bed, queue)
    drained(queue)
    with queue.consume(prefetch=10) as consumer:
        queue.enqueue(b"")
        next(consumer).ack()

    connection.close()

    left = _leftovers(bed, "n")
    residue = bed.harness.residue()
    assert [one for one in left if not any(fnmatchcase(one, each) for each in residue)] == []


def _live(bed: Bed, queue: qcore.Queue) -> None:
    """Let happen whatever can happen here."""
    if bed.claims("delay", "priority"):
        queue.enqueue_many([qcore.NewJob(b"", delay=0.1, priority=level) for level in range(-4, 5)])
    if bed.claims("dedup", "idempotent_id"):
        queue.enqueue_many([qcore.NewJob(b"", id="mine", dedup="key")] * 2)
    if bed.claims("release", "retry", "lease"):
        taken(queue, LONG).release()
        taken(queue, LONG).retry(0.05, "why")
        taken(queue, bed.lease)
        pass_time(time.monotonic() + bed.lease + bed.slack)
    if bed.claims("dead_letter", "redrive", "purge"):
        taken(queue, LONG).dead_letter("why")
        queue.redrive()
        taken(queue, LONG).dead_letter("why")
        queue.purge("dead")


@invariant("Q-RES-01")
def test_what_stays_does_not_grow_with_jobs_or_consumers(bed: Bed) -> None:
    """Many jobs by as many consumers leave what one job by one consumer leaves."""
    _leftovers(bed, "one")
    _used(bed, "one", 1)
    many = bed.many(1000)

    at_once(*(partial(_used, bed, "many", many // 4) for _ in range(4)))

    bed.figure("consumers that came and went", many // 4 * 4, "")
    assert _leftovers(bed, "many") == _leftovers(bed, "one")


def _used(bed: Bed, namespace: str, times: int) -> None:
    """Use a queue so many times, each time by a connection of its own, with a job of its own."""
    for _ in range(times):
        connection = bed.connect(bed.url_in(namespace))
        queue = connection.queue("q")
        queue.subscribe()
        queue.enqueue(b"")
        taken(queue).ack()
        connection.close()


@invariant("Q-RES-02")
def test_a_connection_opens_no_more_than_declared(bed: Bed) -> None:
    """With some who wait and as many who work at the same time."""
    declared = bed.harness.descriptors(16)
    if declared is None:
        raise NotRun("the harness promises nothing about open files and sockets")
    _used(bed, "before", 1)
    before = open_descriptors()
    connection = bed.connect()
    queues = [connection.queue(f"q{number}") for number in range(8)]
    for queue in queues:
        queue.subscribe()
    blocked = [bed.start(partial(queue.reserve, timeout=None)) for queue in queues]
    pass_time(time.monotonic() + 0.1)

    def work() -> int:
        most = 0
        for _ in range(bed.many(50)):
            connection.queue("other").enqueue(b"")
            most = max(most, open_descriptors() - before)
        return most

    most = max(at_once(*[work] * 8))
    connection.close()

    assert all(isinstance(one.exception(scaled(10.0)), qcore.Closed) for one in blocked)
    bed.figure("descriptors of a connection with 16 callers", most, f"of {declared}")
    assert most <= declared
    bed.until(lambda: open_descriptors() <= before, "all that was opened is closed")


@invariant("Q-RES-02")
def test_opening_and_closing_leaks_nothing(bed: Bed) -> None:
    """A thousand times, each time with some work in between."""
    _used(bed, "n", 5)
    before = Footprint.now()
    times = bed.many(1000)
    began = time.monotonic()

    _used(bed, "n", times)

    bed.figure("open, one job, close", round((time.monotonic() - began) / times * 1000, 3), "ms")
    bed.until(lambda: not Footprint.now().exceeds(before), f"no more is open than {before}")


def _soon_forgotten(bed: Bed, url: str) -> str:
    """A URL whose queues do not keep what is done; a log keeps it until retention."""
    if not bed.claims("history"):
        return url
    if all(one.name != "retention_count" for one in bed.connection.adapter.parameters):
        raise NotApplicable("what is done stays, and nobody can tell the adapter for how long")
    return f"{url}&retention_count=1"


@invariant("Q-RES-03")
def test_jobs_that_are_done_take_no_memory(bed: Bed) -> None:
    """Neither here nor at the broker, whose queue has been long in between."""
    total, namespace = bed.many(100_000), f"{bed.namespace}-n"
    connection = bed.connect(_soon_forgotten(bed, bed.url_in("n")))
    queue = connection.queue("q")
    queue.subscribe()
    for _ in range(2):
        _through(bed, queue, min(total, 10_000))
    resident, stored = resident_bytes(), bed.harness.stored_bytes(namespace)
    footprint, began = Footprint.now(), time.monotonic()

    for start in range(0, total, 10_000):
        _through(bed, queue, min(10_000, total - start))

    bed.figure("jobs that came and went", total, "")
    bed.figure("rate", round(total / (time.monotonic() - began)), "/s")
    grown = resident_bytes() - resident
    bed.figure("growth of this process", round(grown / (1 << 20), 2), "MiB")
    assert grown <= resident * 0.1 + _SOME
    if stored is not None:
        now = bed.harness.stored_bytes(namespace)
        bed.figure("stored before and after", stored, f"{now} bytes")
        assert now is not None
        assert now <= stored * 1.1
    bed.until(lambda: not Footprint.now().exceeds(footprint), f"no more is open than {footprint}")


def _through(bed: Bed, queue: qcore.Queue, count: int) -> None:
    """Put so many jobs in, and take all of them out."""
    size = min(1000, bed.capabilities.limits.batch)
    for start in range(0, count, size):
        queue.enqueue_many([b"." * 100] * min(size, count - start))
    found = 0
    while found < count:
        batch = queue.reserve_many(size, scaled(10.0), LONG if bed.claims("lease") else None)
        assert batch, f"{found} of {count} jobs came"
        assert all(queue.ack_many(batch))
        found += len(batch)
