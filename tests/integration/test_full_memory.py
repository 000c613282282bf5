"""A server whose memory is full takes nothing in, and gives everything out."""

from __future__ import annotations

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from qcore import Gate, NewJob, Unavailable
from tests.integration.stage import SLACK, Stage, held


@contextmanager
def full(stage: Stage) -> Generator[None]:
    """Let the server's memory be full."""
    stage.server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    stage.server.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        yield
    finally:
        stage.server.cli("CONFIG", "SET", "maxmemory", "0")


def test_an_enqueue_is_refused_and_stores_nothing(own_stage: Stage) -> None:
    """Q-REC-16: not applied, for good measure compared with every key."""
    line = own_stage.connect(patience="100ms").queue()
    line.enqueue(b"before", id="before")
    jobs = [
        [NewJob(b"plain")],
        [NewJob(b"urgent", priority=4)],
        [NewJob(b"later", delay=10)],
        [NewJob(b"named", id="x")],
        [NewJob(b"unique", dedup="y")],
        [NewJob(b"in turn", tenant="acme")],
        [NewJob(b"limited", gate=Gate("acme", concurrency=1))],
        [NewJob(b"known", id="before"), NewJob(b"new")],
        [NewJob(b"%d" % number) for number in range(100)],
    ]
    before = own_stage.stored()
    with full(own_stage):
        for batch in jobs:
            with pytest.raises(Unavailable):
                line.enqueue_many(batch)
        assert own_stage.stored() == before
    assert line.enqueue(b"named", id="x").created


def test_stored_jobs_are_handed_out_and_settled(own_stage: Stage) -> None:
    """Q-REC-16: take, every way to settle, recovery, redrive and purge go on."""
    line = own_stage.line()
    line.enqueue_many([b"%d" % number for number in range(12)])
    line.enqueue(b"later", delay=1000)
    lost = {hand.job.body for hand in line.reserve_many(2, timeout=0)}
    own_stage.let_leases_end()
    own_stage.let_delays_end()
    with full(own_stage):
        first = [held(line.reserve(timeout=0)) for _ in range(3)]
        assert {hand.job.body for hand in first} == lost | {b"later"}
        hands = line.reserve_many(20, timeout=0)
        assert len(hands) == 10
        first[0].dead_letter("bad")
        assert all(line.ack_many(hand.receipt for hand in first[1:]))
        hands[0].release()
        hands[1].retry(1000, error="later")
        hands[2].extend(60)
        assert all(line.ack_many(hand.receipt for hand in hands[2:]))
        assert held(line.reserve(timeout=0)).job.id == hands[0].job.id
        assert line.redrive() == 1
        assert line.purge() == 1
        assert line.purge("delayed") == 1
        stats = line.stats()
    assert (stats.acked, stats.held, stats.dropped, stats.ready) == (10, 1, 2, 0)
    assert stats.enqueued == 13


def test_a_consumer_waits_as_well_as_it_can(own_stage: Stage) -> None:
    """Q-REC-16: on a full server a wait ends in time, finds what is due, and asks seldom."""
    line = own_stage.line()
    line.enqueue(b"job", delay=0.4)
    with full(own_stage):
        own_stage.server.cli("CONFIG", "RESETSTAT")
        began = time.monotonic()
        hand = held(line.reserve(timeout=5))
        assert 0.35 <= time.monotonic() - began <= 0.4 + 2 * SLACK
        hand.ack()
        began = time.monotonic()
        assert line.reserve(timeout=0.5) is None
        assert 0.45 <= time.monotonic() - began <= 0.5 + SLACK
        calls = own_stage.info("commandstats")["cmdstat_evalsha"].split(",")[0]
    assert int(calls.removeprefix("calls=")) <= 40


def test_everything_goes_on_when_memory_returns(own_stage: Stage) -> None:
    """Q-REC-16: who slept before, or began to wait meanwhile, has the next job at once."""
    before, during = own_stage.line(), own_stage.other_line()
    producer = own_stage.connect(patience="5s").queue()
    producer.enqueue(b"")
    held(before.reserve(timeout=0)).ack()
    with ThreadPoolExecutor(3) as pool:
        sleepers = [pool.submit(before.reserve, 10)]
        own_stage.wait_asleep()
        with full(own_stage):
            sleepers.append(pool.submit(during.reserve, 10))
            coming = pool.submit(producer.enqueue_many, [b"job", b"job"])
            with pytest.raises(Unavailable):
                own_stage.connect(patience="300ms").queue().enqueue(b"refused")
            assert not coming.done()
        assert len(coming.result()) == 2
        began = time.monotonic()
        assert {held(sleeper.result()).job.body for sleeper in sleepers} == {b"job"}
        assert time.monotonic() - began < 2.0
    assert before.stats().enqueued == 3
