from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest

import qcore
from qcore.async_connection import AsyncConnection
from qcore.async_queue import AsyncConsumer, AsyncDelivery, AsyncQueue
from qcore.errors import InvalidInput, LimitExceeded
from tests.unit.qcore.stubs import Away, Script, StubAdapter, listening
from tests.unit.qcore.waiting import eventually_async

pytestmark = pytest.mark.asyncio

SOON = 1.0


class Scene:
    """A queue, and a second connection that looks on."""

    def __init__(
        self, adapter: StubAdapter, connection: AsyncConnection, other: qcore.Queue
    ) -> None:
        self.adapter = adapter
        self.connection = connection
        self.queue: AsyncQueue = connection.queue("q")
        self.other = other

    @property
    def script(self) -> Script:
        """What happens in the broker."""
        return self.adapter.script

    async def take_ahead(self, deliveries: AsyncConsumer, jobs: int = 5) -> AsyncDelivery:
        """Get a delivery behind which others are taken ahead."""
        self.other.enqueue_many([b""] * 2)
        for _ in range(2):
            await (await anext(deliveries)).ack()
        self.other.enqueue_many([b"%d" % number for number in range(jobs)])
        delivery = await anext(deliveries)
        while self.other.stats().held < 2:
            await delivery.release()
            delivery = await anext(deliveries)
        return delivery


@asynccontextmanager
async def scene_of(promises: qcore.Capabilities | None = None) -> AsyncGenerator[Scene]:
    """A queue in memory; no task may be left at the end."""
    before = asyncio.all_tasks()
    adapter = StubAdapter(promises)
    with StubAdapter(promises, adapter.memory).connect() as looking:
        async with adapter.connect_async(patience="200ms") as connection:
            yield Scene(adapter, connection, looking.queue("q"))
    await eventually_async(lambda: asyncio.all_tasks() <= before)


async def drained(deliveries: AsyncConsumer) -> list[AsyncDelivery]:
    """All deliveries until the end."""
    return [delivery async for delivery in deliveries]


async def passed(seconds: float) -> None:
    """Let so many seconds pass."""
    end = time.monotonic() + seconds
    await eventually_async(lambda: time.monotonic() > end)


async def test_jobs_come_in_order_as_they_are_there() -> None:
    """And those that come later are waited for."""
    async with scene_of() as scene, scene.queue.consume() as deliveries:
        scene.other.enqueue_many([b"a", b"b"])
        bodies: list[bytes] = []
        async for delivery in deliveries:
            async with delivery:
                bodies.append(delivery.job.body)
            if len(bodies) == 2:
                asyncio.get_running_loop().call_later(0.01, scene.other.enqueue, b"c")
            if len(bodies) == 3:
                break
        assert bodies == [b"a", b"b", b"c"]


async def test_short_jobs_are_taken_ahead() -> None:
    """The first alone, then as the pace allows."""
    async with scene_of() as scene, scene.queue.consume(prefetch=20) as deliveries:
        scene.other.enqueue_many([b""] * 100)
        for _ in range(100):
            await (await anext(deliveries)).ack()
        requests = scene.script.passed("take")
        assert (requests[0].limit, requests[0].started) == (1, True)
        assert 1 < max(request.limit for request in requests) <= 20
        assert len(requests) < 60


async def test_leaving_releases_what_was_not_started() -> None:
    """Also by an error or a cancellation of the task."""
    async with scene_of() as scene:
        begun = asyncio.Event()

        async def work() -> None:
            async with scene.queue.consume() as deliveries:
                await scene.take_ahead(deliveries)
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert scene.other.stats().held == 1
        ready = scene.other.reserve_many(10, 0)
        assert {(one.attempt, one.crashes) for one in ready} == {(1, 0)}


async def test_a_task_cancelled_while_it_leaves_still_releases() -> None:
    """The release goes on without it."""
    async with scene_of() as scene:
        begun, go_on = asyncio.Event(), asyncio.Event()
        stop = asyncio.Event()

        async def slowly() -> None:
            begun.set()
            await go_on.wait()

        async def work() -> None:
            async with scene.queue.consume() as deliveries:
                await scene.take_ahead(deliveries)
                scene.script.before["settle"].append(slowly)
                stop.set()

        task = asyncio.create_task(work())
        await stop.wait()
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await eventually_async(lambda: scene.other.stats().held == 1)


