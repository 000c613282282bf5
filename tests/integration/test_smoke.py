"""The essentials on every other server, so that each version that is supported was seen to work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qcore import NewJob
from tests.integration.conftest import Servers, open_stage
from tests.integration.stage import OTHERS, PROMPT, SLACK, Place, Stage, held, places


@pytest.fixture(params=places(OTHERS), ids=str)
def other_stage(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Stage]:
    """Both adapters in both colours on a server that is neither the oldest nor the newest."""
    place: Place = request.param
    assert place.binary is not None
    yield from open_stage(place, servers(place.binary))


def test_round_trip(other_stage: Stage) -> None:
    """Q-CORE-01: what goes in comes out, the urgent first."""
    line = other_stage.line()
    body = bytes(range(256))
    line.enqueue(body, headers={"k": "v"})
    line.enqueue(b"urgent", priority=4)
    urgent, plain = line.reserve_many(10, timeout=0)
    assert (urgent.job.body, plain.job.body, plain.job.headers) == (b"urgent", body, {"k": "v"})
    assert all(line.ack_many([urgent.receipt, plain.receipt]))
    assert line.stats().acked == 2


def test_waking(other_stage: Stage) -> None:
    """Q-BLOCK-01: a sleeper wakes for jobs of any level."""
    line, other = other_stage.line(), other_stage.other_line()
    with ThreadPoolExecutor(1) as pool:
        for priority in (0, -4):
            come = pool.submit(line.reserve, 10)
            other_stage.wait_asleep()
            began = time.monotonic()
            other.enqueue(b"job", priority=priority)
            held(come.result()).ack()
            assert time.monotonic() - began < PROMPT


def test_delay(other_stage: Stage) -> None:
    """Q-DELAY-01: neither early nor late."""
    line = other_stage.line()
    began = time.time()
    line.enqueue(b"later", delay=0.3)
    assert line.reserve(timeout=0) is None
    held(line.reserve(timeout=5)).ack()
    assert 0.299 <= time.time() - began <= 0.3 + SLACK


def test_lease_expiry(other_stage: Stage) -> None:
    """Q-LEASE-02, Q-LEASE-05: a dead holder's job comes back, and the holder is told."""
    line = other_stage.line()
    line.enqueue(b"job")
    zombie = held(line.reserve(timeout=0, lease=0.2))
    again = held(other_stage.other_line().reserve(timeout=2))
    assert (again.number, again.attempt, again.crashes) == (2, 2, 1)
    assert line.ack_many([zombie.receipt, again.receipt]) == [False, True]


def test_dead_letter_and_redrive(other_stage: Stage) -> None:
    """Q-DLQ-01, Q-DLQ-03: set aside with its reason, and sent back as new."""
    line = other_stage.line()
    given = line.enqueue(b"job")
    held(line.reserve(timeout=0)).dead_letter("bad")
    (dead,) = line.peek("dead")
    assert (dead.id, dead.note) == (given, "bad")
    assert line.redrive() == 1
    hand = held(line.reserve(timeout=0))
    assert (hand.job.id, hand.number, hand.attempt) == (given, 2, 1)
    hand.ack()


def test_dedup(other_stage: Stage) -> None:
    """Q-DEDUP-01: the same id or key again changes nothing."""
    line = other_stage.line()
    jobs = [
        NewJob(b"", id="x"),
        NewJob(b"", dedup="y"),
        NewJob(b"", id="x"),
        NewJob(b"", dedup="y"),
    ]
    first, second, third, fourth = line.enqueue_many(jobs)
    assert [first.created, second.created, third.created, fourth.created] == [
        True,
        True,
        False,
        False,
    ]
    assert (third, fourth) == (first, second)
    assert line.stats().ready == 2


def test_everything_lands_where_it_should(other_stage: Stage) -> None:
    """Q-OBS-01: one batch of all verbs, purge of every state, and the counts agree."""
    line = other_stage.line()
    line.enqueue_many([b"%d" % number for number in range(5)])
    acked, released, retried, dead, _ = line.reserve_many(5, timeout=0)
    acked.ack()
    released.release()
    retried.retry(100)
    dead.dead_letter("bad")
    stats = line.stats()
    assert (stats.acked, stats.ready, stats.delayed, stats.dead, stats.held) == (1, 1, 1, 1, 1)
    assert [line.purge(state) for state in ("ready", "delayed", "dead")] == [1, 1, 1]
    assert line.stats().dropped == 3
