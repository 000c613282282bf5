"""Only whoever holds a delivery ends it, and only once."""

from __future__ import annotations

import pytest

from qcore import InvalidReceipt, LeaseLost, Receipt, Settlement, Verb
from tests.integration.actors import Hand
from tests.integration.stage import Stage, held, together

VERBS = ("ack", "release", "retry", "dead_letter", "extend")


def settle(hand: Hand, verb: str) -> None:
    """Settle by the name of the verb."""
    if verb == "dead_letter":
        hand.dead_letter("bad")
    elif verb == "extend":
        hand.extend(10)
    else:
        getattr(hand, verb)()


@pytest.mark.parametrize("second", VERBS)
def test_a_settled_delivery_is_refused(stage: Stage, second: str) -> None:
    """Q-ACK-02, Q-SETTLE-01: a second settle changes nothing, not even for an equal body."""
    line = stage.line()
    line.enqueue_many([b"same", b"same"])
    hand, twin = line.reserve_many(2, timeout=0)
    hand.ack()
    before = line.stats()
    with pytest.raises(LeaseLost):
        settle(hand, second)
    assert line.stats() == before
    twin.ack()


@pytest.mark.parametrize("verb", VERBS)
def test_an_old_receipt_does_not_touch_a_new_delivery(stage: Stage, verb: str) -> None:
    """Q-ACK-02: the same connection may hold a later delivery of the same job."""
    line = stage.line()
    line.enqueue(b"job")
    old = held(line.reserve(timeout=0))
    old.release()
    new = held(line.reserve(timeout=0))
    with pytest.raises(LeaseLost):
        settle(old, verb)
    assert (new.job.id, new.number) == (old.job.id, 2)
    new.ack()


def test_a_released_job_is_ready_at_once_and_unchanged(stage: Stage) -> None:
    """Q-REL-01, Q-REL-02: it leaves the attempt and comes back before all others."""
    line, other = stage.line(), stage.other_line()
    line.enqueue_many([b"first", b"second"])
    hand = held(line.reserve(timeout=0))
    hand.release()
    again = held(other.reserve(timeout=0))
    assert (again.job, again.number, again.attempt) == (hand.job, 2, 1)


def test_a_retried_job_counts_and_waits(stage: Stage) -> None:
    """Q-REL-02, Q-RETRY-01: it comes after its delay, with one attempt more and its error kept."""
    line = stage.line()
    line.enqueue(b"job")
    held(line.reserve(timeout=0)).retry(0.2, error="ValueError: no")
    assert line.reserve(timeout=0) is None
    assert [one.note for one in line.peek("delayed")] == ["ValueError: no"]
    again = held(line.reserve(timeout=2))
    assert (again.number, again.attempt, again.crashes) == (2, 2, 0)


def test_a_retry_without_delay_is_ready_at_once(stage: Stage) -> None:
    """Q-RETRY-01: a delay of 0 is now."""
    line = stage.line()
    line.enqueue(b"job")
    for attempt in range(1, 5):
        hand = held(line.reserve(timeout=0))
        assert (hand.attempt, hand.number) == (attempt, attempt)
        hand.retry()


def test_acks_come_in_any_order_from_any_connection(stage: Stage) -> None:
    """Q-ACK-05: a receipt is all that a settle needs."""
    line, other = stage.line(), stage.other_line()
    line.enqueue_many([b"%d" % number for number in range(10)])
    receipts = [hand.receipt for hand in line.reserve_many(10, timeout=0)]
    assert all(other.ack_many(reversed(receipts)))
    assert line.stats().acked == 10


def test_a_race_of_ack_and_retry_has_one_winner(stage: Stage) -> None:
    """Q-SETTLE-01: the other one is told."""
    clients = [stage.connect() for _ in range(4)]
    verbs = [Verb.ACK, Verb.RETRY, Verb.RELEASE, Verb.DEAD_LETTER]
    for name in map(str, range(10)):
        clients[0].queue(name).enqueue(b"job")
        receipt = held(clients[0].queue(name).reserve(timeout=0)).receipt

        def race(number: int, name: str = name, receipt: Receipt = receipt) -> bool:
            step = Settlement(receipt, verbs[number])
            return clients[number].queue(name).settle_many([step])[0]

        assert sum(together(4, race)) == 1
        stats = clients[0].queue(name).stats()
        assert stats.held == 0
        assert stats.acked + stats.dead + stats.ready + stats.delayed == 1


def test_a_receipt_of_another_queue_is_refused(stage: Stage) -> None:
    """Q-ACK-03: it is bad input; nothing is sent."""
    line = stage.line()
    line.enqueue(b"job")
    receipt = held(line.reserve(timeout=0)).receipt
    with pytest.raises(InvalidReceipt):
        stage.line("other").ack_many([receipt])
    with pytest.raises(InvalidReceipt):
        line.ack_many(["no receipt at all"])
    assert line.ack_many([receipt]) == [True]


def test_a_forged_receipt_changes_nothing(redis_stage: Stage) -> None:
    """Q-ACK-03: whatever the token and the verb, every key stays as it was, to the byte."""
    line = redis_stage.line()
    line.enqueue_many([b"ready", b"held", b"waits"])
    hand, waits = line.reserve_many(2, timeout=0)
    waits.retry(1000)
    dead = held(line.reserve(timeout=0))
    dead.dead_letter("bad")
    line.enqueue(b"more")
    true = hand.receipt.token
    tokens = [
        "",
        "|",
        "garbage",
        "x|5|1|1|0|0|s|y",
        true + "0",
        true[:-1],
        true[1:],
        true.replace("|5|", "|4|", 1),
        true.replace("|1|", "|2|", 1),
        true.replace("|s|", "|p|"),
        true.rpartition("|")[0] + "|" + "0" * 16,
        waits.receipt.token,
        dead.receipt.token,
        "\u00e9\x00\n" * 50,
    ]
    before = redis_stage.stored()
    steps = [
        Settlement(Receipt("work", token), verb, seconds=10, note="n")
        for token in tokens
        for verb in (Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER, Verb.EXTEND)
    ]
    assert not any(line.settle_many(steps))
    assert redis_stage.stored() == before
    hand.ack()
