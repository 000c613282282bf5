"""A consumer that is killed takes nothing with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from qcore_conformance.processes import ScriptProcess
from qcore_conformance.waiting import wait_until
from tests.integration.stage import EDGES, Stage, held, places

# Who is killed blocks, so the colour of those who go on is all one.
SYNC = [place for place in places(EDGES) if place.colour == "sync"]
pytestmark = pytest.mark.parametrize("redis_stage", SYNC, ids=str, indirect=True)
WORKER = Path(__file__).with_name("killed_worker.py")
LEASE = 0.5


def test_a_sleeper_that_is_killed_gives_back_what_it_was_given(redis_stage: Stage) -> None:
    """Q-REC-05, Q-CANCEL-02: what a dead process got in its sleep is had by others, uncounted."""
    line = redis_stage.line()
    before = redis_stage.blocked()
    with ScriptProcess(WORKER, redis_stage.url(), arguments=["wait"]) as worker:
        worker.wait_for("waits")
        redis_stage.wait_asleep(before + 1)
        worker.pause()
        line.enqueue(b"job")
        wait_until(lambda: redis_stage.blocked() == before, within=5, what="it was given the job")
        worker.kill()
    began = time.monotonic()
    hand = held(line.reserve(timeout=10))
    assert time.monotonic() - began <= LEASE + 2.0
    assert (hand.job.body, hand.attempt, hand.crashes) == (b"job", 1, 0)
    stats = line.stats()
    assert (stats.ready, stats.held) == (0, 1)


def test_a_worker_that_is_killed_loses_nothing(redis_stage: Stage) -> None:
    """Q-REC-01, Q-LEASE-02: its job comes back when the lease is over, with one attempt more."""
    line = redis_stage.line()
    line.enqueue(b"job", headers={"k": "v"}, priority=-1)
    with ScriptProcess(WORKER, redis_stage.url(), arguments=["hold"]) as worker:
        worker.wait_for("holds job")
        # It keeps its lease for as long as it lives.
        assert line.reserve(timeout=3 * LEASE) is None
        worker.kill()
    began = time.monotonic()
    hand = held(line.reserve(timeout=10))
    assert time.monotonic() - began <= LEASE + 2.0
    assert (hand.job.body, hand.job.headers) == (b"job", {"k": "v"})
    assert (hand.number, hand.attempt, hand.crashes, hand.alone) == (2, 2, 1, True)
