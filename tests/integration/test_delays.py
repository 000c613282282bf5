"""A job that is due later is delivered neither early nor late."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from qcore import InvalidInput, NewJob
from tests.integration.stage import SLACK, Stage, held, together


def test_an_idle_consumer_gets_a_delayed_job_in_time(stage: Stage) -> None:
    """Q-DELAY-01: never early, and late only by what a wake-up takes."""
    line = stage.line()
    began = time.time()
    line.enqueue(b"later", delay=0.3)
    assert line.reserve(timeout=0) is None
    assert line.stats().delayed == 1
    hand = held(line.reserve(timeout=5))
    assert 0.299 <= time.time() - began <= 0.3 + SLACK
    assert (hand.number, hand.attempt) == (1, 1)


def test_a_busy_consumer_gets_delayed_jobs_in_time(stage: Stage) -> None:
    """Q-DELAY-01: a consumer that never sleeps finds what is due before what is new."""
    line = stage.line()
    line.enqueue_many([b"new"] * 1000)
    began = time.time()
    line.enqueue(b"later", delay=0.2)
    come = b"new"
    while come == b"new":
        hand = held(line.reserve(timeout=0))
        come = hand.job.body
        hand.release()
    assert 0.199 <= time.time() - began <= 0.2 + SLACK
    assert line.stats().ready == 1001


@pytest.mark.parametrize("form", ["seconds", "datetime"])
def test_a_moment_may_be_given(stage: Stage, form: str) -> None:
    """Q-DELAY-01: an absolute time counts by the broker's clock."""
    line = stage.line()
    due = time.time() + 0.3
    line.enqueue(b"", at=due if form == "seconds" else datetime.fromtimestamp(due, UTC))
    assert line.reserve(timeout=0) is None
    held(line.reserve(timeout=5))
    assert due - 0.002 <= time.time() <= due + SLACK


def test_a_moment_in_the_past_is_now(stage: Stage) -> None:
    """Q-DELAY-01: what should have happened yesterday is ready at once, and so is delay 0."""
    line = stage.line()
    line.enqueue(b"yesterday", at=datetime.now(UTC) - timedelta(days=1))
    line.enqueue(b"long ago", at=0)
    line.enqueue(b"now", delay=0)
    come = [hand.job.body for hand in line.reserve_many(3, timeout=0)]
    assert come == [b"yesterday", b"long ago", b"now"]


def test_a_delay_cannot_be_negative(stage: Stage) -> None:
    """Q-INPUT-01: nothing is sent."""
    with pytest.raises(InvalidInput):
        stage.line().enqueue(b"", delay=-1)
    assert stage.line().stats().enqueued == 0


def test_due_jobs_come_before_new_ones_the_earliest_first(stage: Stage) -> None:
    """Q-ORD-04: many that became due while nobody looked keep the order of their due times."""
    line = stage.line()
    line.enqueue_many(NewJob(b"%d" % number, delay=1000 + number) for number in range(500))
    line.enqueue(b"new")
    stage.let_delays_end()
    come: list[bytes] = []
    while found := line.reserve_many(50, timeout=0):
        come += [hand.job.body for hand in found]
    assert come == [*(b"%d" % number for number in range(500)), b"new"]


def test_an_earlier_job_wakes_who_waits_for_a_later_one(stage: Stage) -> None:
    """Q-DELAY-01: consumers that know a due time hear of an earlier one."""
    line = stage.line()
    line.enqueue(b"later", delay=1.4)

    def act(number: int) -> float:
        if number == 0:
            assert held(line.reserve(timeout=5)).job.body == b"sooner"
            return time.time()
        stage.wait_asleep()
        due = time.time() + 0.2
        stage.other_line().enqueue(b"sooner", at=due)
        return due

    came, due = together(2, act)
    assert due - 0.002 <= came <= due + SLACK


def test_a_due_job_is_promoted_once(stage: Stage) -> None:
    """Q-DELAY-02: many consumers that look at the same moment get it once."""
    lines = [stage.connect().queue() for _ in range(8)]
    lines[0].enqueue(b"once", delay=0.2)
    come = together(8, lambda number: lines[number].reserve(timeout=0.5))
    assert sum(hand is not None for hand in come) == 1
