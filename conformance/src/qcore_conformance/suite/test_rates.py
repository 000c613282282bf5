"""Gates with a rate: no window has more jobs of a key than it allows, and all of them come."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import pairwise

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, quiet, taken
from qcore_conformance.suite.aftermath import accounted, at_rest
from qcore_conformance.waiting import scaled

_AGES = 3.1e8
"""Seconds of a window that does not end during a test."""

Span = tuple[float, float]
"""Within which a job was taken, by the monotonic clock."""


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("rate", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('rate', *names)}")


def _gate(rate: int, window: float, key: str = "acme") -> qcore.Gate:
    return qcore.Gate(key, rate=rate, window=window)


def _jobs(gate: qcore.Gate, count: int) -> list[qcore.NewJob]:
    return [qcore.NewJob(b"%d" % number, gate=gate) for number in range(count)]


def _taken(queue: qcore.Queue, count: int, limit: int = 1) -> list[tuple[Span, qcore.Delivery]]:
    """Take and ack so many that must come; when each was taken."""
    found: list[tuple[Span, qcore.Delivery]] = []
    while len(found) < count:
        began = time.monotonic()
        batch = queue.reserve_many(limit, timeout=scaled(10.0))
        span = (began, time.monotonic())
        assert batch, f"{len(found)} of {count} came: {queue.stats()}"
        assert all(queue.ack_many(batch))
        found += [(span, delivery) for delivery in batch]
    return found


def _see_rate(spans: Sequence[Span], rate: int, window: float) -> None:
    """See that however windows lie no more were taken in a time than its windows have room for.

    A call that waited took when it ended, at the latest, and not before it began.
    """
    for first in range(len(spans)):
        for last in range(first + rate, len(spans)):
            length = spans[last][1] - spans[first][0]
            most = rate * (math.floor(length / window) + 2)
            assert last - first + 1 <= most, (last - first + 1, length)


@invariant("Q-RATE-01", "Q-RATE-02")
@pytest.mark.parametrize("limit", [1, 100])
def test_a_backlog_comes_so_many_in_each_window(bed: Bed, limit: int) -> None:
    """All of it, in its order; nobody has to ask again for what comes with the next window."""
    _need(bed, "stats", "order:fifo_single")
    queue, rate, window = bed.queue(), 4, scaled(0.25)
    ids = queue.enqueue_many(_jobs(_gate(rate, window), 4 * rate))
    began = time.monotonic()

    found = _taken(queue, len(ids), limit)

    assert [delivery.job.id for _, delivery in found] == ids
    _see_rate([span for span, _ in found], rate, window)
    assert time.monotonic() - began > 2 * window
    at_rest(bed, queue)


@invariant("Q-RATE-01")
def test_many_consumers_share_a_window(bed: Bed) -> None:
    """And what was given back counts again when it is taken again."""
    _need(bed, "stats", "release")
    rate, window = 5, scaled(0.3)
    ids = bed.queue().enqueue_many(_jobs(_gate(rate, window), 3 * rate))

    def work() -> list[tuple[Span, str]]:
        line, found = bed.connect().queue("q"), list[tuple[Span, str]]()
        began = time.monotonic()
        while batch := line.reserve_many(2, timeout=2 * window + scaled(0.5)):
            span = (began, time.monotonic())
            for one in batch:
                verb = qcore.Verb.RELEASE if one.number == 1 else qcore.Verb.ACK
                assert line.settle_many([qcore.Settlement(one, verb)]) == [True]
                found.append((span, one.job.id))
            began = time.monotonic()
        return found

    found = sorted(
        (one for each in at_once(*[work] * 3) for one in each), key=lambda one: one[0][1]
    )

    assert sorted(job_id for _, job_id in found) == sorted([*ids, *ids])
    starts = sorted(span[0] for span, _ in found)
    ends = sorted(span[1] for span, _ in found)
    _see_rate(list(zip(starts, ends, strict=True)), rate, window)
    at_rest(bed, bed.queue())


@invariant("Q-RATE-02")
def test_others_do_not_wait_for_a_window(bed: Bed) -> None:
    """Plain jobs and those of other keys go on, also with many that have to wait."""
    _need(bed, "stats", "peek", "purge", "order:fifo_single")
    queue, many = bed.queue(), bed.many(300, 40)
    queue.enqueue_many(_jobs(_gate(2, _AGES), many))
    others = queue.enqueue_many([b"plain", *_jobs(_gate(1, _AGES, "bolt"), 2)])

    found = [taken(queue, LONG) for _ in range(4)]

    assert [one.job.id for one in found[2:]] == others[:2]
    assert quiet(queue)
    assert queue.stats().ready == many - 1
    assert len(queue.peek("ready", 5)) == 5
    accounted(bed, queue)
    assert queue.purge() == many - 1
    assert all(queue.ack_many(found))
    at_rest(bed, queue)


@invariant("Q-RATE-02")
def test_a_window_wakes_whoever_sleeps(bed: Bed) -> None:
    """Not before it begins, and soon after."""
    _need(bed)
    queue, window, count = bed.queue(), scaled(0.4), bed.many(8, 4)
    queue.enqueue_many(_jobs(_gate(1, window), count))

    came = [span[1] for span, _ in _taken(queue, count)]

    # The first came in the middle of a window, the others at the beginning of each.
    late = [abs(after - before - window) for before, after in pairwise(came[1:])]
    bed.spread("the beginning of a window to a job", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(0.25)


@invariant("Q-RATE-02")
def test_what_was_cancelled_leaves_its_place_to_the_next(bed: Bed) -> None:
    """Whether it waited first or not."""
    _need(bed, "cancel", "stats", "order:fifo_single")
    queue = bed.queue()
    ids = queue.enqueue_many(_jobs(_gate(1, scaled(0.3)), 6))
    _taken(queue, 1)
    assert [queue.cancel(ids[at]) for at in (2, 1, 4)] == [qcore.State.READY] * 3

    assert [one.job.id for _, one in _taken(queue, 2)] == [ids[3], ids[5]]
    at_rest(bed, queue)


@invariant("Q-RATE-01")
def test_both_limits_hold_together(bed: Bed) -> None:
    """Of a key that has them; whichever is reached first."""
    _need(bed, "concurrency", "stats", "order:fifo_single")
    queue, window = bed.queue(), scaled(0.3)
    gate = qcore.Gate("acme", concurrency=2, rate=3, window=window)
    ids = queue.enqueue_many(_jobs(gate, 7))
    spans, done, held = list[Span](), list[str](), list[qcore.Delivery]()
    while len(done) < len(ids):
        began = time.monotonic()
        batch = queue.reserve_many(5, timeout=scaled(0.1), lease=LONG)
        held += batch
        spans += [(began, time.monotonic())] * len(batch)
        assert len(held) <= 2
        assert queue.stats().held == len(held)
        if held and (len(held) == 2 or not batch):
            done += [held[0].job.id]
            held.pop(0).ack()

    assert done == ids
    _see_rate(spans, 3, window)
    at_rest(bed, queue)


@invariant("Q-RATE-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        qcore.Gate("acme", rate=1),
        qcore.Gate("acme", rate=0, window=1.0),
        qcore.Gate("acme", rate=1, window=0.0),
        qcore.Gate("acme", rate=1, window=-1.0),
        qcore.Gate("acme", rate=1, window=math.nan),
        qcore.Gate("acme", rate=1, window=True),
        qcore.Gate("acme", rate=1.0, window=1.0),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ],
    ids=repr,
)
def test_a_rate_that_is_none_is_refused(bed: Bed, wrong: qcore.Gate) -> None:
    """Before anything is stored."""
    _need(bed, "stats")
    queue = bed.queue()

    with pytest.raises(qcore.InvalidInput, match=r"rate|window"):
        queue.enqueue(b"", gate=wrong)
    with pytest.raises(qcore.LimitExceeded, match="rate"):
        queue.enqueue(b"", gate=_gate(10_000_000, 1.0))

    assert queue.stats().enqueued == 0
