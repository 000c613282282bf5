"""What an ack tells: to all who listen, once, in the same step, and behind no other end."""

from __future__ import annotations

import time
from typing import Any

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.scenes import LONG, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import at_rest
from qcore_conformance.suite.following import (
    UNNAMEABLE,
    acked_again,
    in_hand,
    long_lease,
    won_by_acks,
)
from qcore_conformance.waiting import scaled

_AT_ONCE = 0.5
"""Seconds in which a listener is woken, but does not look again by itself."""


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("tell", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('tell', *names)}")


def _heard(ear: qcore.Queue, count: int) -> list[str]:
    """What must be heard; nothing else is."""
    found = [taken(ear).job.body.decode() for _ in range(count)]
    assert quiet(ear)
    return found


@invariant("Q-TELL-01")
def test_everybody_who_listens_hears_all_in_the_order_in_which_it_was_told(bed: Bed) -> None:
    """Of their topic and no other; not before the ack."""
    ears, other = [bed.ear("news") for _ in range(2)], bed.ear("other")
    stranger = bed.ear("news", bed.url_in("elsewhere"))
    hand = in_hand(bed, bed.queue())
    hand.tell("news", b"0")
    hand.tell("news", b"1\n\0", {"n": "1"})
    hand.tell("other", b"a")
    hand.tell("news", b"2")
    assert quiet(ears[0])

    hand.ack()

    for ear in ears:
        came = [taken(ear) for _ in range(3)]
        assert [one.job.body for one in came] == [b"0", b"1\n\0", b"2"]
        assert [dict(one.job.headers) for one in came] == [{}, {"n": "1"}, {}]
        assert {one.job.queue for one in came} == {"news"}
        assert len({one.job.id for one in came}) == 3
        assert quiet(ear)
    assert _heard(other, 1) == ["a"]
    assert quiet(stranger, 0.0)


@invariant("Q-TELL-01")
def test_what_is_told_is_encoded_as_the_job_is(bed: Bed) -> None:
    """So that a program that works with values hears values."""
    queue, ear = bed.queue(codec="json"), bed.ear("news")
    queue.enqueue({"order": 42})
    hand = taken(queue, long_lease(bed))
    hand.tell("news", {"order": hand.value["order"], "paid": True})

    hand.ack()

    assert taken(ear).value == {"order": 42, "paid": True}


@invariant("Q-TELL-01", "Q-BATCH-02")
@pytest.mark.parametrize("how", ["ack_many", "settle_many"])
def test_each_of_many_tells_its_own(bed: Bed, how: str) -> None:
    """Only that of a delivery that has not ended yet."""
    _need(bed, "release")
    source, ear = bed.queue(), bed.ear("news")
    hands = [in_hand(bed, source, b"%d" % number) for number in range(4)]
    for hand in hands:
        hand.tell("news", hand.job.body)
        hand.tell("news", hand.job.body + b"!")
    assert source.settle_many([qcore.Settlement(hands[2].receipt, qcore.Verb.RELEASE)]) == [True]

    if how == "ack_many":
        held = source.ack_many([*hands, hands[1]])
    else:
        held = source.settle_many([qcore.Settlement(one) for one in (*hands, hands[1])])

    assert held == [True, True, False, True, False]
    assert _heard(ear, 6) == ["0", "0!", "1", "1!", "3", "3!"]


@invariant("Q-TELL-01")
@pytest.mark.parametrize("verb", ["release", "retry", "dead_letter"])
def test_a_job_that_is_not_done_tells_nothing(bed: Bed, verb: str) -> None:
    """Nor is what was told kept for its next delivery."""
    _need(bed, verb)
    source, ear = bed.queue(), bed.ear("news")
    hand = in_hand(bed, source)
    hand.tell("news", b"done")

    if verb == "retry":
        hand.retry()
    elif verb == "release":
        hand.release()
    else:
        hand.dead_letter("no good")

    assert quiet(ear)
    if verb == "dead_letter":
        return
    taken(source, long_lease(bed)).ack()
    assert quiet(ear)
    at_rest(bed, source)


