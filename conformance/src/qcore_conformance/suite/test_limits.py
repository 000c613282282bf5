"""Numeric limits: the limit itself works, one more is refused and leaves nothing behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import drained, taken


@invariant("Q-CAP-04")
def test_the_largest_body_works_and_a_larger_one_is_refused(bed: Bed) -> None:
    """To the byte."""
    queue, most = _listening(bed), bed.capabilities.limits.body
    body = bytes(range(256)) * (most // 256) + b"\x00" * (most % 256)

    _over(queue, lambda: queue.enqueue(body + b"x"))
    queue.enqueue(body)

    assert [delivery.job.body for delivery in drained(queue)] == [body]


@invariant("Q-CAP-04")
def test_the_most_headers_work_and_one_more_is_refused(bed: Bed) -> None:
    """Counted, whatever their size."""
    queue, most = _listening(bed), bed.capabilities.limits.headers
    headers = {f"h{number}": "v" for number in range(most)}

    _over(queue, lambda: queue.enqueue(b"", headers={**headers, "more": "v"}))
    queue.enqueue(b"", headers=headers)

    assert [dict(delivery.job.headers) for delivery in drained(queue)] == [headers]


@invariant("Q-CAP-04")
def test_the_longest_headers_work_and_longer_ones_are_refused(bed: Bed) -> None:
    """To the byte of UTF-8, names and values together."""
    queue, most = _listening(bed), bed.capabilities.limits.header_bytes
    headers = {"ü": "x" * (most - 2)}

    _over(queue, lambda: queue.enqueue(b"", headers={"ü": "x" * (most - 1)}))
    queue.enqueue(b"", headers=headers)

    assert [dict(delivery.job.headers) for delivery in drained(queue)] == [headers]


@invariant("Q-CAP-04")
def test_the_largest_batch_works_and_a_larger_one_is_refused_whole(bed: Bed) -> None:
    """Enqueued, reserved and settled."""
    queue, most = _listening(bed), bed.capabilities.limits.batch
    bodies = [b"%d" % number for number in range(most)]

    _over(queue, lambda: queue.enqueue_many([*bodies, b"more"]))
    _over(queue, lambda: queue.reserve_many(most + 1, timeout=0.0))
    queue.enqueue_many(bodies)

    found: list[qcore.Delivery] = []
    while batch := queue.reserve_many(most, timeout=0.2):
        found += batch
    assert sorted(delivery.job.body for delivery in found) == sorted(bodies)
    with pytest.raises(qcore.LimitExceeded):
        queue.ack_many([*found, found[0]])
    assert queue.ack_many(found) == [True] * most


@invariant("Q-CAP-04")
def test_the_longest_delay_works_and_a_longer_one_is_refused(bed: Bed) -> None:
    """Of a new job, to the second, however it is given."""
    if not bed.claims("delay"):
        raise NotApplicable("no delays to be limited")
    queue, most = _listening(bed), bed.capabilities.limits.delay

    _over(queue, lambda: queue.enqueue(b"", delay=most + 1))
    _over(queue, lambda: queue.enqueue(b"", at=time.time() + most + 60))
    queue.enqueue(b"", delay=most)
    queue.enqueue(b"", at=time.time() + most - 60)

    assert drained(queue) == []
    if bed.claims("stats"):
        assert queue.stats().delayed == 2


@invariant("Q-CAP-04")
def test_the_longest_retry_works_and_a_longer_one_is_refused(bed: Bed) -> None:
    """A refused one leaves the job in hand."""
    if not bed.claims("retry"):
        raise NotApplicable("no retries to be limited")
    queue, most = _listening(bed), bed.capabilities.limits.delay
    queue.enqueue(b"")
    delivery = taken(queue)

    with pytest.raises(qcore.LimitExceeded):
        delivery.retry(most + 1)
    delivery.retry(most)

    assert drained(queue) == []


@invariant("Q-CAP-04")
def test_the_shortest_and_the_longest_lease_work_and_others_are_refused(bed: Bed) -> None:
    """Of a reserve and of an extension; a refused reserve takes nothing."""
    if not bed.claims("lease", "extend"):
        raise NotApplicable("no leases to be limited")
    queue, limits = _listening(bed), bed.capabilities.limits
    queue.enqueue(b"")

    for wrong in (limits.lease_min * 0.99, limits.lease_max + 1):
        with pytest.raises(qcore.LimitExceeded):
            queue.reserve(timeout=0.0, lease=wrong)
    delivery = taken(queue, limits.lease_max)
    for wrong in (limits.lease_min * 0.99, limits.lease_max + 1):
        with pytest.raises(qcore.LimitExceeded):
            delivery.extend(wrong)
    delivery.extend(limits.lease_max)
    delivery.extend(limits.lease_min)

    taken(queue, limits.lease_min)


@invariant("Q-CAP-04")
def test_the_longest_name_works_and_a_longer_one_is_refused(bed: Bed) -> None:
    """Of a queue, and of an id and a dedup key where callers may give them."""
    name = "n" * bed.capabilities.limits.name
    queue = bed.queue(name)
    queue.subscribe()
    with pytest.raises(qcore.LimitExceeded):
        bed.queue(f"{name}n")

    too_long, longest = f"{name}n", list[object]()
    if bed.claims("idempotent_id"):
        _over(queue, lambda: queue.enqueue(b"", id=too_long))
        longest.append(qcore.NewJob(b"", id=name))
    if bed.claims("dedup"):
        _over(queue, lambda: queue.enqueue(b"", dedup=too_long))
        longest.append(qcore.NewJob(b"", dedup=name))
    assert all(job_id.created for job_id in queue.enqueue_many(longest))

    queue.enqueue(b"last")
    assert b"last" in [delivery.job.body for delivery in drained(queue)]


def _listening(bed: Bed) -> qcore.Queue:
    queue = bed.queue()
    queue.subscribe()
    return queue


def _over(queue: qcore.Queue, call: Callable[[], object]) -> None:
    """A call that is over a limit is refused, and nothing of it comes out."""
    with pytest.raises(qcore.LimitExceeded):
        call()
    assert drained(queue) == []
