from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

import qcore
from qcore.async_connection import AsyncConnection
from qcore.async_queue import AsyncDelivery, AsyncQueue
from qcore.backend import Enqueue
from qcore.errors import (
    Closed,
    Indeterminate,
    QcoreError,
    Rejected,
    Unavailable,
    UnsupportedCapability,
)
from tests.unit.qcore.stubs import Away, Lost, Refused, Script, StubAdapter, listening, spoilt
from tests.unit.qcore.waiting import PATIENCE, eventually_async

pytestmark = pytest.mark.asyncio

T = TypeVar("T")
SOON = 1.0
"""Seconds in which what does not wait is done, on the slowest machine."""


class Scene:
    """A connection to a scripted broker, and a second one that looks on."""

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

    def spoil(self) -> None:
        """Put something into the queue that is no job."""
        self.other.session.enqueue("q", [Enqueue("spoilt", b"junk")])


@asynccontextmanager
async def scene_of(promises: qcore.Capabilities | None = None) -> AsyncGenerator[Scene]:
    """A connection to a scripted broker; no task may be left at the end."""
    before = asyncio.all_tasks()
    adapter = StubAdapter(promises)
    with StubAdapter(promises, adapter.memory).connect() as looking:
        async with adapter.connect_async(patience="300ms") as connection:
            yield Scene(adapter, connection, looking.queue("q"))
            adapter.script.always.clear()
    await eventually_async(lambda: asyncio.all_tasks() <= before)


def start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Do something in another task."""
    return asyncio.get_running_loop().create_task(work)


def blocked() -> tuple[asyncio.Event, asyncio.Event, Callable[[], Awaitable[None]]]:
    """An act that says when it began, and goes on when told."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def act() -> None:
        begun.set()
        await go_on.wait()

    return begun, go_on, act


def is_closed(queue: AsyncQueue) -> bool:
    """Whether calls are refused."""
    try:
        queue.session.check_open()
    except Closed:
        return True
    return False


async def test_lost_replies_are_asked_for_again_under_their_number() -> None:
    """Of enqueue, take and settle; each takes effect once."""
    async with scene_of() as scene:
        for lane in ("enqueue", "take", "settle"):
            scene.script.after[lane].append(Lost())
        assert (await scene.queue.enqueue(b"a")).created
        delivery = await scene.queue.reserve(0)
        assert delivery is not None
        assert delivery.number == 1
        await delivery.ack()
        for lane in ("enqueue", "take", "settle"):
            assert scene.script.numbers(lane) == [1, 1]
        assert scene.other.stats() == qcore.QueueStats(enqueued=1, acked=1)


async def test_without_replay_a_lost_reply_is_the_callers_to_judge() -> None:
    """The adapter cannot tell whether it was done."""
    async with scene_of(spoilt("replay")) as scene:
        scene.script.after["enqueue"].append(Lost())
        with pytest.raises(Indeterminate, match="could not enqueue jobs"):
            await scene.queue.enqueue(b"a")


async def test_a_broker_that_comes_back_in_time_is_not_noticed() -> None:
    """By any call."""
    async with scene_of() as scene:
        scene.script.before["enqueue"].extend([Away(), Away()])
        await scene.queue.enqueue(b"a")
        scene.script.before["take"].extend([Away(), Lost(), Away()])
        delivery = await scene.queue.reserve(PATIENCE)
        assert delivery is not None
        assert delivery.number == 1


async def test_a_broker_that_stays_away_is_an_error_after_patience() -> None:
    """Not much later; a reserve keeps its own time."""
    async with scene_of() as scene:
        scene.script.always["enqueue"] = scene.script.always["take"] = Away("no route")
        began = time.monotonic()
        with pytest.raises(Unavailable, match="could not enqueue jobs: no route"):
            await scene.queue.enqueue(b"a")
        assert 0.3 <= time.monotonic() - began < SOON
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await scene.queue.reserve(0)
        assert time.monotonic() - began < 0.25


async def test_a_refusal_is_final_and_a_bug_passes_as_it_is() -> None:
    """Neither is repeated."""
    async with scene_of() as scene:
        scene.script.before["enqueue"].extend([Refused("no"), ZeroDivisionError("a bug")])
        with pytest.raises(Rejected, match="no"):
            await scene.queue.enqueue(b"a")
        with pytest.raises(ZeroDivisionError) as failure:
            await scene.queue.enqueue(b"a")
        assert failure.value.__cause__ is None
        assert scene.script.numbers("enqueue") == [1, 2]