@invariant("Q-TELL-01", "Q-LEASE-05")
@pytest.mark.parametrize("whose", ["nobody's", "somebody's"])
def test_an_ack_behind_the_end_of_the_lease_tells_nothing(bed: Bed, whose: str) -> None:
    """Whoever does the job in time tells what it did."""
    _need(bed, "lease", "fenced")
    source, ear = bed.queue(), bed.ear("news")
    source.enqueue(b"")
    slow = taken(source, bed.lease)
    slow.tell("news", b"slow")
    pass_time(time.monotonic() + bed.lease + bed.slack)
    quick = taken(source, LONG) if whose == "somebody's" else None

    with pytest.raises(qcore.LeaseLost):
        slow.ack()
    assert source.ack_many([slow]) == [False]

    assert quiet(ear)
    quick = quick or taken(source, LONG)
    quick.tell("news", b"quick")
    quick.ack()
    assert _heard(ear, 1) == ["quick"]


@invariant("Q-TELL-01", "Q-ACK-02")
def test_an_ack_that_is_made_again_tells_nothing_again(bed: Bed) -> None:
    """Neither by the delivery, nor by its receipt, nor elsewhere."""
    source, ear = bed.queue(), bed.ear("news")
    hand = in_hand(bed, source)
    hand.tell("news", b"once")
    hand.ack()

    acked_again(bed, source, hand)

    assert _heard(ear, 1) == ["once"]


@invariant("Q-TELL-01", "Q-CANCELJOB-01")
def test_an_ack_of_a_cancelled_job_tells_nothing(bed: Bed) -> None:
    """It is refused."""
    _need(bed, "cancel")
    source, ear = bed.queue(), bed.ear("news")
    hand = in_hand(bed, source)
    hand.tell("news", b"")
    assert source.cancel(hand.job.id) is qcore.State.HELD

    with pytest.raises(qcore.LeaseLost):
        hand.ack()

    assert quiet(ear)


@invariant("Q-TELL-01", "Q-SETTLE-01")
def test_of_two_ends_that_race_the_winner_says_whether_anything_is_told(bed: Bed) -> None:
    """Once if the ack won, and not at all if it came too late."""
    _need(bed, "retry")
    source, ear = bed.queue(), bed.ear("news")
    won = won_by_acks(bed, source, lambda hand, number: hand.tell("news", b"%d" % number))

    assert _heard(ear, len(won)) == [str(number) for number in won]


@invariant("Q-TELL-01")
def test_a_block_tells_if_it_ends_well(bed: Bed) -> None:
    """And not if its work failed, or was stopped."""
    _need(bed, "retry", "release")
    source, ear = bed.queue(), bed.ear("news")
    for error in (ZeroDivisionError, KeyboardInterrupt):
        hand = in_hand(bed, source)
        hand.tell("news", b"failed")
        with pytest.raises(error), hand:
            raise error
        assert quiet(ear)

    with in_hand(bed, source) as delivery:
        delivery.tell("news", b"done")

    assert _heard(ear, 1) == ["done"]


@invariant("Q-TELL-01", "Q-PUB-04")
def test_what_nobody_hears_is_kept_nowhere(bed: Bed) -> None:
    """The job is done all the same, and who listens later hears what is later."""
    _need(bed)
    source = bed.queue()
    in_hand(bed, source).ack()
    before = bed.harness.leftovers(bed.namespace)
    if before is None:
        raise NotRun("the harness cannot tell what is stored")
    hand = in_hand(bed, source)
    hand.tell("news", b"unheard")
    hand.ack()

    assert sorted(bed.harness.leftovers(bed.namespace) or ()) == sorted(before)
    ear = bed.ear("news")
    hand = in_hand(bed, source)
    hand.tell("news", b"heard")
    hand.ack()
    assert _heard(ear, 1) == ["heard"]
    at_rest(bed, source)


