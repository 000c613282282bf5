"""A wait that is given up at the very moment when a job arrives loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore
from qcore import Closed
from qcore_conformance.waiting import scaled, wait_until
from tests.integration.actors import Flow, Hand, Line
from tests.integration.async_actors import AsyncLine
from tests.integration.conftest import Servers, open_stage
from tests.integration.stage import EDGES, Place, Stage, held, places

SOON = scaled(3.0)
"""Seconds after which a job that nobody holds must be had; far less than its lease."""


@pytest.fixture(
    params=[one for one in places(EDGES, memory=True) if one.colour == "async"], ids=str
)
def async_stage(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Stage]:
    """As ``stage``, for what only asyncio can do."""
    place: Place = request.param
    yield from open_stage(place, servers(place.binary) if place.binary else None)


def inner(stage: Stage) -> qcore.AsyncQueue:
    """The queue itself, through a new connection."""
    line = stage.other_line()
    assert isinstance(line, AsyncLine)
    return line.inner


def connected(stage: Stage) -> int:
    """How many connections the server has."""
    return int(stage.info("clients")["connected_clients"])


async def cancelled_at_arrival(
    mine: qcore.AsyncQueue, theirs: qcore.AsyncQueue, rounds: int
) -> tuple[int, int]:
    """Cancel a reserve when a job arrives, again and again; count who got it."""
    delivered = returned = 0
    late = 0.001
    for number in range(rounds):
        waiting = asyncio.create_task(mine.reserve())
        # Half of the waits are asleep by then, the others on their way.
        await asyncio.sleep(random.choice([0, 0.004]))
        coming = asyncio.create_task(theirs.enqueue(b"%d" % number))
        await asyncio.sleep(random.uniform(0, late))
        waiting.cancel()
        try:
            hand: qcore.AsyncDelivery | None = await waiting
            delivered, late = delivered + 1, late / 1.3
        except asyncio.CancelledError:
            hand = await theirs.reserve(timeout=SOON)
            returned, late = returned + 1, late * 1.3
        assert hand is not None, f"job {number} is gone, after {returned} cancels"
        assert (hand.job.body, hand.attempt, hand.crashes) == (b"%d" % number, 1, 0)
        await asyncio.gather(coming, hand.ack())
    return delivered, returned


def test_cancelling_at_arrival_loses_nothing(async_stage: Stage) -> None:
    """Q-CANCEL-02: two hundred times, the job is delivered, or ready with nothing counted."""
    mine, theirs = inner(async_stage), inner(async_stage)
    delivered, returned = async_stage.portal.call(cancelled_at_arrival(mine, theirs, 200))
    assert min(delivered, returned) >= 30
    stats = async_stage.line().stats()
    assert (stats.enqueued, stats.acked) == (200, 200)


async def cancelled(queue: qcore.AsyncQueue, count: int) -> float:
    """Cancel so many blocked reserves at once; returns how long they took to end."""
    waits = [asyncio.create_task(queue.reserve()) for _ in range(count)]
    await asyncio.sleep(0.05)
    began = time.monotonic()
    for wait in waits:
        wait.cancel()
    ends = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)
    return time.monotonic() - began


def test_cancels_end_at_once_and_leave_nothing_behind(async_stage: Stage) -> None:
    """Q-CANCEL-04, Q-RES-02: the caller sees its cancel, connections and tasks do not pile up."""
    queue = inner(async_stage)
    counts: list[int] = []
    for _ in range(10):
        assert async_stage.portal.call(cancelled(queue, 20)) < SOON
        if async_stage.place.binary:
            wait_until(lambda: async_stage.blocked() == 0, within=5, what="nobody sleeps")
            counts.append(connected(async_stage))
    if counts:
        assert counts[-1] <= max(counts[:3]) + 2
    async_stage.portal.call(queue.enqueue(b"job"))
    held(async_stage.line().reserve(timeout=SOON)).ack()


async def cancelled_enqueues(queue: qcore.AsyncQueue, count: int) -> int:
    """Cancel enqueues at random moments; returns how many were not."""
    tasks = [asyncio.create_task(queue.enqueue(b"job", id=f"j{one}")) for one in range(count)]
    done = 0
    for task in tasks:
        if random.random() < 0.5:
            await asyncio.sleep(0)
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
            done += 1
    return done


def test_a_cancelled_enqueue_is_done_wholly_or_not_at_all(async_stage: Stage) -> None:
    """Q-CANCEL-03: as after a lost reply, the same id again says which."""
    queue = inner(async_stage)
    done = async_stage.portal.call(cancelled_enqueues(queue, 100))
    line = async_stage.line()
    stored = line.stats().ready
    assert done <= stored <= 100
    again = [line.enqueue(b"job", id=f"j{one}") for one in range(100)]
    assert sum(not one.created for one in again) == stored
    assert line.stats().ready == 100


def until_closed(line: Line) -> Hand | None:
    """Wait for a job, or for the end of the connection."""
    try:
        return line.reserve()
    except Closed:
        return None


def drained(flow: Flow) -> list[Hand]:
    """All that a consumer hands on until it is closed."""
    with flow as hands:
        return list(hands)


def test_closing_at_arrival_loses_nothing(stage: Stage) -> None:
    """Q-CORE-06, Q-CANCEL-02: a close that meets a job leaves it ready, or with its taker."""
    other = stage.line()
    delivered = 0
    with ThreadPoolExecutor(1) as pool:
        for number in range(60):
            client = stage.connect()
            come = pool.submit(until_closed, client.queue())
            time.sleep(random.choice([0, 0.003, 0.006]))
            other.enqueue(b"%d" % number)
            time.sleep(random.uniform(0, 0.001))
            client.close()
            hand = come.result(timeout=5)
            if hand is None:
                hand = held(other.reserve(timeout=SOON))
            else:
                delivered += 1
            assert (hand.job.body, hand.attempt) == (b"%d" % number, 1)
            assert other.ack_many([hand.receipt]) == [True]
    stats = other.stats()
    assert (stats.enqueued, stats.acked) == (60, 60)


def test_leaving_a_consumer_at_arrival_loses_nothing(stage: Stage) -> None:
    """Q-CLOSE-01, Q-CANCEL-02: what was taken and not handed on is ready at once."""
    line, other = stage.line(), stage.other_line()
    with ThreadPoolExecutor(1) as pool:
        for number in range(60):
            flow = line.consume()
            come = pool.submit(drained, flow)
            time.sleep(random.choice([0, 0.003, 0.006]))
            other.enqueue(b"%d" % number)
            time.sleep(random.uniform(0, 0.001))
            flow.close()
            hands = come.result(timeout=5) or [held(other.reserve(timeout=SOON))]
            (hand,) = hands
            assert (hand.job.body, hand.attempt) == (b"%d" % number, 1)
            assert other.ack_many([hand.receipt]) == [True]


def test_closing_leaves_no_connection_behind(redis_stage: Stage) -> None:
    """Q-RES-02: also if somebody sleeps on it at that moment."""
    redis_stage.line().enqueue(b"")
    before = connected(redis_stage)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            client = redis_stage.connect()
            line = client.queue("empty")
            waits = [pool.submit(line.reserve) for _ in range(4)]
            redis_stage.wait_asleep(4)
            client.close()
            for wait in waits:
                with pytest.raises(Closed):
                    wait.result()
    wait_until(lambda: connected(redis_stage) <= before, within=5, what="the connections are gone")