async def test_tasks_share_flushes() -> None:
    """Of enqueues and of takes."""
    async with scene_of() as scene:
        begun, go_on, act = blocked()
        scene.script.before["enqueue"].append(act)
        first = start(scene.queue.enqueue(b"0"))
        await begun.wait()
        others = [start(scene.queue.enqueue(b"%d" % number)) for number in range(1, 10)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(first, *others)
        assert [len(jobs) for jobs in scene.script.passed("enqueue")] == [1, 9]
        found = await asyncio.gather(*(scene.queue.reserve(0) for _ in range(10)))
        assert sorted(one.job.body for one in found if one) == [b"%d" % n for n in range(10)]
        assert [request.limit for request in scene.script.passed("take")] == [10]


async def test_cancelling_an_enqueue_that_was_not_sent_leaves_it_unsent() -> None:
    """Like one that never was."""
    async with scene_of() as scene:
        begun, go_on, act = blocked()
        scene.script.before["enqueue"].append(act)
        first, second = start(scene.queue.enqueue(b"a")), start(scene.queue.enqueue(b"b"))
        await begun.wait()
        third = start(scene.queue.enqueue(b"c"))
        await asyncio.sleep(0)
        third.cancel()
        first.cancel()
        go_on.set()
        outcomes = await asyncio.gather(first, second, third, return_exceptions=True)
        assert [type(one) for one in outcomes] == [
            *[asyncio.CancelledError, qcore.JobId, asyncio.CancelledError]
        ]
        assert scene.other.stats().enqueued == 2


async def test_jobs_taken_for_a_cancelled_task_are_given_back() -> None:
    """At once, with nothing counted; its neighbour keeps its own."""
    async with scene_of() as scene:
        scene.other.enqueue_many([b"a", b"b"])
        begun, go_on, act = blocked()
        scene.script.after["take"].append(act)
        first, second = start(scene.queue.reserve(0)), start(scene.queue.reserve(0))
        await begun.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        go_on.set()
        kept = await second
        assert kept is not None
        assert kept.job.body == b"b"
        await eventually_async(lambda: scene.other.stats().ready == 1)
        again = await scene.queue.reserve(0)
        assert again is not None
        assert (again.job.body, again.attempt, again.crashes) == (b"a", 1, 0)


async def test_cancelling_while_an_unreadable_job_is_set_aside_loses_nothing() -> None:
    """What came along is given back, what cannot be read is set aside all the same."""
    async with scene_of() as scene:
        scene.other.enqueue(b"a")
        scene.spoil()
        begun, go_on, act = blocked()
        scene.script.before["settle"].append(act)
        task = start(scene.queue.reserve_many(2, 0))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await eventually_async(lambda: scene.other.stats().ready == 1)
        assert scene.other.stats().dead == 1


async def test_a_thousand_cancelled_reserves_leave_nothing_behind() -> None:
    """No task, no job in nobody's hands; the cancellation is seen by everyone."""
    async with scene_of() as scene:
        scene.other.enqueue_many([b""] * 200)
        for turn in range(20):
            tasks = [start(scene.queue.reserve()) for _ in range(50)]
            for _ in range(turn % 7):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            for one in outcomes:
                if isinstance(one, AsyncDelivery):
                    await one.release()
                else:
                    assert isinstance(one, asyncio.CancelledError)
        await eventually_async(lambda: scene.other.stats().ready == 200)
        found = await scene.queue.reserve_many(200, 0)
        assert {(one.attempt, one.crashes) for one in found} == {(1, 0)}


async def test_closing_wakes_who_waits() -> None:
    """At once, with the error that says so."""
    async with scene_of() as scene:
        task = start(scene.queue.reserve())
        await eventually_async(lambda: scene.script.numbers("take"))
        began = time.monotonic()
        await scene.connection.close()
        with pytest.raises(Closed):
            await task
        assert time.monotonic() - began < SOON


async def test_jobs_that_arrive_while_closing_are_given_back() -> None:
    """Nobody would be there to work on them."""
    async with scene_of() as scene:
        scene.other.enqueue(b"a")
        begun, go_on, act = blocked()
        scene.script.after["take"].append(act)
        task = start(scene.queue.reserve())
        await begun.wait()
        closing = start(scene.connection.close())
        await eventually_async(lambda: is_closed(scene.queue))
        go_on.set()
        with pytest.raises(Closed):
            await task
        await closing
        assert scene.other.stats().ready == 1


async def test_flushes_under_way_end_before_the_backend_is_closed() -> None:
    """And those that stood in line behind them."""
    async with scene_of() as scene:
        begun, go_on, act = blocked()
        scene.script.before["enqueue"].append(act)
        first = start(scene.queue.enqueue(b"a"))
        await begun.wait()
        second = start(scene.queue.enqueue(b"b"))
        await asyncio.sleep(0)
        closing = start(scene.connection.close())
        await eventually_async(lambda: is_closed(scene.queue))
        go_on.set()
        await asyncio.gather(first, second, closing)
        assert scene.other.stats().ready == 2


async def test_a_flush_that_never_ends_does_not_keep_a_connection_open() -> None:
    """After patience it is given up, in doubt."""
    async with scene_of() as scene:
        begun, _, act = blocked()
        scene.script.before["enqueue"].append(act)
        task = start(scene.queue.enqueue(b"a"))
        await begun.wait()
        began = time.monotonic()
        await scene.connection.close()
        assert time.monotonic() - began < SOON
        with pytest.raises(Indeterminate):
            await task


async def test_a_cancelled_close_goes_on() -> None:
    """Whoever closes again waits for the same end."""
    async with scene_of() as scene:
        begun, go_on, act = blocked()
        scene.script.before["enqueue"].append(act)
        flushing = start(scene.queue.enqueue(b"a"))
        await begun.wait()
        closing = start(scene.connection.close())
        await eventually_async(lambda: is_closed(scene.queue))
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        go_on.set()
        await scene.connection.close()
        assert (await flushing).created


async def test_everything_after_closing_is_refused() -> None:
    """Closing twice is not."""
    async with scene_of() as scene:
        await scene.queue.enqueue_many([b"a", b"b"])
        first, second = await scene.queue.reserve_many(2, 0)
        await scene.connection.close()
        await scene.connection.close()

        async def work() -> None:
            async with second:
                pass

        queue = scene.queue
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: queue.enqueue(b""),
            lambda: queue.enqueue_many([]),
            lambda: queue.reserve(0),
            lambda: queue.reserve_many(1, 0),
            lambda: queue.ack_many([]),
            lambda: queue.settle_many([]),
            queue.subscribe,
            queue.stats,
            queue.peek,
            queue.purge,
            queue.redrive,
            lambda: queue.remove([]),
            scene.connection.queues,
            scene.connection.health,
            first.ack,
            first.release,
            first.retry,
            lambda: first.dead_letter(""),
            lambda: first.extend(1.0),
            work,
        ]
        for call in calls:
            with pytest.raises(Closed):
                await call()
        with pytest.raises(Closed):
            queue.consume()


