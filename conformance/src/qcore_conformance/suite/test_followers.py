"""What follows an ack, as it was said: with its options, as much as one call may enqueue."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.scenes import CLOCKS, LONG, lined_up, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import accounted
from qcore_conformance.suite.following import (
    UNNAMEABLE,
    arrived,
    bodies_of,
    follow,
    in_hand,
    long_lease,
    two_queues,
)
from qcore_conformance.waiting import scaled


@invariant("Q-THEN-01")
def test_a_body_is_encoded_as_that_of_the_job_it_follows(bed: Bed) -> None:
    """Whatever the codec of whoever enqueues there."""
    source, target = two_queues(bed)
    queue = bed.connect().queue("q", codec="json")
    queue.enqueue({"order": 7})
    with taken(queue) as delivery:
        delivery.then("next", delivery.value, qcore.NewJob([1]))
        with pytest.raises(qcore.InvalidInput):
            delivery.then("next", object())
        with pytest.raises(qcore.InvalidInput):
            delivery.then("next", [qcore.NewJob({"order": 8}), qcore.NewJob({"order": 9})])

    came = [taken(target) for _ in range(2)]

    assert sorted((one.value for one in came), key=str) == [[1], {"order": 7}]
    assert {one.job.codec for one in came} == {"json"}
    assert source.stats().acked == 1


@invariant("Q-THEN-01", "Q-DELAY-01")
def test_what_follows_can_be_due_later(bed: Bed) -> None:
    """Not before its delay is over, counted from the ack."""
    source, target = two_queues(bed, "delay")
    delay, began = scaled(0.5), time.monotonic()
    follow(bed, source, qcore.NewJob(b"later", delay=delay), qcore.NewJob(b"far", delay=LONG))

    (body,) = bodies_of(target, 1)

    assert body == "later"
    assert time.monotonic() - began >= delay - CLOCKS
    assert target.stats().delayed == 1


@invariant("Q-THEN-01", "Q-PRIO-01")
def test_what_follows_has_its_priority_and_its_place(bed: Bed) -> None:
    """The more urgent first; before what waits there where that was asked for."""
    source, target = two_queues(bed, "priority")
    target.enqueue(b"waits")
    front = [qcore.NewJob(b"front", front=True)] if bed.claims("at_front") else []
    urgent = [qcore.NewJob(b"%d" % level, priority=level) for level in (-2, 3, 1)]
    follow(bed, source, *urgent, *front)

    came = bodies_of(target, 4 + len(front))

    assert came == ["3", "1", *["front"][: len(front)], "waits", "-2"]


@invariant("Q-THEN-01", "Q-DEDUP-01")
def test_what_follows_is_known_by_its_id_and_its_key(bed: Bed) -> None:
    """What its queue knows already follows no more; the rest does all the same."""
    source, target = two_queues(bed, "idempotent_id", "dedup")
    target.enqueue(b"known", id="known")
    target.enqueue(b"keyed", dedup="key")
    assert lined_up(bed, bodies_of(target, 2)) == lined_up(bed, ["known", "keyed"])
    jobs = [
        qcore.NewJob(b"", id="known"),
        qcore.NewJob(b"mine", id="mine"),
        qcore.NewJob(b"", dedup="key"),
        qcore.NewJob(b"yours", dedup="yours"),
        qcore.NewJob(b"", id="mine"),
    ]
    follow(bed, source, *jobs)

    mine = target.enqueue(b"", id="mine")
    yours = target.enqueue(b"", dedup="yours")

    assert (mine, mine.created, yours.created) == ("mine", False, False)
    assert lined_up(bed, bodies_of(target, 2)) == lined_up(bed, ["mine", "yours"])
    assert quiet(target)
    assert target.stats().enqueued == 4


@invariant("Q-THEN-01", "Q-STATE-01")
def test_what_follows_can_be_tracked_and_goes_with_a_result(bed: Bed) -> None:
    """The record of the one has its result, and that of the other has begun."""
    source, target = two_queues(bed, "records", "idempotent_id")
    source.enqueue(b"", id="first", keep=qcore.Keep())
    hand = taken(source, long_lease(bed))
    hand.then("next", qcore.NewJob(b"", id="second", keep=qcore.Keep()))
    with pytest.raises(qcore.NotTracked):
        target.get("second")

    hand.ack(b"result")

    arrived(bed, source)
    first, second = source.get("first"), target.get("second")
    assert (first.state, first.result, second.state) == ("done", b"result", "ready")
    assert bodies_of(target, 1) == [""]
    assert target.get("second").state == "done"


@invariant("Q-THEN-01", "Q-TTL-01")
def test_what_follows_can_be_too_late(bed: Bed) -> None:
    """And is dropped then."""
    source, target = two_queues(bed, "ttl")
    short = scaled(0.3)
    follow(bed, source, qcore.NewJob(b"late", ttl=short), qcore.NewJob(b"in time", ttl=LONG))
    pass_time(time.monotonic() + short + bed.slack)

    assert bodies_of(target, 1) == ["in time"]
    assert quiet(target)
    assert target.stats().dropped == 1


@invariant("Q-THEN-01", "Q-FAIR-01")
def test_what_follows_waits_for_its_turn(bed: Bed) -> None:
    """As if somebody else had enqueued it."""
    source, target = two_queues(bed, "fair")
    jobs = [*[qcore.NewJob(b"a", tenant="a")] * 3, qcore.NewJob(b"b", tenant="b")]
    follow(bed, source, *jobs)

    came = bodies_of(target, 4)

    assert (set(came[:2]), Counter(came)) == ({"a", "b"}, {"a": 3, "b": 1})


@invariant("Q-THEN-01", "Q-GATE-01")
def test_what_follows_waits_at_its_gate(bed: Bed) -> None:
    """No more of it are in hand than may be."""
    source, target = two_queues(bed, "concurrency")
    follow(bed, source, *[qcore.NewJob(b"", gate=qcore.Gate("one", concurrency=1))] * 2)

    held = taken(target, long_lease(bed))
    assert quiet(target)
    held.ack()

    assert bodies_of(target, 1) == [""]


@invariant("Q-THEN-01", "Q-CAP-04")
def test_as_many_can_follow_as_one_call_may_enqueue(bed: Bed) -> None:
    """One more is refused, of one job or of several that are settled together."""
    source, target = two_queues(bed)
    most = bed.capabilities.limits.batch
    hand = in_hand(bed, source)
    with pytest.raises(qcore.LimitExceeded):
        hand.then("next", *[b"refused"] * (most + 1))
    hand.then("next", *[b"first"] * (most - 1))
    hand.then("q", b"last")
    with pytest.raises(qcore.LimitExceeded):
        hand.then("next", b"refused")
    hand.ack()
    arrived(bed, source)
    assert (target.stats().ready, source.stats().enqueued) == (most - 1, 2)
    assert bodies_of(source, 1) == ["last"]

    hands = [in_hand(bed, source) for _ in range(2)]
    for one in hands:
        one.then("next", *[b""] * (most // 2 + 1))
    with pytest.raises(qcore.LimitExceeded):
        source.ack_many(hands)
    assert (source.stats().acked, source.stats().outbox) == (2, 0)
    for one in hands:
        one.ack()
    arrived(bed, source)
    assert target.stats().ready == most - 1 + 2 * (most // 2 + 1)
    accounted(bed, source)


@invariant("Q-THEN-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        *((name, b"") for name in UNNAMEABLE),
        ("next", "text"),
        ("next", b"fine", None),
        ("next", b"fine", qcore.NewJob(b"", headers={"a": 1})),  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
        ("next", qcore.NewJob(b"", id="a b")),
        ("next", qcore.NewJob(b"", join=qcore.Join(2, "left"))),
    ],
    ids=repr,
)
def test_what_cannot_follow_is_refused_when_it_is_said(bed: Bed, wrong: tuple[Any, ...]) -> None:
    """The whole call, and nothing else: what was said before follows."""
    source, target = two_queues(bed, "idempotent_id", "join")
    hand = in_hand(bed, source)
    hand.then("next", b"said before")

    with pytest.raises((qcore.InvalidInput, qcore.LimitExceeded)):
        hand.then(*wrong)

    hand.ack()
    assert bodies_of(target, 1) == ["said before"]
    arrived(bed, source)
    assert target.stats().enqueued == 1
