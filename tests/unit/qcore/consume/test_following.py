"""What follows an ack, from the delivery down to the flushes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

import qcore
from qcore.backend import Enqueue, Further, Settle, Verb
from qcore.capabilities import Limits
from qcore.clock import ManualClock
from qcore.consume.home import Home
from qcore.consume.session import Session, weight_of
from tests.unit.qcore.stubs import Script, StubAdapter, spoilt
from tests.unit.qcore.waiting import PATIENCE, eventually, eventually_async

SMALL = attrs.evolve(spoilt(), limits=Limits(batch=10))
"""A flush holds two acks that four jobs follow each, and no third."""


@pytest.fixture
def connection() -> Iterator[qcore.Connection]:
    """A connection to a store of its own."""
    with qcore.connect("memory://") as connection:
        yield connection


def sizes(script: Script) -> list[int]:
    """How many acks each flush carried."""
    flushes = script.passed("settle")
    return [len(steps) for steps in flushes if steps[0].verb is Verb.ACK]


def test_a_step_weighs_as_much_as_follows_it() -> None:
    """One for itself, and one for each of the others."""
    further = [Further("next", Enqueue(name, b"")) for name in "abc"]
    told = [Further("news", Enqueue(name, b"")) for name in "de"]
    steps = [
        Settle("t", Verb.RELEASE),
        Settle("u", Verb.ACK, further=further),
        Settle("v", Verb.ACK, further=further, told=told),
    ]
    assert [weight_of(steps[:number]) for number in range(4)] == [0, 1, 5, 11]


def test_acks_that_share_a_flush_bring_no_more_than_a_flush_may() -> None:
    """What does not fit goes into the next one."""
    adapter = StubAdapter(SMALL)
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    with adapter.connect() as connection, ThreadPoolExecutor(4) as pool:
        queue = connection.queue("q")
        queue.enqueue_many([b""] * 4)
        first, *others = queue.reserve_many(4, timeout=0)
        adapter.script.before["settle"].append(hold)
        acks = [pool.submit(first.ack)]
        assert begun.wait(PATIENCE)
        for one in others:
            one.then("next", *[b""] * 4)
            acks.append(pool.submit(one.ack))
            eventually(lambda: standing_in_line(queue) == len(acks) - 1)
        go_on.set()
        for ack in acks:
            ack.result(PATIENCE)
        assert sizes(adapter.script) == [1, 2, 1]
        assert connection.queue("next").stats().ready == 12


def standing_in_line(queue: qcore.Queue) -> int:
    """How many calls wait for the next flush of settles."""
    flushes = queue.session._flushes  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def never(*_: object) -> list[object]:
        return []

    return len(flushes.lane("settle", queue.name, never))


def test_acks_of_tasks_share_their_flushes_likewise() -> None:
    """The same for asyncio."""
    adapter = StubAdapter(SMALL)

    async def scene() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            begun.set()
            await go_on.wait()

        async with adapter.connect_async() as connection:
            queue = connection.queue("q")
            await queue.enqueue_many([b""] * 4)
            first, *others = await queue.reserve_many(4, timeout=0)
            adapter.script.before["settle"].append(hold)
            acks = [asyncio.create_task(first.ack())]
            await begun.wait()
            for one in others:
                one.then("next", *[b""] * 4)
                acks.append(asyncio.create_task(one.ack()))
            await eventually_async(lambda: standing_in_async_line(queue) == 3)
            go_on.set()
            await asyncio.gather(*acks)
            assert (await connection.queue("next").stats()).ready == 12

    asyncio.run(scene())
    assert sizes(adapter.script) == [1, 2, 1]


def standing_in_async_line(queue: qcore.AsyncQueue) -> int:
    """How many calls of tasks wait for the next flush of settles."""
    flushes = queue.session._flushes  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    async def never(*_: object) -> list[object]:
        return []

    return len(flushes.lane("settle", queue.name, never))


def test_a_home_drafts_for_any_queue_with_its_own_ids_and_time() -> None:
    """What follows is enqueued by the program that acks."""
    clock, ids = ManualClock(), iter(["one", "two"])
    plan = StubAdapter().opening()
    session = Session(plan.adapter.backend(plan.setup()), plan.patience, plan.monotonic)
    home = Home(lambda: session, clock, lambda: next(ids), 30.0)
    drafter = home.drafter("mail", "json", qcore.Keep(done=1.0))
    assert (drafter.queue, drafter.codec) == ("mail", "json")
    assert [one.id for one in drafter.draft([1, 2], spoilt())] == ["one", "two"]
    assert (drafter.now(), drafter.keep) == (clock.time(), qcore.Keep(done=1.0))
    assert home.drafter("mail", "json").keep is None


def test_what_follows_is_there_when_its_block_has_ended(connection: qcore.Connection) -> None:
    """And not before."""
    queue, other = connection.queue("q", codec="json"), connection.queue("next")
    queue.enqueue({"order": 7})
    delivery = queue.reserve(timeout=0)
    assert delivery is not None
    with delivery:
        delivery.then("next", delivery.value, qcore.NewJob([1], priority=2))
        assert other.stats().enqueued == 0
    first, second = other.reserve_many(5, timeout=0)
    assert (first.value, second.value) == ([1], {"order": 7})
    assert (first.job.queue, first.job.codec) == ("next", "json")


def fail(delivery: qcore.Delivery) -> None:
    """Work that goes wrong."""
    with pytest.raises(OSError, match="no"), delivery:
        raise OSError("no")


ENDS: dict[str, Callable[[qcore.Delivery], object]] = {
    "retry": lambda one: one.retry(60.0, "no"),
    "dead letter": lambda one: one.dead_letter("no"),
    "release": lambda one: one.release(),
    "error": fail,
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_nothing_follows_work_that_ends_without_an_ack(
    connection: qcore.Connection, end: Callable[[qcore.Delivery], object]
) -> None:
    """And nothing of it is left for the next delivery."""
    queue = connection.queue("q")
    queue.enqueue(b"")
    delivery = queue.reserve(timeout=0)
    assert delivery is not None
    delivery.then("next", b"")
    end(delivery)
    assert connection.queues() == ["q"]
