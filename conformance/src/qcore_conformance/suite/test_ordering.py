"""Order: what was enqueued first is delivered first, and what comes back stands where declared."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.recording import busy_hour
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, taken
from qcore_conformance.verdicts import Verdict
from qcore_conformance.waiting import scaled


@invariant("Q-ORD-01")
def test_one_producer_and_one_consumer_keep_the_order(bed: Bed) -> None:
    """With batches of all sizes on either side, while another queue is as busy."""
    total = bed.many(10_000)
    names, lease = ["q1", "q2"], LONG if bed.claims("lease") else None
    consumers = [bed.connect().queue(name) for name in names]
    for queue in consumers:
        queue.subscribe()
    began = time.monotonic()

    found = at_once(
        *(partial(_produce, bed.connect().queue(name), total) for name in names),
        *(partial(_consume, queue, total, lease) for queue in consumers),
    )

    bed.figure("jobs through one producer and one consumer", 2 * total, "")
    bed.figure("rate of both queues together", round(2 * total / (time.monotonic() - began)), "/s")
    assert found[2] == found[3] == list(range(total))


def _produce(queue: qcore.Queue, total: int) -> list[int]:
    sent = 0
    while sent < total:
        size = min(random.choice((1, 7, 100, 500)), total - sent)
        queue.enqueue_many([b"%d" % number for number in range(sent, sent + size)])
        sent += size
    return []


def _consume(queue: qcore.Queue, total: int, lease: float | None) -> list[int]:
    found: list[int] = []
    while len(found) < total:
        batch = queue.reserve_many(random.choice((1, 10, 300)), scaled(10.0), lease)
        if not batch:
            break
        assert all(queue.ack_many(batch))
        found += [int(delivery.job.body) for delivery in batch]
    return found


@invariant("Q-ORD-01")
def test_iterating_keeps_the_order(bed: Bed) -> None:
    """Also with what a consumer takes ahead."""
    queue, total = bed.queue(), bed.many(1000)
    queue.subscribe()
    queue.enqueue_many([b"%d" % number for number in range(total)])
    found: list[int] = []

    with queue.consume() as consumer:
        for delivery in consumer:
            delivery.ack()
            found.append(int(delivery.job.body))
            if len(found) == total:
                break

    assert found == list(range(total))


@invariant("Q-ORD-02")
def test_no_job_overtakes_one_that_was_there_before(bed: Bed, tmp_path: Path) -> None:
    """With many producers and consumers, judged by when each call began and ended."""
    report = busy_hour(bed, tmp_path, bed.many(250))

    assert report["order"].verdict is Verdict.PASS, report.text()
    assert report.verdict is not Verdict.FAIL, report.text()


_COMING_BACK: dict[str, Callable[[qcore.Delivery], object]] = {
    "release": lambda delivery: delivery.release(),
    "retry": lambda delivery: delivery.retry(0.0),
    "lease": lambda _: None,
}


@invariant("Q-ORD-04")
@pytest.mark.parametrize("how", _COMING_BACK)
def test_what_comes_back_stands_where_declared(bed: Bed, how: str) -> None:
    """Before those that nobody has seen yet, or behind all."""
    declared = bed.capabilities.value("reentry")
    if declared == "undefined" or not bed.claims(how):
        raise NotApplicable(f"reentry is {declared}, '{how}' is claimed: {bed.claims(how)}")
    queue = bed.queue()
    queue.enqueue_many([b"a", b"b", b"c", b"d"])
    held = [taken(queue, bed.lease if how == "lease" else LONG) for _ in range(2)]

    for delivery in held:
        _COMING_BACK[how](delivery)
    if how == "lease":
        pass_time(time.monotonic() + bed.lease + bed.slack)

    found = b"".join(delivery.job.body for delivery in drained(queue))
    if declared == "tail":
        assert (found[:2], sorted(found[2:])) == (b"cd", sorted(b"ab"))
    else:
        assert declared in ("head", "before_new")
        assert (sorted(found[:2]), found[2:]) == (sorted(b"ab"), b"cd")


@invariant("Q-ORD-04")
def test_at_the_head_the_last_that_was_given_back_comes_first(bed: Bed) -> None:
    """Where that is declared; elsewhere those that come back wait for each other."""
    if bed.capabilities.value("reentry") != "head" or not bed.claims("release"):
        raise NotApplicable("nothing is declared to come back to the very head")
    queue = bed.queue()
    queue.enqueue_many([b"a", b"b", b"c"])
    first, second = taken(queue, LONG), taken(queue, LONG)

    first.release()
    second.release()

    assert [delivery.job.body for delivery in drained(queue)] == [b"b", b"a", b"c"]
