from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from qcore.async_queue import AsyncDelivery, AsyncQueue
from qcore.backend import Settle, Verb
from qcore.errors import LeaseLost, Unavailable
from qcore.policy import RetryPolicy
from tests.unit.qcore.stubs import Away, StubAdapter
from tests.unit.qcore.waiting import eventually_async, run_out

pytestmark = pytest.mark.asyncio

POLICY = RetryPolicy(max_attempts=2, first_delay=2.0, jitter=0.0)


class Scene:
    """A queue with one job in hand at a time."""

    def __init__(self, adapter: StubAdapter, queue: AsyncQueue) -> None:
        self.adapter = adapter
        self.queue = queue

    async def hold(self, lease: float | None = None) -> AsyncDelivery:
        """Enqueue a job and reserve it."""
        await self.queue.enqueue(b"work")
        delivery = await self.queue.reserve(0, lease)
        assert delivery is not None
        return delivery

    def steps(self) -> list[Settle]:
        """Every settle that was sent."""
        return [step for steps in self.adapter.script.passed("settle") for step in steps]


@asynccontextmanager
async def scene_of(url: str = "memory://stub") -> AsyncGenerator[Scene]:
    """A queue in memory."""
    adapter = StubAdapter()
    async with adapter.connect_async(url=url, patience="100ms") as connection:
        yield Scene(adapter, connection.queue("q", retry=POLICY))


async def fail(error: BaseException, delivery: AsyncDelivery) -> None:
    """Work that goes wrong."""
    async with delivery:
        raise error


async def test_work_that_is_done_is_acked() -> None:
    """At the end of its block, unless the block settled it."""
    async with scene_of() as scene:
        async with await scene.hold() as delivery:
            assert scene.steps() == []
        assert delivery.settled
        async with await scene.hold() as delivery:
            await delivery.release()
        assert [step.verb for step in scene.steps()] == [Verb.ACK, Verb.RELEASE]


async def test_work_that_fails_is_retried_by_policy_and_then_set_aside() -> None:
    """And the error goes up each time."""
    async with scene_of() as scene:
        first = await scene.hold()
        with pytest.raises(OSError, match="no network"):
            await fail(OSError("no network"), first)
        second = await scene.hold()
        await second.retry()
        (second,) = await scene.queue.reserve_many(1, 0)
        with pytest.raises(OSError, match="no network"):
            await fail(OSError("no network"), second)
        retry, _, dead = scene.steps()
        assert (retry.verb, retry.millis, retry.note) == (Verb.RETRY, 2000, "OSError: no network")
        assert (dead.verb, dead.note) == (
            *[Verb.DEAD_LETTER, "failed 2 of 2 attempts: OSError: no network"],
        )


async def test_work_that_is_cancelled_is_released() -> None:
    """It is not the job's fault, and the cancellation is seen by the caller."""
    async with scene_of() as scene:
        delivery = await scene.hold()
        begun = asyncio.Event()

        async def work() -> None:
            async with delivery:
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [step.verb for step in scene.steps()] == [Verb.RELEASE]
        assert (await scene.queue.stats()).ready == 1


async def test_a_lost_lease_is_an_error_at_the_end() -> None:
    """A note where there is an error already."""
    async with scene_of() as scene:
        delivery = await scene.hold(lease=0.1)
        await eventually_async(run_out(0.1))
        assert delivery.lost
        with pytest.raises(LeaseLost, match="could not ack"):
            await delivery.ack()
        with pytest.raises(ValueError, match="wrong") as failure:
            await fail(ValueError("wrong"), delivery)
        assert "could not retry" in failure.value.__notes__[0]


@pytest.mark.parametrize("url", ["memory://stub", "memory://"])
async def test_the_lease_of_work_in_its_block_is_kept(url: str) -> None:
    """For many times its length, also while the loop is busy."""
    async with scene_of(url) as scene:
        async with await scene.hold(lease=0.8) as delivery:
            time.sleep(1.2)  # noqa: ASYNC251  (a loop that is busy)
            assert not delivery.lost
            assert await scene.queue.reserve(0) is None
        assert delivery.settled


async def test_a_lease_is_extended_by_hand() -> None:
    """Longer or shorter."""
    async with scene_of() as scene:
        delivery = await scene.hold(lease=0.1)
        await delivery.extend(60.0)
        assert delivery.until > time.monotonic() + 50
        await delivery.extend(0.1)
        # The broker's lease began before its answer came, and behind the one that is counted here.
        over = time.monotonic() + 0.1
        await eventually_async(lambda: time.monotonic() > over)
        assert delivery.lost
        with pytest.raises(LeaseLost, match="extend"):
            await delivery.extend(60.0)


async def test_a_settle_that_did_not_arrive_can_be_tried_again() -> None:
    """Nothing was done."""
    async with scene_of() as scene:
        delivery = await scene.hold()
        scene.adapter.script.always["settle"] = Away()
        with pytest.raises(Unavailable):
            await delivery.ack()
        del scene.adapter.script.always["settle"]
        await delivery.ack()
        assert delivery.settled


async def test_two_settles_of_one_delivery_have_one_winner() -> None:
    """Whichever task comes first."""
    async with scene_of() as scene:
        delivery = await scene.hold()
        outcomes = await asyncio.gather(
            delivery.ack(), delivery.retry(), delivery.release(), return_exceptions=True
        )
        assert sum(one is None for one in outcomes) == 1
        assert sum(isinstance(one, LeaseLost) for one in outcomes) == 2
