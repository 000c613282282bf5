from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import qcore
from qcore.errors import Closed, InvalidInput, Unavailable, UnsupportedCapability
from qcore.policy import RetryPolicy
from tests.unit.qcore.forking import in_child
from tests.unit.qcore.stubs import Away, StubAdapter, spoilt
from tests.unit.qcore.waiting import eventually, eventually_async


@pytest.mark.asyncio
async def test_a_connection_is_opened_by_await_or_by_a_block() -> None:
    """Either way it is the same connection."""
    connection = await qcore.connect_async("memory://shop?namespace=a")
    assert repr(connection) == "<AsyncConnection memory://shop?namespace=a>"
    async with connection as same:
        assert same is connection
        assert connection.capabilities.adapter == connection.adapter.scheme == "memory"
        assert await connection.health() == {"latency": 0.0}
        assert connection.native(object) is None
    async with qcore.connect_async("memory://") as other:
        assert await other.queues() == []


@pytest.mark.asyncio
async def test_a_connection_that_is_not_open_says_so() -> None:
    """Closing it is harmless."""
    connection = qcore.connect_async("memory://")
    for call in (lambda: connection.queue("q"), lambda: connection.capabilities):
        with pytest.raises(Closed, match="not open yet"):
            call()
    with pytest.raises(Closed, match="not open yet"):
        await connection.queues()
    await connection.close()


@pytest.mark.asyncio
async def test_tasks_that_open_together_open_once() -> None:
    """A second backend would never be closed."""
    adapter = StubAdapter()
    connection = adapter.connect_async()
    opened = await asyncio.gather(*(connection.open() for _ in range(5)))
    assert set(opened) == {connection}
    assert adapter.opened == 1
    await connection.close()
    assert adapter.opening_script.closed == 1


@pytest.mark.asyncio
async def test_a_cancelled_open_leaves_nothing_open() -> None:
    """And can be tried again."""
    adapter = StubAdapter()
    connection = adapter.connect_async()
    task = asyncio.create_task(connection.open())
    adapter.opening_script.before["open"].append(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        _ = await task
    await eventually_async(lambda: adapter.opening_script.closed == adapter.opened)
    async with connection:
        assert adapter.opened - adapter.opening_script.closed == 1


@pytest.mark.asyncio
async def test_a_url_is_understood_before_anything_is_opened() -> None:
    """Errors of the caller come at once."""
    with pytest.raises(InvalidInput):
        _ = qcore.connect_async("memory")
    with pytest.raises(UnsupportedCapability, match="durability:power"):
        _ = qcore.connect_async("memory://", require=["durability:power"])


@pytest.mark.asyncio
async def test_queues_are_checked_when_they_are_made() -> None:
    """Name, codec and policy."""
    async with StubAdapter(spoilt("dead_letter", "stats")).connect_async() as connection:
        with pytest.raises(InvalidInput):
            connection.queue("a b")
        with pytest.raises(InvalidInput):
            connection.queue("q", codec="pickle")
        with pytest.raises(UnsupportedCapability, match="dead_letter"):
            connection.queue("q", retry=RetryPolicy())
        with pytest.raises(UnsupportedCapability, match="stats"):
            await connection.queues()
        assert connection.queue("q").retry.max_attempts is None


def test_a_connection_belongs_to_one_event_loop() -> None:
    """Elsewhere it is an error, not a hang; showing it works anywhere."""

    async def open_one() -> tuple[qcore.AsyncConnection, qcore.AsyncQueue, qcore.AsyncDelivery]:
        connection = await qcore.connect_async("memory://loops")
        queue = connection.queue("q")
        await queue.enqueue(b"")
        delivery = await queue.reserve(0)
        assert delivery is not None
        return connection, queue, delivery

    first = asyncio.new_event_loop()
    connection, queue, delivery = first.run_until_complete(open_one())

    async def settle_in_block() -> None:
        async with delivery:
            pass

    calls: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: queue.enqueue(b""),
        lambda: queue.reserve(0),
        queue.stats,
        lambda: queue.ack_many([delivery]),
        delivery.ack,
        settle_in_block,
        connection.health,
        connection.close,
    ]

    async def elsewhere() -> int:
        refused = 0
        for call in calls:
            try:
                await call()
            except InvalidInput as error:
                refused += "belongs to the event loop" in str(error)
        return refused

    assert asyncio.run(elsewhere()) == len(calls)
    with pytest.raises(InvalidInput, match="event loop"):
        queue.consume()
    assert repr(queue) == "<AsyncQueue q of memory>"
    assert connection.capabilities.adapter == "memory"
    first.run_until_complete(delivery.ack())
    first.run_until_complete(connection.close())
    first.close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_connection_does_not_survive_a_fork() -> None:
    """The child is told to open another one."""

    async def work() -> str:
        async with qcore.connect_async("memory://fork") as connection:
            queue = connection.queue("q")

            def child() -> str:
                try:
                    queue.enqueue(b"").send(None)
                except InvalidInput as error:
                    return str(error)
                return "went on"

            said = in_child(child)
            await queue.enqueue(b"")
            return said

    assert "open another one here" in asyncio.run(work())


