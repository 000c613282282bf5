"""What follows an ack: enqueued in the same step, all of it, once, and behind no other end."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.scenes import LONG, at_once, lined_up, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import at_rest
from qcore_conformance.suite.following import (
    acked_again,
    arrived,
    bodies_of,
    in_hand,
    long_lease,
    nothing_follows,
    two_queues,
    won_by_acks,
)
from qcore_conformance.waiting import scaled

_AT_ONCE = 0.5
"""Seconds in which a sleeper is woken, but does not look again by itself."""


@invariant("Q-THEN-01")
def test_what_follows_comes_in_the_order_in_which_it_was_said(bed: Bed) -> None:
    """In each of its queues, said at once or one by one; not before the ack."""
    source, target = two_queues(bed)
    other = bed.queue("other")
    hand = in_hand(bed, source, b"first")
    hand.then("next", b"0", qcore.NewJob(b"1", headers={"n": "1"}))
    hand.then("other", b"a")
    hand.then("next")
    hand.then("next", b"2")
    hand.then("other", b"b", b"c")
    assert quiet(target, 0.0)
    assert (target.stats().enqueued, other.stats().enqueued) == (0, 0)

    hand.ack()

    came = [taken(target, long_lease(bed)) for _ in range(3)]
    assert lined_up(bed, [one.job.body for one in came]) == [b"0", b"1", b"2"]
    assert [dict(one.job.headers) for one in came if one.job.body == b"1"] == [{"n": "1"}]
    assert {(one.number, one.attempt, one.job.queue) for one in came} == {(1, 1, "next")}
    assert len({one.job.id for one in came}) == 3
    assert lined_up(bed, bodies_of(other, 3)) == ["a", "b", "c"]
    assert quiet(target)
    assert target.ack_many(came) == [True] * 3
    for line, count in ((source, 1), (target, 3), (other, 3)):
        assert line.stats().enqueued == count
        at_rest(bed, line)


@invariant("Q-THEN-01")
def test_a_job_can_be_followed_in_its_own_queue(bed: Bed) -> None:
    """Step by step, each behind what waits there."""
    source, _ = two_queues(bed)
    source.enqueue_many([b"0", b"10"])
    came: list[int] = []
    for _ in range(8):
        with taken(source, long_lease(bed)) as delivery:
            came.append(int(delivery.job.body))
            if came[-1] % 10 < 3:
                delivery.then("q", b"%d" % (came[-1] + 1))

    assert lined_up(bed, came) == lined_up(bed, [0, 10, 1, 11, 2, 12, 3, 13])
    assert quiet(source)
    assert source.stats().enqueued == 8
    at_rest(bed, source)


@invariant("Q-THEN-01", "Q-BATCH-02")
@pytest.mark.parametrize("how", ["ack_many", "settle_many"])
def test_each_of_many_is_followed_by_its_own(bed: Bed, how: str) -> None:
    """In the order of their settlements; the second ack of one is followed by nothing."""
    source, target = two_queues(bed)
    source.enqueue_many([b"%d" % number for number in range(4)])
    hands = [taken(source, long_lease(bed)) for _ in range(4)]
    names = [hand.job.body.decode() for hand in hands]
    for hand, name in zip(hands[1:], names[1:], strict=True):
        hand.then("next", f"{name} first".encode(), f"{name} second".encode())

    if how == "ack_many":
        assert source.ack_many([*hands, hands[1]]) == [True] * 4 + [False]
    else:
        acks = [qcore.Settlement(one) for one in (*hands, hands[1])]
        assert source.settle_many(acks) == [True] * 4 + [False]

    wanted = [f"{name} {which}" for name in names[1:] for which in ("first", "second")]
    assert lined_up(bed, bodies_of(target, 6)) == lined_up(bed, wanted)
    assert quiet(target)
    assert target.stats().enqueued == 6
    at_rest(bed, source)


@invariant("Q-THEN-01", "Q-SETTLE-01")
def test_of_ends_that_go_together_only_the_acks_are_followed(bed: Bed) -> None:
    """Neither those of another kind, nor those of a delivery that had ended."""
    source, target = two_queues(bed, "release", "retry", "dead_letter")
    source.enqueue_many([b"%d" % number for number in range(6)])
    hands = [taken(source, long_lease(bed)) for _ in range(6)]
    for hand in hands:
        hand.then("next", hand.job.body)
    assert source.settle_many([qcore.Settlement(hands[5].receipt, qcore.Verb.RELEASE)]) == [True]
    verbs = [*qcore.Verb][:4]
    assert [str(verb) for verb in verbs] == ["ack", "release", "retry", "dead_letter"]

    pairs = zip(hands, (*verbs, qcore.Verb.ACK, qcore.Verb.ACK), strict=True)
    steps = [qcore.Settlement(hand, verb, _delay(verb)) for hand, verb in pairs]
    held = source.settle_many(steps)

    assert held == [True] * 5 + [False]
    wanted = [hands[0].job.body.decode(), hands[4].job.body.decode()]
    assert lined_up(bed, bodies_of(target, 2)) == lined_up(bed, wanted)
    assert quiet(target)
    assert (source.stats().outbox, target.stats().enqueued) == (0, 2)


def _delay(verb: qcore.Verb) -> float:
    return LONG if verb is qcore.Verb.RETRY else 0.0


@invariant("Q-THEN-01")
@pytest.mark.parametrize("verb", ["release", "retry", "dead_letter"])
def test_nothing_follows_a_job_that_is_not_done(bed: Bed, verb: str) -> None:
    """Nor is what was said kept for its next delivery, which is followed by what it says itself."""
    source, target = two_queues(bed, verb)
    hand = in_hand(bed, source, b"work")
    hand.then("next", b"1")
    hand.then("q", b"2")

    if verb == "retry":
        hand.retry()
    elif verb == "release":
        hand.release()
    else:
        hand.dead_letter("no good")

    nothing_follows(source, target)
    assert source.stats().enqueued == 1
    if verb == "dead_letter":
        return
    again = taken(source, long_lease(bed))
    again.ack()
    assert again.job.body == b"work"
    nothing_follows(source, target)
    at_rest(bed, source)


@invariant("Q-THEN-01", "Q-LEASE-05")
@pytest.mark.parametrize("whose", ["nobody's", "somebody's"])
def test_an_ack_behind_the_end_of_the_lease_is_not_followed(bed: Bed, whose: str) -> None:
    """Whether the job is in other hands by then or not; who does it in time is followed."""
    source, target = two_queues(bed, "lease", "fenced")
    source.enqueue(b"")
    slow = taken(source, bed.lease)
    slow.then("next", b"slow")
    pass_time(time.monotonic() + bed.lease + bed.slack)
    quick = taken(source, LONG) if whose == "somebody's" else None

    with pytest.raises(qcore.LeaseLost):
        slow.ack()
    assert source.ack_many([slow]) == [False]

    nothing_follows(source, target)
    quick = quick or taken(source, LONG)
    quick.then("next", b"quick")
    quick.ack()
    assert bodies_of(target, 1) == ["quick"]
    assert target.stats().enqueued == 1
    at_rest(bed, source)


@invariant("Q-THEN-01", "Q-CANCELJOB-01")
def test_an_ack_of_a_cancelled_job_is_not_followed(bed: Bed) -> None:
    """It is refused, and nothing of it is left."""
    source, target = two_queues(bed, "cancel")
    hand = in_hand(bed, source)
    hand.then("next", b"")
    assert source.cancel(hand.job.id) is qcore.State.HELD

    with pytest.raises(qcore.LeaseLost):
        hand.ack()

    nothing_follows(source, target)


@invariant("Q-THEN-01", "Q-ACK-02")
def test_an_ack_that_is_made_again_is_not_followed_again(bed: Bed) -> None:
    """Neither by the delivery, nor by its receipt, nor elsewhere."""
    source, target = two_queues(bed)
    hand = in_hand(bed, source)
    hand.then("next", b"once")
    hand.ack()

    acked_again(bed, source, hand)

    assert bodies_of(target, 1) == ["once"]
    assert quiet(target)
    assert (source.stats().outbox, target.stats().enqueued) == (0, 1)


@invariant("Q-THEN-01", "Q-SETTLE-01")
def test_of_two_ends_that_race_the_winner_says_whether_anything_follows(bed: Bed) -> None:
    """Each job is followed once if its ack won, and not at all if it came too late."""
    source, target = two_queues(bed, "retry")
    won = won_by_acks(bed, source, lambda hand, number: hand.then("next", b"%d" % number))
    arrived(bed, source)

    assert target.stats().enqueued == len(won)
    assert sorted(map(int, bodies_of(target, len(won)))) == won


@invariant("Q-THEN-01")
def test_a_block_is_followed_if_it_ends_well(bed: Bed) -> None:
    """And not if its work failed, or was stopped."""
    source, target = two_queues(bed, "retry", "release")
    for error in (ZeroDivisionError, KeyboardInterrupt):
        hand = in_hand(bed, source)
        hand.then("next", b"failed")
        with pytest.raises(error), hand:
            raise error
        nothing_follows(source, target)
    assert source.stats().acked == 0

    with in_hand(bed, source) as delivery:
        delivery.then("next", b"done")
        assert quiet(target, 0.0)

    assert bodies_of(target, 1) == ["done"]
    assert target.stats().enqueued == 1


@invariant("Q-THEN-01", "Q-BLOCK-01")
def test_what_follows_wakes_whoever_waits_there(bed: Bed) -> None:
    """Who is not woken could have slept for a second."""
    source, target = two_queues(bed)
    late: list[float] = []
    for _ in range(bed.many(10, 3)):
        hand = in_hand(bed, source)
        hand.then("next", b"")
        waiting = bed.start(lambda: (taken(target).ack(), time.monotonic())[1])  # type: ignore[func-returns-value]
        pass_time(time.monotonic() + random.uniform(0.05, 0.15))
        began = time.monotonic()
        hand.ack()
        late.append(waiting.result(scaled(10.0)) - began)

    bed.spread("an ack to the wake-up behind it", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(_AT_ONCE)


@invariant("Q-THEN-01", "Q-CORE-04")
def test_many_pass_jobs_on_at_once(bed: Bed) -> None:
    """Through three queues, by many consumers: each job is there once at each station."""
    two_queues(bed)
    route, count = ["q", "next", "last"], bed.many(200, 40)

    def work(which: int) -> list[str]:
        lines = [bed.connect().queue(name) for name in route]
        came: list[str] = []
        until = time.monotonic() + scaled(30.0)
        while lines[-1].stats().acked < count and time.monotonic() < until:
            for line, target in zip(lines, (*route[1:], ""), strict=True):
                batch = line.reserve_many(1 + which, 0.01, long_lease(bed))
                for one in batch:
                    if target:
                        one.then(target, one.job.body)
                assert all(line.ack_many(batch))
                came += [f"{line.name} {one.job.body.decode()}" for one in batch]
        return came

    bed.queue().enqueue_many([b"%d" % number for number in range(count)])
    came = at_once(*[partial(work, which) for which in range(3)])

    wanted = [f"{name} {number}" for name in route for number in range(count)]
    assert Counter(one for each in came for one in each) == Counter(wanted)
    for name in route:
        assert bed.queue(name).stats().enqueued == count
        at_rest(bed, bed.queue(name))


@invariant("Q-THEN-01")
def test_nothing_can_be_said_of_a_delivery_that_has_ended(bed: Bed) -> None:
    """It would never follow."""
    source, target = two_queues(bed, "release")
    done, released = in_hand(bed, source), in_hand(bed, source)
    done.ack()
    released.release()
    with taken(source) as block:
        pass

    for delivery in (done, released, block):
        with pytest.raises(qcore.InvalidInput, match="ended"):
            delivery.then("next", b"")

    nothing_follows(source, target)
