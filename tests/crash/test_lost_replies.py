"""Replies that are lost without anybody dying: the flush is sent again, and counts once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

import qcore
from qcore_conformance.plans import Cut, When
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.waiting import wait_until
from tests.crash.scene import FLUSH, LEASE, RECOVERY, Scene
from tests.integration.actors import Hand, Line

PATIENCE = 0.5


@attrs.frozen
class Flush:
    """A call whose reply is lost.

    Attributes:
        name: For the id of the test.
        act: The call, given the queue and what was reserved before; its answer must be the same
            as if nothing had happened.
        answer: That answer.
        before: What was done if it never happened.
        after: What was done if it happened once.
        held: How many jobs are reserved before.
    """

    name: str
    act: Callable[[Line, Sequence[Hand]], object]
    answer: object
    before: dict[str, int]
    after: dict[str, int]
    held: int = 0

    def __str__(self) -> str:
        """The name."""
        return self.name


def _enqueue(line: Line, _: Sequence[Hand]) -> object:
    return [line.enqueue(b"0").created]


def _enqueue_id(line: Line, _: Sequence[Hand]) -> object:
    return [line.enqueue(b"0", id="mine").created, line.enqueue(b"0", id="mine").created]


def _enqueue_many(line: Line, _: Sequence[Hand]) -> object:
    jobs = [b"0", qcore.NewJob(b"1", delay=60.0), qcore.NewJob(b"2", id="mine")]
    return [job.created for job in line.enqueue_many(jobs)]


def _take(line: Line, _: Sequence[Hand]) -> object:
    return [(hand.job.body, hand.number) for hand in line.reserve_many(2, 0)]


def _ack(_: Line, hands: Sequence[Hand]) -> None:
    hands[0].ack()


def _release(_: Line, hands: Sequence[Hand]) -> None:
    hands[0].release()


def _retry(_: Line, hands: Sequence[Hand]) -> None:
    hands[0].retry(60.0, "it failed")


def _dead_letter(_: Line, hands: Sequence[Hand]) -> None:
    hands[0].dead_letter("no good")


def _extend(_: Line, hands: Sequence[Hand]) -> None:
    hands[0].extend(30.0)


def _mixed(line: Line, hands: Sequence[Hand]) -> object:
    verbs = (qcore.Verb.ACK, qcore.Verb.RELEASE, qcore.Verb.ACK)
    receipts = [hands[0].receipt, hands[1].receipt, hands[0].receipt]
    pairs = zip(receipts, verbs, strict=True)
    return line.settle_many(qcore.Settlement(receipt, verb) for receipt, verb in pairs)


FLUSHES = (
    Flush("enqueue", _enqueue, [True], {}, {"ready": 1}),
    Flush("enqueue-id", _enqueue_id, [True, False], {}, {"ready": 1}),
    Flush("enqueue-many", _enqueue_many, [True] * 3, {}, {"ready": 2, "delayed": 1}),
    Flush("take", _take, [(b"0", 1), (b"1", 1)], {"ready": 3}, {"ready": 1, "held": 2}),
    Flush("ack", _ack, None, {"held": 1}, {"acked": 1}, 1),
    Flush("release", _release, None, {"held": 1}, {"ready": 1}, 1),
    Flush("retry", _retry, None, {"held": 1}, {"delayed": 1}, 1),
    Flush("dead-letter", _dead_letter, None, {"held": 1}, {"dead": 1}, 1),
    Flush("extend", _extend, None, {"held": 1}, {"held": 1}, 1),
    Flush("mixed", _mixed, [True, True, False], {"held": 2}, {"acked": 1, "ready": 1}, 2),
)


def _begin(scene: Scene, flush: Flush, **params: object) -> tuple[CountingProxy, Line, list[Hand]]:
    """A queue reached through a proxy, with what the call needs."""
    stored = flush.before.get("ready", 0) + flush.held
    scene.watch.enqueue_many([str(number).encode() for number in range(stored)])
    proxy = scene.proxy()
    line = scene.line(scene.url(proxy.address, **params))
    hands = list(line.reserve_many(flush.held, 0, 30.0)) if flush.held else []
    return proxy, line, hands


@pytest.mark.parametrize("flush", FLUSHES, ids=str)
def test_a_flush_whose_replies_were_lost_counts_once_and_gives_the_first_answer(
    scene: Scene, flush: Flush
) -> None:
    """Sent three times, done once; the caller sees nothing of it."""
    proxy, line, hands = _begin(scene, flush)
    proxy.plan(
        Cut(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH),
        Cut(exchange=2, when=When.INSIDE_REPLY, commands=FLUSH),
    )
    assert flush.act(line, hands) == flush.answer
    proxy.wait_fired(2)
    scene.assert_no_copies()
    assert scene.tally() == flush.after


@pytest.mark.parametrize("flush", FLUSHES, ids=str)
def test_a_flush_that_never_arrived_is_sent_again(scene: Scene, flush: Flush) -> None:
    """Lost on the way there, whole or in the middle, it is done by the next try."""
    proxy, line, hands = _begin(scene, flush)
    proxy.plan(
        Cut(exchange=1, when=When.BEFORE_REQUEST, commands=FLUSH),
        Cut(exchange=2, when=When.INSIDE_REQUEST, commands=FLUSH),
    )
    assert flush.act(line, hands) == flush.answer
    proxy.wait_fired(2)
    scene.assert_no_copies()
    assert scene.tally() == flush.after


@pytest.mark.parametrize("flush", FLUSHES, ids=str)
def test_a_lost_reply_of_a_broker_that_stays_away_is_indeterminate(
    scene: Scene, flush: Flush
) -> None:
    """It was done, and nobody can say so."""
    proxy, line, hands = _begin(scene, flush, patience=f"{PATIENCE}s")
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH))
    proxy.refuse()
    began = time.monotonic()
    # Who only looks for work is told how the broker was when the time was over.
    doubt = qcore.Unavailable if flush.name == "take" else qcore.Indeterminate
    with pytest.raises(doubt):
        flush.act(line, hands)
    assert time.monotonic() - began >= PATIENCE
    scene.assert_no_copies()
    assert scene.tally() == flush.after
    proxy.heal()


@pytest.mark.parametrize("flush", FLUSHES, ids=str)
def test_a_broker_that_was_never_reached_did_nothing(scene: Scene, flush: Flush) -> None:
    """Unavailable means that the same call may be made again."""
    proxy, line, hands = _begin(scene, flush, patience=f"{PATIENCE}s")
    proxy.refuse()
    proxy.cut()
    wait_until(lambda: proxy.connections == 0, within=5.0, what="all connections are closed")
    with pytest.raises(qcore.Unavailable):
        flush.act(line, hands)
    assert scene.tally() == flush.before
    proxy.heal()
    assert flush.act(line, hands) == flush.answer
    assert scene.tally() == flush.after


def test_a_large_request_that_was_half_sent_stores_nothing(scene: Scene) -> None:
    """Half a job is no job."""
    proxy = scene.proxy()
    line = scene.line(scene.url(proxy.address, patience=f"{PATIENCE}s"))
    body = b"x" * (1 << 20)
    proxy.plan(Cut(exchange=1, when=When.INSIDE_REQUEST, commands=FLUSH))
    proxy.refuse()
    with pytest.raises(qcore.Indeterminate):
        line.enqueue(body)
    assert scene.tally() == {}
    assert scene.leftovers() == {}
    proxy.heal()
    proxy.plan(Cut(exchange=1, when=When.INSIDE_REQUEST, commands=FLUSH))
    line.enqueue(body)
    assert scene.tally() == {"ready": 1}
    (came,) = scene.collect(1)
    assert came.delivery.job.body == body
    scene.assert_at_rest()


def test_a_second_try_with_the_same_id_after_doubt_adds_nothing(scene: Scene) -> None:
    """The caller's id makes doubt harmless."""
    proxy = scene.proxy()
    line = scene.line(scene.url(proxy.address, patience=f"{PATIENCE}s"))
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH))
    proxy.refuse()
    with pytest.raises(qcore.Indeterminate):
        line.enqueue(b"0", id="mine")
    proxy.heal()
    again = line.enqueue(b"0", id="mine")
    assert not again.created
    scene.collect(1)
    scene.assert_at_rest()