def test_the_end_of_a_loop_still_settles() -> None:
    """Tasks that are cancelled with everything else release what they hold."""
    adapter = StubAdapter()

    async def hold(queue: qcore.AsyncQueue, held: asyncio.Event) -> None:
        async with await queue.reserve(0) or pytest.fail("empty"):
            held.set()
            await asyncio.Event().wait()

    async def main() -> None:
        connection = await adapter.connect_async()
        queue = connection.queue("q")
        await queue.enqueue_many([b"a", b"b"])
        events = [asyncio.Event(), asyncio.Event()]
        tasks = [asyncio.create_task(hold(queue, event)) for event in events]
        for event in events:
            await event.wait()
        assert len(tasks) == 2

    with StubAdapter(memory=adapter.memory).connect() as looking:
        asyncio.run(main())
        assert looking.queue("q").stats().ready == 2


@pytest.mark.asyncio
async def test_heartbeats_that_cannot_be_opened_leave_nothing_open() -> None:
    """The next beat tries again, and closing closes what was opened."""
    adapter = StubAdapter()
    async with adapter.connect_async() as connection:
        queue = connection.queue("q")
        await queue.enqueue(b"")
        adapter.script.before["open"].append(Away())
        async with await queue.reserve(0, lease=1.0) or pytest.fail("empty") as delivery:
            await eventually_async(lambda: adapter.opened == 3)
            assert not delivery.lost
    assert adapter.script.closed == 2
    assert adapter.opening_script.closed == 1


@pytest.mark.asyncio
async def test_connections_come_and_go_without_a_trace() -> None:
    """No thread and no task is left by a hundred of them."""
    tasks, threads = asyncio.all_tasks(), threading.active_count()
    adapter = StubAdapter()
    for _ in range(100):
        async with adapter.connect_async() as connection:
            queue = connection.queue("q")
            await queue.enqueue(b"")
            async with await queue.reserve(0) or pytest.fail("empty"):
                pass
    assert adapter.opening_script.closed + adapter.script.closed == adapter.opened
    assert asyncio.all_tasks() == tasks
    # The loop keeps a few threads of its own for what blocks.
    limit = threads + 8
    eventually(lambda: threading.active_count() <= limit)


@pytest.mark.asyncio
async def test_closing_when_the_broker_is_away_takes_no_longer_than_patience() -> None:
    """However much was in hand."""
    adapter = StubAdapter()
    connection = await adapter.connect_async(patience="5s")
    queue = connection.queue("q")
    await queue.enqueue_many([b""] * 3)
    async with queue.consume() as deliveries:
        await anext(deliveries)
        adapter.script.always["settle"] = adapter.script.always["take"] = Away()
        async with asyncio.timeout(2.0):
            await connection.close()
    with pytest.raises((Closed, Unavailable)):
        await queue.stats()