@pytest.mark.parametrize(
    ("error", "kind"), [(Away(), Unavailable), (Lost(), Unavailable), (Refused(), Rejected)]
)
async def test_a_connection_that_cannot_be_opened_can_be_tried_again(
    error: Exception, kind: type[QcoreError]
) -> None:
    """The first try leaves nothing open."""
    adapter = StubAdapter()
    opening = adapter.connect_async()
    adapter.opening_script.before["open"].append(error)
    with pytest.raises(kind, match="could not open the connection"):
        _ = await opening
    assert adapter.opening_script.closed == 1
    async with opening as connection:
        assert await connection.health() == {"latency": 0.0}


async def test_an_adapter_whose_takes_end_the_job_is_never_asked_to_settle() -> None:
    """An ack is legal, everything else is refused."""
    async with scene_of(listening()) as scene:
        await scene.queue.enqueue(b"a")
        delivery = await scene.queue.reserve(0)
        assert delivery is not None
        await delivery.ack()
        await delivery.ack()
        assert delivery.settled
        for refused in (delivery.release, delivery.retry):
            with pytest.raises(UnsupportedCapability):
                await refused()
        assert scene.script.numbers("settle") == []
        await scene.queue.subscribe()
        assert scene.queue.gaps == 1


async def test_what_came_for_a_cancelled_listener_is_kept_for_the_next() -> None:
    """The broker has forgotten it; one who already waits is woken for it."""
    async with scene_of(listening()) as scene:
        begun, go_on, act = blocked()
        await scene.queue.enqueue(b"news")
        scene.script.after["take"].append(act)
        first = start(scene.queue.reserve())
        await begun.wait()
        second = start(scene.queue.reserve())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        began = time.monotonic()
        go_on.set()
        heard = await second
        assert heard is not None
        assert heard.job.body == b"news"
        assert time.monotonic() - began < SOON
