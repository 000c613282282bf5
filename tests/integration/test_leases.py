"""A lease hides a job while it lasts and gives it back when its holder is gone."""

from __future__ import annotations

import time
from itertools import chain

import pytest

from qcore import LeaseLost
from qcore.backend import Settle, TakenJob, TakeRequest, Verb
from tests.integration.stage import SLACK, Stage, held, together

AHEAD = TakeRequest(limit=10, lease_ms=30_000, started=False)


def take_ahead(stage: Stage) -> list[TakenJob]:
    """Take as a consumer does that takes more than it can start."""
    return list(stage.client.take("work", AHEAD).jobs)


def start(stage: Stage, *jobs: TakenJob) -> None:
    """Say that work on these has started."""
    steps = [Settle(job.token, Verb.START) for job in jobs]
    assert all(stage.client.settle("work", steps))


def test_a_held_job_is_hidden_until_its_lease_ends(stage: Stage) -> None:
    """Q-LEASE-01, Q-LEASE-02: another consumer gets it neither before nor long after that."""
    line, other = stage.line(), stage.other_line()
    line.enqueue(b"job")
    began = time.monotonic()
    hand = held(line.reserve(timeout=0, lease=0.4))
    assert other.reserve(timeout=0) is None
    again = held(other.reserve(timeout=5))
    assert 0.399 <= time.monotonic() - began <= 0.4 + SLACK
    assert (again.job, again.number, again.attempt, again.crashes) == (hand.job, 2, 2, 1)
    assert hand.lost


def test_a_saturated_consumer_recovers_jobs_too(stage: Stage) -> None:
    """Q-LEASE-11: what a dead holder had comes before what is new."""
    line, other = stage.line(), stage.other_line()
    line.enqueue(b"lost")
    line.reserve(timeout=0)
    line.enqueue_many([b"new"] * 20)
    stage.let_leases_end()
    assert held(other.reserve(timeout=0)).job.body == b"lost"
    assert held(other.reserve(timeout=0)).job.body == b"new"


@pytest.mark.parametrize("verb", ["ack", "release", "retry", "dead_letter", "extend"])
def test_a_zombie_settles_nothing(stage: Stage, verb: str) -> None:
    """Q-LEASE-05: after its lease ended, a holder cannot touch the new owner's delivery."""
    line, other = stage.line(), stage.other_line()
    line.enqueue(b"job")
    zombie = held(line.reserve(timeout=0))
    stage.let_leases_end()
    owner = held(other.reserve(timeout=0))
    steps = {"dead_letter": ("bad",), "extend": (10.0,)}
    with pytest.raises(LeaseLost):
        getattr(zombie, verb)(*steps.get(verb, ()))
    assert zombie.lost
    owner.ack()
    assert line.stats().acked == 1


@pytest.mark.parametrize("verb", ["ack", "release", "extend"])
def test_an_expired_lease_is_over_even_if_nobody_took_the_job(stage: Stage, verb: str) -> None:
    """Q-LEASE-03: extending after the end does not bring the lease back."""
    line = stage.line()
    line.enqueue(b"job")
    hand = held(line.reserve(timeout=0))
    stage.let_leases_end()
    with pytest.raises(LeaseLost):
        getattr(hand, verb)(*([10.0] if verb == "extend" else []))
    assert held(line.reserve(timeout=0)).number == 2


def test_extending_keeps_a_job_hidden(stage: Stage) -> None:
    """Q-LEASE-03, Q-LEASE-04: as long as it is extended, and no attempt is counted."""
    line, other = stage.line(), stage.other_line()
    line.enqueue(b"job")
    hand = held(line.reserve(timeout=0, lease=0.3))
    for _ in range(3):
        hand.extend(0.3)
        assert other.reserve(timeout=0.15) is None
    assert (hand.lost, line.stats().held) == (False, 1)
    again = held(other.reserve(timeout=5))
    assert (again.number, again.attempt) == (2, 2)


def test_a_consumer_keeps_its_leases(stage: Stage) -> None:
    """Q-LEASE-04: a job that takes longer than its lease is delivered once."""
    line, other = stage.line(), stage.other_line()
    line.enqueue(b"slow")
    with line.consume(lease=0.3) as hands:
        hand = next(hands)
        assert other.reserve(timeout=1.0) is None
        hand.ack()
    assert (hand.lost, line.stats().acked) == (False, 1)