def test_calls_of_many_that_shared_a_lost_reply_all_get_their_own_answer(scene: Scene) -> None:
    """Group commit and replay do not mix answers up."""
    proxy = scene.proxy()
    line = scene.line(scene.url(proxy.address))
    line.enqueue(b"first")
    for exchange in (1, 2, 4, 6):
        proxy.plan(Cut(exchange=exchange, when=When.BEFORE_REPLY, commands=FLUSH))
    names = [f"job-{number}" for number in range(64)]
    with ThreadPoolExecutor(16) as pool:
        made = [
            each.result() for each in [pool.submit(line.enqueue, b"0", id=one) for one in names]
        ]
    assert made == names
    assert all(job.created for job in made)
    proxy.wait_fired(2)
    with ThreadPoolExecutor(8) as pool:
        taken = [each.result() for each in [pool.submit(line.reserve, 1.0) for _ in range(65)]]
    hands = [hand for hand in taken if hand]
    assert len({hand.job.id for hand in hands}) == 65
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH))
    with ThreadPoolExecutor(16) as pool:
        for each in [pool.submit(hand.ack) for hand in hands]:
            each.result()
    scene.assert_at_rest()


def test_jobs_of_a_take_whose_reply_never_came_are_handed_out_uncounted(scene: Scene) -> None:
    """No handler saw them, so the next one gets them on their first attempt."""
    scene.watch.enqueue(b"0")
    proxy = scene.proxy()
    line = scene.line(scene.url(proxy.address, patience="0.2s"))
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH))
    proxy.refuse()
    with pytest.raises((qcore.Indeterminate, qcore.Unavailable)):
        line.reserve(0.5)
    proxy.heal()
    hand = line.reserve(LEASE + RECOVERY)
    assert hand is not None
    assert (hand.attempt, hand.crashes) == (1, 0)
    hand.ack()
    scene.assert_at_rest()


def _reserve(line: Line) -> Hand | None:
    return line.reserve(10.0)


def _consume(line: Line) -> Hand:
    return next(line.consume().__enter__())


@pytest.mark.parametrize("how", [_reserve, _consume], ids=["reserve", "consume"])
def test_a_take_that_is_answered_after_its_lease_gives_a_delivery_that_still_counts(
    scene: Scene, how: Callable[[Line], Hand | None]
) -> None:
    """What nobody took meanwhile is handed over with a lease that holds."""
    scene.watch.enqueue(b"0")
    proxy = scene.proxy()
    line = scene.line(scene.url(proxy.address, patience="10s"))
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY, commands=FLUSH))
    proxy.refuse()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(how, line)
        proxy.wait_fired()
        time.sleep(LEASE + 0.2)  # the broker is away for longer than the lease
        proxy.heal()
        hand = future.result()
    assert hand is not None
    assert (hand.attempt, hand.crashes, hand.lost) == (1, 0, False)
    hand.ack()
    scene.assert_at_rest()