async def test_leases_of_everything_in_hand_are_kept() -> None:
    """And of what is in a block of its own, after closing too."""
    async with scene_of() as scene:
        beats = scene.script.beats
        async with scene.queue.consume(lease=0.6) as deliveries:
            delivery = await scene.take_ahead(deliveries)
            token = delivery.receipt.token
            await eventually_async(lambda: beats(token) == 3)
            async with delivery:
                await deliveries.close()
                await eventually_async(lambda: beats(token) == 6)
                assert not delivery.lost
        assert delivery.settled


async def test_closing_ends_the_iteration_of_every_task() -> None:
    """At once, without an error."""
    async with scene_of() as scene, scene.queue.consume() as deliveries:
        tasks = [asyncio.create_task(drained(deliveries)) for _ in range(3)]
        await eventually_async(lambda: scene.script.numbers("take"))
        await passed(0.02)
        began = time.monotonic()
        await deliveries.close()
        assert await asyncio.gather(*tasks) == [[], [], []]
        assert time.monotonic() - began < SOON
        await deliveries.close()


async def test_closing_the_connection_ends_the_iteration() -> None:
    """And releases what was taken ahead, although the block goes on."""
    async with scene_of() as scene, scene.queue.consume() as deliveries:
        await scene.take_ahead(deliveries)
        await scene.connection.close()
        assert await drained(deliveries) == []
        assert scene.other.stats().held == 1


async def test_several_tasks_may_iterate() -> None:
    """Each job goes to one of them."""
    async with scene_of() as scene:
        scene.other.enqueue_many([b"%d" % number for number in range(200)])
        seen: list[bytes] = []

        async def work(deliveries: AsyncConsumer) -> None:
            async for delivery in deliveries:
                async with delivery:
                    seen.append(delivery.job.body)
                    if len(seen) == 200:
                        await deliveries.close()

        async with scene.queue.consume() as deliveries:
            await asyncio.gather(*(work(deliveries) for _ in range(4)))
        assert sorted(seen) == sorted(b"%d" % number for number in range(200))
        assert scene.other.stats().acked == 200


async def test_cancelling_who_asks_for_the_next_loses_nothing() -> None:
    """Neither the job nor the turn of the others."""
    async with scene_of() as scene, scene.queue.consume() as deliveries:
        for _ in range(50):
            task = asyncio.ensure_future(anext(deliveries))
            await asyncio.sleep(0)
            scene.other.enqueue(b"")
            await asyncio.sleep(0)
            task.cancel()
            outcome = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(outcome, AsyncDelivery):
                await outcome.release()
            else:
                assert isinstance(outcome, asyncio.CancelledError)
        for _ in range(50):
            delivery = await anext(deliveries)
            assert (delivery.attempt, delivery.crashes) == (1, 0)
            await delivery.ack()


async def test_a_broker_that_is_away_for_a_while_ends_nothing() -> None:
    """The iteration goes on when it is back."""
    async with scene_of() as scene, scene.queue.consume() as deliveries:
        scene.script.always["take"] = Away()
        asyncio.get_running_loop().call_later(0.1, scene.script.always.clear)
        scene.other.enqueue(b"a")
        assert (await anext(deliveries)).job.body == b"a"


async def test_a_consumer_is_used_in_a_block() -> None:
    """Otherwise nobody would give back what it takes ahead."""
    async with scene_of() as scene:
        with pytest.raises(InvalidInput, match=r"async with queue\.consume\(\) as deliveries"):
            await anext(scene.queue.consume())


async def test_wrong_arguments_are_refused_at_once() -> None:
    """Not when the first job is asked for."""
    async with scene_of() as scene:
        calls: list[tuple[type[Exception], Callable[[], object]]] = [
            (InvalidInput, lambda: scene.queue.consume(0)),
            (LimitExceeded, lambda: scene.queue.consume(prefetch=10**6)),
            (LimitExceeded, lambda: scene.queue.consume(lease=0.001)),
        ]
        for error, call in calls:
            with pytest.raises(error):
                call()


async def test_a_listener_takes_nothing_ahead() -> None:
    """What cannot be given back is not taken."""
    async with scene_of(listening()) as scene, scene.queue.consume() as deliveries:
        await scene.queue.enqueue_many([b""] * 20)
        for _ in range(20):
            await (await anext(deliveries)).ack()
        assert {request.limit for request in scene.script.passed("take")} == {1}
