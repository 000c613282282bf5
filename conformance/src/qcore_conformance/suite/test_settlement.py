"""Settlement: one delivery ends once, by whoever holds it, and in the way that was asked for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.scenes import LONG, at_once, drained, endings, quiet, taken


@invariant("Q-ACK-02", "Q-SETTLE-01")
def test_a_settled_receipt_settles_nothing_more(bed: Bed) -> None:
    """Whatever the first settle was and whatever the second one is."""
    queue = bed.queue()
    for first in endings(bed):
        queue.enqueue(b"same")
        delivery = taken(queue, _lease(bed))
        assert queue.settle_many([_end(delivery.receipt, first)]) == [True]

        for verb in _all_verbs(bed):
            assert queue.settle_many([_end(delivery.receipt, verb)]) == [False]
        with pytest.raises(qcore.LeaseLost):
            delivery.ack()

        _remove_all(bed, queue)


@invariant("Q-ACK-02")
def test_a_second_settle_touches_no_other_job(bed: Bed) -> None:
    """Not those in hand and not those that wait, though their bodies are the same."""
    queue = bed.queue()
    queue.enqueue_many([b"same"] * 5)
    settled, *held = (taken(queue, _lease(bed)) for _ in range(3))
    settled.ack()

    for verb in _all_verbs(bed):
        assert queue.settle_many([_end(settled.receipt, verb)]) == [False]

    assert queue.ack_many(held) == [True, True]
    assert len(drained(queue)) == 2
    assert quiet(queue)


@invariant("Q-ACK-02")
def test_an_old_receipt_does_not_settle_a_later_delivery_of_the_job(bed: Bed) -> None:
    """Not even on the connection that holds both."""
    if not bed.claims("release"):
        raise NotApplicable("no job is delivered again without waiting for its lease")
    queue = bed.queue()
    queue.enqueue(b"again")
    old = taken(queue, _lease(bed))
    old.release()
    new = taken(queue, _lease(bed))
    assert old.job.id == new.job.id

    for verb in _all_verbs(bed):
        assert queue.settle_many([_end(old.receipt, verb)]) == [False]
    with pytest.raises(qcore.LeaseLost):
        old.ack()

    new.ack()
    assert quiet(queue)


@invariant("Q-ACK-03")
def test_a_forged_receipt_settles_nothing(bed: Bed) -> None:
    """However close it comes to a true one."""
    queue = bed.queue()
    queue.enqueue_many([b"1", b"2"])
    one, two = taken(queue, _lease(bed)), taken(queue, _lease(bed))
    before = _stats(bed, queue)

    for token in _forgeries(one.receipt.token, two.receipt.token):
        for verb in _all_verbs(bed):
            assert _refused(queue, qcore.Receipt("q", token), verb), token

    assert _stats(bed, queue) == before
    assert queue.ack_many([one, two]) == [True, True]


@invariant("Q-ACK-03")
def test_a_receipt_of_another_queue_settles_nothing(bed: Bed) -> None:
    """Neither as it is nor relabelled, here or there."""
    queue, other = bed.queue("q"), bed.queue("other")
    queue.enqueue(b"mine")
    other.enqueue(b"theirs")
    mine, theirs = taken(queue, _lease(bed)), taken(other, _lease(bed))
    # Two queues may hand out the same text: a receipt is both, its queue and its token.
    is_forgery = mine.receipt.token != theirs.receipt.token

    for verb in _all_verbs(bed):
        with pytest.raises(qcore.InvalidReceipt):
            queue.settle_many([_end(mine.receipt, verb), _end(theirs.receipt, verb)])
        if is_forgery:
            assert _refused(queue, qcore.Receipt("q", theirs.receipt.token), verb)

    assert queue.ack_many([mine]) == other.ack_many([theirs]) == [True]


@invariant("Q-ACK-03")
@pytest.mark.parametrize("wrong", [None, "text", b"bytes", 1, ("q", "token")])
def test_what_is_no_receipt_is_refused(bed: Bed, wrong: object) -> None:
    """Before anything of the same batch is settled."""
    queue = bed.queue()
    queue.enqueue(b"")
    delivery = taken(queue, _lease(bed))

    with pytest.raises(qcore.InvalidReceipt):
        queue.ack_many([delivery.receipt, wrong])

    delivery.ack()


@invariant("Q-ACK-05")
def test_jobs_can_be_acked_in_any_order(bed: Bed) -> None:
    """One by one and many at once."""
    queue = bed.queue()
    queue.enqueue_many([b"%d" % number for number in range(50)])
    held = [taken(queue, _lease(bed)) for _ in range(50)]
    random.Random(7).shuffle(held)

    for delivery in held[:25]:
        delivery.ack()

    assert queue.ack_many(held[25:]) == [True] * 25
    assert quiet(queue)


@invariant("Q-ACK-05")
def test_jobs_can_be_acked_from_other_threads_and_connections(bed: Bed) -> None:
    """A receipt is enough."""
    queue, elsewhere = bed.queue(), bed.connect().queue("q")
    queue.enqueue_many([b"", b"", b""])
    one, two, three = (taken(queue, _lease(bed)) for _ in range(3))

    def ack_two() -> list[bool]:
        two.ack()
        return [True]

    def ack_three() -> list[bool]:
        return bed.connect().queue("q").ack_many([three.receipt])

    assert elsewhere.ack_many([one.receipt]) == [True]
    assert at_once(ack_two, ack_three) == [[True], [True]]
    assert queue.ack_many([one, two, three]) == [False] * 3
    assert quiet(elsewhere)


@invariant("Q-SETTLE-01")
def test_a_race_of_two_settles_has_one_winner(bed: Bed) -> None:
    """From two connections, or from two threads of one; and the job is where the winner put it."""
    if not bed.claims("retry"):
        raise NotApplicable("an ack has no rival")
    queue = bed.queue()
    rivals = [bed.connect().queue("q"), queue]
    wins = {qcore.Verb.ACK: 0, qcore.Verb.RETRY: 0}

    for round_ in range(bed.many(40)):
        job_id = queue.enqueue(b"")
        receipt = taken(queue, _lease(bed)).receipt
        verbs = list(wins) if round_ // 2 % 2 else list(reversed(wins))
        held = at_once(*_settles(rivals[round_ % 2], queue, receipt, verbs))
        assert sorted(held) == [[False], [True]]
        winner = verbs[held.index([True])]
        wins[winner] += 1
        left = queue.reserve_many(2, timeout=0.0)
        assert [one.job.id for one in left] == ([job_id] if winner is qcore.Verb.RETRY else [])
        queue.ack_many(left)

    bed.figure("races won by ack", wins[qcore.Verb.ACK], "races")
    if not all(wins.values()):
        raise Unknown(f"one side won every race: {wins}")


def _settles(
    one: qcore.Queue, two: qcore.Queue, receipt: qcore.Receipt, verbs: Sequence[qcore.Verb]
) -> list[Callable[[], list[bool]]]:
    return [
        lambda: one.settle_many([_end(receipt, verbs[0])]),
        lambda: two.settle_many([_end(receipt, verbs[1])]),
    ]


@invariant("Q-SETTLE-02")
def test_where_settlement_is_automatic_ack_does_nothing(bed: Bed) -> None:
    """So that code of a worker runs on every adapter; every other verb is refused."""
    queue = bed.queue()
    queue.subscribe()
    queue.enqueue_many([b"1", b"2", b"3"])
    one, two, three = (taken(queue) for _ in range(3))

    one.ack()
    one.ack()
    with two:
        pass
    with pytest.raises(ZeroDivisionError), three:
        raise ZeroDivisionError

    assert queue.ack_many([one, two, three.receipt]) == [True, True, True]
    for verb in ("release", "retry", "extend", "dead_letter"):
        with pytest.raises(qcore.UnsupportedCapability, match=verb):
            queue.settle_many([_end(one, qcore.Verb(verb))])
    assert quiet(queue)


def _lease(bed: Bed) -> float | None:
    """A lease that does not end during the test, where there are leases."""
    return LONG if bed.claims("lease") else None


def _all_verbs(bed: Bed) -> list[qcore.Verb]:
    return [*endings(bed), *([qcore.Verb.EXTEND] if bed.claims("extend") else [])]


def _end(delivery: object, verb: qcore.Verb) -> qcore.Settlement:
    return qcore.Settlement(delivery, verb, 5.0 if verb is qcore.Verb.EXTEND else 0.0)


def _refused(queue: qcore.Queue, receipt: qcore.Receipt, verb: qcore.Verb) -> bool:
    """Whether a settle was refused: as a lost lease, or as no receipt at all."""
    try:
        return queue.settle_many([_end(receipt, verb)]) == [False]
    except qcore.InvalidReceipt:
        return True


def _forgeries(one: str, two: str) -> list[str]:
    """Texts that are near the tokens of two deliveries and are neither."""
    middle = len(one) // 2
    near = ["", " ", "x", "0", one[:-1], one[1:], one + "x", "x" + one, one[::-1], one.upper()]
    mixed = [one[:middle] + two[middle:], two[:middle] + one[middle:], one + two, "\x00", "ü" * 999]
    return [token for token in (*near, *mixed) if token not in (one, two)]


def _stats(bed: Bed, queue: qcore.Queue) -> qcore.QueueStats | None:
    return queue.stats() if bed.claims("stats") else None


def _remove_all(bed: Bed, queue: qcore.Queue) -> None:
    """Take out what a settle left behind."""
    started = time.monotonic()
    drained(queue)
    if bed.claims("purge"):
        queue.purge("dead")
    assert time.monotonic() - started < LONG