def test_the_end_of_a_started_job_counts(stage: Stage) -> None:
    """Q-ATT-01: started and never settled is an attempt and a crash."""
    line = stage.line()
    line.enqueue(b"job")
    start(stage, *take_ahead(stage))
    stage.let_leases_end()
    again = held(line.reserve(timeout=0))
    assert (again.number, again.attempt, again.crashes, again.alone) == (2, 2, 1, True)


def test_the_end_of_a_job_that_was_only_taken_ahead_costs_nothing(stage: Stage) -> None:
    """Q-ATT-03, Q-LEASE-06: no handler saw it, so no attempt is used up."""
    line = stage.line()
    line.enqueue(b"job")
    take_ahead(stage)
    stage.let_leases_end()
    again = held(line.reserve(timeout=0))
    assert (again.number, again.attempt, again.crashes) == (2, 1, 0)


def test_a_poisonous_job_harms_no_neighbour(stage: Stage) -> None:
    """Q-ATT-02: what was taken beside it loses no attempt and is not set aside with it."""
    line = stage.line()
    line.enqueue_many([b"good 1", b"poison", b"good 2"])
    done: list[bytes] = []
    while jobs := take_ahead(stage):
        for job in jobs:
            start(stage, job)
            if job.envelope.endswith(b"poison"):
                assert not job.crashes or len(jobs) == 1
                stage.let_leases_end()
                break
            assert (job.attempt, job.crashes) == (1, 0)
            assert stage.client.settle("work", [Settle(job.token, Verb.ACK)]) == [True]
            done.append(job.envelope[-6:])
    assert sorted(done) == [b"good 1", b"good 2"]
    (dead,) = line.peek("dead")
    assert dead.job is not None
    assert (dead.job.body, dead.crashes) == (b"poison", 3)


def test_a_job_with_a_crash_comes_alone(stage: Stage) -> None:
    """Q-ATT-02: nothing else is handed out with it, before or behind."""
    line = stage.line()
    line.enqueue(b"poison")
    line.reserve(timeout=0)
    line.enqueue_many([b"new"] * 5)
    stage.let_leases_end()
    first, rest = line.reserve_many(10, timeout=0), line.reserve_many(10, timeout=0)
    assert [hand.alone for hand in first] == [True]
    assert [hand.alone for hand in rest] == [False] * 5
    held_back = line.reserve_many(10, timeout=0)
    assert not held_back


def test_a_job_that_kills_its_workers_is_set_aside(stage: Stage) -> None:
    """Q-ATT-02: after the limit of crashes it is dead, with the reason."""
    line = stage.connect(crash_limit=2).queue()
    line.enqueue(b"poison")
    for attempt in (1, 2):
        assert held(line.reserve(timeout=0)).attempt == attempt
        stage.let_leases_end()
    assert line.reserve(timeout=0) is None
    (dead,) = line.peek("dead")
    assert (dead.crashes, dead.note) == (2, "its worker died 2 times")


def test_a_job_whose_deliveries_get_lost_is_set_aside(stage: Stage) -> None:
    """Q-ATT-03: ghosts cost no attempt, but there is an end to them."""
    stage.connect(delivery_cap=3)
    line = stage.line()
    line.enqueue(b"job")
    take_ahead(stage)
    stage.let_leases_end()
    for _ in range(2):
        assert take_ahead(stage)
        stage.let_leases_end()
    assert not take_ahead(stage)
    (dead,) = line.peek("dead")
    assert dead.crashes < 3
    assert dead.note == "3 deliveries were lost"


def test_many_live_leases_hide_no_dead_one(redis_stage: Stage) -> None:
    """Q-LEASE-07: a thousand longer leases, taken earlier, do not hide one that ends."""
    line = redis_stage.line()
    line.enqueue_many([b"live"] * 1000)
    assert len(line.reserve_many(1000, timeout=0, lease=600)) == 1000
    line.enqueue(b"dead")
    line.reserve(timeout=0, lease=0.1)
    assert held(redis_stage.other_line().reserve(timeout=2)).job.body == b"dead"


def test_many_recoverers_make_one_copy(stage: Stage) -> None:
    """Q-LEASE-10: eight that look at the same moment share the jobs of a dead holder."""
    line = stage.line()
    line.enqueue_many([b"%d" % number for number in range(20)])
    assert len(line.reserve_many(20, timeout=0)) == 20
    stage.let_leases_end()
    lines = [stage.connect().queue() for _ in range(8)]

    def drain(number: int) -> list[bytes]:
        come: list[bytes] = []
        while hand := lines[number].reserve(timeout=0):
            come.append(hand.job.body)
            hand.ack()
        return come

    come = chain.from_iterable(together(8, drain))
    assert sorted(come) == sorted(b"%d" % number for number in range(20))
