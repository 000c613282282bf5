"""A job that is made due sooner wakes who sleeps, and is found among many."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore.consume.reserve
from qcore import NewJob
from qcore_conformance.waiting import scaled
from tests.integration.stage import PROMPT, Stage, held
from tests.integration.test_full_memory import full
from tests.integration.test_waking import asleep


def test_a_job_made_due_wakes_a_sleeper(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q-RESCHED-01: who sleeps knows the old time only."""
    monkeypatch.setattr(qcore.consume.reserve, "LONGEST_WAIT", scaled(8.0))
    line, other = stage.line(), stage.other_line()
    job_id = other.enqueue(b"", delay=1000.0)
    with ThreadPoolExecutor(1) as pool:
        sleeper = asleep(stage, line, pool)
        began = time.monotonic()
        assert other.reschedule(job_id, delay=0.01)
        hand, woken = sleeper.result()
    assert hand.job.id == job_id
    assert woken - began < PROMPT


def test_a_retried_job_is_found_among_many(redis_stage: Stage) -> None:
    """Q-RESCHED-01: though it looks unlike the others, and in steps if need be."""
    line = redis_stage.line()
    line.enqueue_many([b""] * 1000)
    line.enqueue_many([b""] * 1000)
    line.enqueue_many([NewJob(b"", delay=1000.0)] * 1000)
    wanted = line.enqueue(b"wanted")
    for part in range(3):
        for hand in line.reserve_many(1000, timeout=0):
            if hand.job.id == wanted:
                assert part == 2
                hand.retry(1000.0)
    assert line.reschedule(wanted, delay=0)
    assert held(line.reserve(timeout=0)).job.id == wanted
    assert line.stats().delayed == 1000


def test_a_full_server_still_reschedules(own_stage: Stage) -> None:
    """Q-RESCHED-01, Q-REC-16: it stores nothing new."""
    line = own_stage.line()
    job_id = line.enqueue(b"", delay=1000.0, ttl=1000.0)
    with full(own_stage):
        assert line.reschedule(job_id, delay=0)
        held(line.reserve(timeout=0)).ack()
