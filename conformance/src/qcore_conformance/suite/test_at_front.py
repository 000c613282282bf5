"""Jobs that are enqueued in front: each is next on its level, and wakes whoever waits."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, pass_time, taken
from qcore_conformance.suite.aftermath import accounted
from qcore_conformance.waiting import scaled

_LEVELS = range(-4, 5)
_AT_ONCE = 0.5
"""Seconds in which a sleeper is woken, but does not look again by itself."""


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("at_front", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('at_front', *names)}")


def _job(name: object, **options: Any) -> qcore.NewJob:
    return qcore.NewJob(str(name).encode(), **options)


def _out(queue: qcore.Queue, limit: int = 1) -> list[str]:
    """Take and ack all there is, so many at once; the bodies in order."""
    found: list[str] = []
    while batch := queue.reserve_many(limit, timeout=0.0):
        assert all(queue.ack_many(batch))
        found += [delivery.job.body.decode() for delivery in batch]
    return found


@invariant("Q-FRONT-01")
def test_the_last_that_goes_to_the_front_is_next(bed: Bed) -> None:
    """Before everything that waits, and what is enqueued behind it stays behind."""
    _need(bed)
    queue = bed.queue()
    queue.enqueue_many([b"a", b"b"])

    queue.enqueue(b"first", front=True)
    queue.enqueue(b"c")
    queue.enqueue(b"before first", front=True)

    assert _out(queue) == ["before first", "first", "a", "b", "c"]


@invariant("Q-FRONT-01")
@pytest.mark.parametrize("limit", [1, 7])
def test_jobs_of_one_call_keep_their_order_in_front(bed: Bed, limit: int) -> None:
    """Among others of the call that go to the end; over all levels, and as they are shown."""
    _need(bed, "priority", "peek")
    queue, lines = bed.queue(), {level: list[str]() for level in _LEVELS}
    for call in range(bed.many(12, 6)):
        jobs, fronts = list[qcore.NewJob](), {level: list[str]() for level in _LEVELS}
        for number in range(random.randint(1, 20)):
            level, front = random.choice(_LEVELS), random.random() < 0.5
            name = f"{level}.{call}.{number}"
            (fronts if front else lines)[level].append(name)
            jobs.append(_job(name, priority=level, front=front))
        queue.enqueue_many(jobs)
        lines = {level: fronts[level] + lines[level] for level in _LEVELS}

    expected = [name for level in reversed(_LEVELS) for name in lines[level]]
    shown = [one.job.body.decode() for one in queue.peek("ready", 9) if one.job]
    assert shown == expected[:9]
    assert _out(queue, limit) == expected


@invariant("Q-FRONT-01")
def test_a_level_is_not_passed(bed: Bed) -> None:
    """In front of a level is behind all that is more urgent."""
    _need(bed, "priority")
    queue = bed.queue()
    queue.enqueue_many([_job("urgent", priority=1), _job("normal"), _job("idle", priority=-1)])

    queue.enqueue_many([_job("next idle", priority=-1, front=True), _job("next", front=True)])

    assert _out(queue) == ["urgent", "next", "normal", "next idle", "idle"]


@invariant("Q-FRONT-01")
def test_the_front_is_before_all_turns(bed: Bed) -> None:
    """Whatever tenants have waiting, and without a turn of its own."""
    _need(bed, "fair")
    queue = bed.queue()
    queue.enqueue_many([_job("acme 0", tenant="acme"), _job("acme 1", tenant="acme"), _job("none")])

    queue.enqueue_many([_job("first", front=True), _job("second", front=True)])

    came = _out(queue)
    assert came[:2] == ["first", "second"]
    assert sorted(came[2:]) == ["acme 0", "acme 1", "none"]


@invariant("Q-FRONT-02", "Q-BLOCK-01")
@pytest.mark.parametrize("priority", [0, -2])
def test_a_job_in_front_wakes_whoever_waits(bed: Bed, priority: int) -> None:
    """As many as there are jobs, and whoever is not woken could have slept for a second."""
    _need(bed, "priority")
    lines, late = [bed.connect().queue("q") for _ in range(3)], list[float]()
    for _ in range(bed.many(10, 3)):
        waiting = [bed.start(lambda line=line: _moment_of(line)) for line in lines]  # type: ignore[misc]
        pass_time(time.monotonic() + random.uniform(0.02, 0.1))
        began = time.monotonic()
        bed.queue().enqueue_many([_job(one, priority=priority, front=True) for one in "ab"])
        bed.queue().enqueue(b"c", priority=priority, front=True)
        late += [one.result(scaled(10.0)) - began for one in waiting]

    bed.spread("a job in front to wake-up", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(_AT_ONCE)


def _moment_of(queue: qcore.Queue) -> float:
    delivery = queue.reserve(timeout=None)
    came = time.monotonic()
    assert delivery is not None
    delivery.ack()
    return came


@invariant("Q-FRONT-02", "Q-CORE-04")
def test_many_who_push_in_lose_and_double_nothing(bed: Bed) -> None:
    """While others enqueue behind them, and others take."""
    _need(bed, "stats")
    share = bed.many(60, 20)

    def produce() -> list[str]:
        line, ids = bed.connect().queue("q"), list[str]()
        for number in range(share):
            fronts = [_job(number, front=random.random() < 0.5) for _ in range(2)]
            ids += line.enqueue_many(fronts)
        return ids

    def consume() -> list[str]:
        line, ids = bed.connect().queue("q"), list[str]()
        while batch := line.reserve_many(random.randint(1, 5), timeout=scaled(1.0)):
            assert all(line.ack_many(batch))
            ids += [delivery.job.id for delivery in batch]
        return ids

    one, other, *came = at_once(produce, produce, consume, consume)

    assert Counter(came[0] + came[1]) == Counter(one + other)
    assert bed.queue().stats().acked == bed.queue().stats().enqueued == 4 * share
    accounted(bed, bed.queue())


@invariant("Q-FRONT-02")
def test_a_job_in_front_is_a_job_like_any_other(bed: Bed) -> None:
    """Known by its id, given back, dropped when its time is over, and with what it carries."""
    _need(bed, "idempotent_id", "release", "ttl", "stats")
    queue, short = bed.queue(), scaled(0.2)
    queue.enqueue_many([_job("late", ttl=short, front=True), _job("behind")])
    pass_time(time.monotonic() + short + bed.slack)
    first = queue.enqueue(b"next", id="mine", headers={"k": "v"}, front=True, ttl=LONG)
    again = queue.enqueue(b"other", id="mine", front=True)
    assert (first.created, again.created, again) == (True, False, "mine")

    delivery = taken(queue)
    assert (delivery.job.id, delivery.job.body) == ("mine", b"next")
    assert delivery.job.headers == {"k": "v"}
    delivery.release()

    assert _out(queue) == ["next", "behind"]
    assert queue.stats().dropped == 1
    accounted(bed, queue)


@invariant("Q-FRONT-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        {"front": 1},
        {"front": None},
        {"front": "yes"},
        {"front": True, "delay": 1.0},
        {"front": True, "at": 4_000_000_000.0},
        {"front": True, "at": 1.0},
        {"front": True, "tenant": "acme"},
    ],
    ids=repr,
)
def test_what_cannot_be_next_is_refused(bed: Bed, wrong: dict[str, Any]) -> None:
    """Before anything is stored, and a delay of nothing is none."""
    _need(bed, "stats", "delay", "fair")
    queue = bed.queue()

    with pytest.raises(qcore.InvalidInput, match="front"):
        queue.enqueue(b"", **wrong)
    with pytest.raises(qcore.InvalidInput, match="front"):
        queue.enqueue_many([b"plain", qcore.NewJob(b"", **wrong)])

    assert queue.stats().enqueued == 0
    queue.enqueue(b"", front=True, delay=0.0)
    assert queue.stats().ready == 1