@invariant("Q-TELL-01", "Q-THEN-01")
def test_a_job_can_tell_and_be_followed(bed: Bed) -> None:
    """In one ack, said in whatever order."""
    _need(bed, "then", "stats")
    source, ear = bed.queue(), bed.ear("news")
    hand = in_hand(bed, source)
    hand.tell("news", b"1")
    hand.then("next", b"follows")
    hand.tell("news", b"2")
    hand.then("next", b"too")

    hand.ack()

    assert _heard(ear, 2) == ["1", "2"]
    target = bed.queue("next")
    bodies = {taken(target).job.body for _ in range(2)}
    assert bodies == {b"follows", b"too"}
    assert target.stats().enqueued == 2


@invariant("Q-TELL-01", "Q-BLOCK-01")
def test_what_is_told_wakes_whoever_listens(bed: Bed) -> None:
    """Who is not woken could have slept for a second."""
    source, ear = bed.queue(), bed.ear("news")
    late: list[float] = []
    for _ in range(bed.many(10, 3)):
        hand = in_hand(bed, source)
        hand.tell("news", b"")
        waiting = bed.start(lambda: (taken(ear), time.monotonic())[1])
        pass_time(time.monotonic() + 0.1)
        began = time.monotonic()
        hand.ack()
        late.append(waiting.result(scaled(10.0)) - began)

    bed.spread("an ack to the listener that it tells", late)
    assert sorted(late)[len(late) // 2] <= scaled(_AT_ONCE)


@invariant("Q-TELL-01")
def test_nothing_can_be_told_by_a_delivery_that_has_ended(bed: Bed) -> None:
    """It would never be heard."""
    _need(bed, "release")
    source, ear = bed.queue(), bed.ear("news")
    done, released = in_hand(bed, source), in_hand(bed, source)
    done.ack()
    released.release()

    for delivery in (done, released):
        with pytest.raises(qcore.InvalidInput, match="ended"):
            delivery.tell("news", b"")

    assert quiet(ear)


@invariant("Q-TELL-01", "Q-CAP-04")
def test_as_much_can_be_told_as_one_call_may_enqueue(bed: Bed) -> None:
    """One more is refused, beside whatever follows."""
    _need(bed, "then")
    source, ear = bed.queue(), bed.ear("news")
    most = bed.capabilities.limits.batch
    hand = in_hand(bed, source)
    hand.then("next", b"")
    for number in range(most - 1):
        hand.tell("news", b"%d" % number)
    with pytest.raises(qcore.LimitExceeded):
        hand.tell("news", b"refused")

    hand.ack()

    assert _heard(ear, most - 1) == [str(number) for number in range(most - 1)]
    hands = [in_hand(bed, source) for _ in range(2)]
    for one in hands:
        for _ in range(most // 2 + 1):
            one.tell("news", b"")
    with pytest.raises(qcore.LimitExceeded):
        source.ack_many(hands)
    assert quiet(ear)
    for one in hands:
        one.ack()


@invariant("Q-TELL-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        *((name, b"") for name in UNNAMEABLE),
        ("news", "text"),
        ("news", None),
        ("news", qcore.NewJob(b"")),
        ("news", b"", {"a": 1}),
        ("news", b"", [("a", "b")]),
        ("news", b"." * ((1 << 20) + 1)),
    ],
    ids=lambda wrong: repr(wrong)[:60],
)
def test_what_cannot_be_told_is_refused_when_it_is_said(bed: Bed, wrong: tuple[Any, ...]) -> None:
    """And nothing else: what was told before is told."""
    source, ear = bed.queue(), bed.ear("news")
    hand = in_hand(bed, source)
    hand.tell("news", b"said before")

    with pytest.raises((qcore.InvalidInput, qcore.LimitExceeded)):
        hand.tell(*wrong)

    hand.ack()
    assert _heard(ear, 1) == ["said before"]
