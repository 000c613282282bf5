"""Jobs come out as they went in, in their order, alone or in batches."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from qcore import InvalidInput, LimitExceeded, NewJob, Settlement, Verb
from tests.integration.stage import SLACK, Stage, held, together

BODIES = [
    b"",
    bytes(range(256)),
    b"\0",
    b"\r\n$5\r\nhello\r\n*1\r\n",
    b"\xff\xfe\xc3\x28",
    b"x" * (1 << 20),
]
HEADERS = {
    "": "an empty name",
    "empty": "",
    "id": "a lookalike of a field",
    "caf\u00e9": "composed",
    "cafe\u0301": "decomposed",
    "\U0001f600": "\u05e9\u05dc\u05d5\u05dd\u0000\r\n",
}


@contextmanager
def lasting(least: float, most: float) -> Generator[None]:
    """Insist that what is done inside takes so many seconds."""
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began <= most


def test_a_job_comes_out_as_it_went_in(stage: Stage) -> None:
    """Q-CORE-01, Q-DATA-02: id, body, headers and time are the same at the other end."""
    line = stage.line()
    before = time.time()
    given = line.enqueue(b"hello", headers=HEADERS, priority=2)
    job = held(line.reserve(timeout=0)).job
    assert (job.id, job.body, job.headers, job.priority) == (given, b"hello", HEADERS, 2)
    assert before - 0.001 <= job.enqueued_at <= time.time() + 0.001


@pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{len(body)}-bytes")
def test_a_body_is_any_bytes(stage: Stage, body: bytes) -> None:
    """Q-DATA-01: nothing in a body is taken for anything else, up to the declared limit."""
    line = stage.line()
    line.enqueue(body)
    assert held(line.reserve(timeout=0)).job.body == body


def test_a_body_above_the_limit_is_refused(stage: Stage) -> None:
    """Q-CAP-04: one byte more is an error, and nothing is stored."""
    line = stage.line()
    with pytest.raises(LimitExceeded):
        line.enqueue(b"x" * (stage.client.capabilities.limits.body + 1))
    assert line.stats().enqueued == 0


def test_a_lone_surrogate_in_a_header_is_refused(stage: Stage) -> None:
    """Q-DATA-02: what cannot be written as Unicode is bad input."""
    with pytest.raises(InvalidInput):
        stage.line().enqueue(b"", headers={"k": "\ud800"})


def test_equal_bodies_are_distinct_jobs(stage: Stage) -> None:
    """Q-DATA-03: to ack one leaves its twin."""
    line = stage.line()
    ids = {line.enqueue(b"same"), line.enqueue(b"same")}
    first, second = line.reserve_many(2, timeout=0)
    assert {first.job.id, second.job.id} == ids
    first.ack()
    assert [one.id for one in line.peek("held")] == [second.job.id]


def test_jobs_from_before_any_consumer_are_delivered(stage: Stage) -> None:
    """Q-CORE-08: nobody has to listen before a job is enqueued."""
    stage.line().enqueue(b"early")
    assert held(stage.other_line().reserve(timeout=0)).job.body == b"early"


def test_an_empty_queue_answers_at_once_when_asked_to(stage: Stage) -> None:
    """Q-BLOCK-02: a timeout of 0 looks once."""
    line = stage.line()
    line.reserve(timeout=0)
    with lasting(0.0, SLACK):
        assert line.reserve(timeout=0) is None


def test_an_empty_queue_answers_when_the_time_is_over(stage: Stage) -> None:
    """Q-CORE-02: none comes neither earlier nor much later than the timeout."""
    with lasting(0.3, 0.3 + SLACK):
        assert stage.line().reserve(timeout=0.3) is None


def test_jobs_come_in_the_order_of_their_enqueue(stage: Stage) -> None:
    """Q-ORD-01: two thousand jobs of one producer, whatever is in other queues."""
    line, other = stage.line(), stage.line("other")
    bodies = [b"%d" % number for number in range(2000)]
    for start in range(0, 2000, 500):
        line.enqueue_many(bodies[start : start + 500])
        other.enqueue(b"noise")
    come: list[bytes] = []
    while found := line.reserve_many(300, timeout=0):
        come += [hand.job.body for hand in found]
        line.ack_many(hand.receipt for hand in found)
    assert come == bodies


def test_producers_and_consumers_share_the_work(stage: Stage) -> None:
    """Q-CORE-04: each job is acked exactly once, whoever enqueues and whoever takes."""
    clients = [stage.connect() for _ in range(4)]

    def produce(number: int) -> list[bytes]:
        line = clients[number].queue()
        bodies = [b"%d-%d" % (number, job) for job in range(50)]
        for body in bodies:
            line.enqueue(body)
        return bodies

    def work(number: int) -> list[bytes]:
        if number < 2:
            return produce(number)
        line, done = clients[number].queue(), list[bytes]()
        while hand := line.reserve(timeout=0.3):
            hand.ack()
            done.append(hand.job.body)
        return done

    *made, first, second = together(4, work)
    assert sorted(first + second) == sorted(made[0] + made[1])


def test_more_urgent_jobs_come_first(stage: Stage) -> None:
    """Q-PRIO-01, Q-PRIO-02: the larger number wins, and a level keeps its order."""
    line = stage.line()
    for turn in (0, 1):
        line.enqueue_many(
            NewJob(b"%d %d" % (level, turn), priority=level) for level in (0, -4, 4, 2, -1, 1)
        )
    come = [hand.job.body for hand in line.reserve_many(100, timeout=0)]
    wanted = [b"%d %d" % (level, turn) for level in (4, 2, 1, 0, -1, -4) for turn in (0, 1)]
    assert come == wanted


def test_a_job_that_woke_consumers_does_not_pass_a_more_urgent_one(stage: Stage) -> None:
    """Q-PRIO-01: what rings for one level hides no job of another, asked for one by one."""
    line = stage.line()
    line.enqueue(b"low", priority=-1)
    line.enqueue(b"normal")
    assert [held(line.reserve(timeout=0)).job.body for _ in range(2)] == [b"normal", b"low"]


def test_what_rang_hides_no_job(stage: Stage) -> None:
    """Q-BLOCK-02: after an urgent job was taken, the next look finds the normal one."""
    line = stage.line()
    line.enqueue(b"urgent", priority=4)
    held(line.reserve(timeout=0)).ack()
    line.enqueue(b"normal")
    assert held(line.reserve(timeout=0)).job.body == b"normal"


def test_priority_outlives_what_happens_to_a_job(stage: Stage) -> None:
    """Q-PRIO-02: released, retried, recovered and delayed jobs keep their level."""
    line = stage.line()
    for name in (b"release", b"retry", b"expire"):
        line.enqueue(name, priority=3)
    line.enqueue(b"delay", priority=3, delay=1000)
    released, retried, _ = line.reserve_many(3, timeout=0)
    released.release()
    retried.retry(1000)
    stage.let_leases_end()
    stage.let_delays_end()
    line.enqueue_many([NewJob(b"more", priority=4), NewJob(b"less", priority=2)])
    come = [held(line.reserve(timeout=0)).job.body for _ in range(6)]
    assert come[0] == b"more"
    assert set(come[1:5]) == {b"release", b"retry", b"expire", b"delay"}
    assert come[5] == b"less"


def test_a_batch_is_stored_whole_or_not_at_all(stage: Stage) -> None:
    """Q-BATCH-01: one bad job among good ones stores none; no job is a legal batch."""
    line = stage.line()
    with pytest.raises(InvalidInput):
        line.enqueue_many([b"good", NewJob(b"bad", id="has space"), b"good"])
    assert line.stats().enqueued == 0
    assert line.enqueue_many([]) == []


def test_a_batch_has_a_limit(stage: Stage) -> None:
    """Q-CAP-04, Q-BATCH-01: as many as declared work, one more is refused whole."""
    line, most = stage.line(), stage.client.capabilities.limits.batch
    with pytest.raises(LimitExceeded):
        line.enqueue_many([b""] * (most + 1))
    with pytest.raises(LimitExceeded):
        line.reserve_many(most + 1, timeout=0)
    assert len(line.enqueue_many([b""] * most)) == most
    found = line.reserve_many(most, timeout=0)
    assert len(found) == most
    with pytest.raises(LimitExceeded):
        line.ack_many([hand.receipt for hand in found] + [found[0].receipt])
    assert all(line.ack_many(hand.receipt for hand in found))


def test_a_batch_does_not_wait_to_be_full(stage: Stage) -> None:
    """Q-BATCH-02: what is there is given at once, and each job is settled by itself."""
    line = stage.line()
    line.enqueue_many([b"1", b"2", b"3"])
    with lasting(0.0, SLACK):
        found = line.reserve_many(100, timeout=5)
    assert [hand.job.body for hand in found] == [b"1", b"2", b"3"]
    found[1].ack()
    found[0].release()
    stats = line.stats()
    assert (stats.ready, stats.held, stats.acked) == (1, 1, 1)


def test_one_batch_settles_in_many_ways(stage: Stage) -> None:
    """Q-SETTLE-01: each step counts for itself; the second one for a delivery is refused."""
    line = stage.line()
    line.enqueue_many([b"%d" % number for number in range(6)])
    hands = [hand.receipt for hand in line.reserve_many(6, timeout=0)]
    steps = [
        Settlement(hands[0]),
        Settlement(hands[1], Verb.RELEASE),
        Settlement(hands[2], Verb.RETRY, seconds=100, note="later"),
        Settlement(hands[0], Verb.RETRY),
        Settlement(hands[3], Verb.DEAD_LETTER, note="bad"),
        Settlement(hands[4], Verb.EXTEND, seconds=100),
        Settlement(hands[1]),
        Settlement(hands[4]),
    ]
    assert line.settle_many(steps) == [True, True, True, False, True, True, False, True]
    stats = line.stats()
    assert (stats.ready, stats.delayed, stats.held, stats.dead, stats.acked) == (1, 1, 1, 1, 2)
    assert line.settle_many([]) == []
