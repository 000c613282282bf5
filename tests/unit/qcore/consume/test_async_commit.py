from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from qcore.consume.async_commit import AsyncLane
from qcore.errors import Closed, Indeterminate, Rejected
from tests.unit.qcore.waiting import eventually_async

pytestmark = pytest.mark.asyncio


class Gate:
    """A lane whose flush stops until it is let through, and remembers what it was given."""

    def __init__(self, most: int = 100) -> None:
        self.batches: list[list[int]] = []
        self.permits = asyncio.Semaphore(0)
        self.error: Exception | None = None
        self.orphans: list[Sequence[int]] = []
        self.lane = AsyncLane[int, int](self.flush, most, self.orphans.append)

    async def flush(self, items: Sequence[int]) -> list[int]:
        """Ten times each item."""
        self.batches.append(list(items))
        await self.permits.acquire()
        if self.error is not None:
            raise self.error
        return [item * 10 for item in items]

    def let_through(self, flushes: int = 1) -> None:
        """Let that many flushes go on."""
        for _ in range(flushes):
            self.permits.release()

    async def begin(self, *items: int) -> asyncio.Task[Sequence[int]]:
        """Submit in a task whose flush has begun when this returns."""
        before = len(self.batches)
        task = asyncio.create_task(self.lane.submit(items))
        await eventually_async(lambda: len(self.batches) > before)
        return task

    async def queue_up(self, *items: int, kind: object = None) -> asyncio.Task[Sequence[int]]:
        """Submit in a task that stands in line when this returns."""
        task = asyncio.create_task(self.lane.submit(items, kind=kind))
        await asyncio.sleep(0)
        return task


async def test_a_caller_alone_is_flushed_at_once() -> None:
    """Nothing is waited for."""
    gate = Gate()
    gate.let_through(2)
    assert await gate.lane.submit([1, 2]) == [10, 20]
    assert await gate.lane.submit([]) == []


async def test_callers_that_come_during_a_flush_share_the_next() -> None:
    """Each gets the results of its own items, in order."""
    gate = Gate()
    tasks = [await gate.begin(1), await gate.queue_up(2, 3), await gate.queue_up(4)]
    gate.let_through(2)
    assert await asyncio.gather(*tasks) == [[10], [20, 30], [40]]
    assert gate.batches == [[1], [2, 3, 4]]


async def test_a_flush_holds_as_much_as_allowed_and_one_kind() -> None:
    """What does not fit waits for the next."""
    gate = Gate(most=3)
    tasks = [await gate.begin(0), await gate.queue_up(1, 2), await gate.queue_up(3, 4)]
    tasks += [await gate.queue_up(5, kind="other")]
    gate.let_through(9)
    assert await asyncio.gather(*tasks) == [[0], [10, 20], [30, 40], [50]]
    assert gate.batches == [[0], [1, 2], [3, 4], [5]]


async def test_all_that_share_a_flush_get_its_error() -> None:
    """And the next flush is not affected."""
    gate = Gate()
    gate.error = Rejected("no rights")
    tasks = [await gate.begin(0), await gate.queue_up(1), await gate.queue_up(2)]
    gate.let_through(2)
    assert await asyncio.gather(*tasks, return_exceptions=True) == [gate.error] * 3

    gate.error = None
    gate.let_through()
    assert await gate.lane.submit([3]) == [30]


async def test_a_caller_cancelled_in_line_is_never_sent() -> None:
    """Its neighbours are."""
    gate = Gate()
    first, second, third = await gate.begin(0), await gate.queue_up(1), await gate.queue_up(2)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.let_through(2)
    assert (await first, await third) == ([0], [20])
    assert gate.batches == [[0], [2]]
    assert gate.orphans == []


async def test_results_of_a_caller_cancelled_during_its_flush_are_handed_back() -> None:
    """The flush goes on for the others."""
    gate = Gate()
    first, second, third = await gate.begin(0), await gate.queue_up(1), await gate.queue_up(2)
    gate.let_through()
    await eventually_async(lambda: len(gate.batches) == 2)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.let_through()
    assert (await first, await third) == ([0], [20])
    assert gate.orphans == [[10]]


async def test_results_that_arrive_together_with_the_cancellation_are_handed_back() -> None:
    """The future is done, and the caller gets its cancellation all the same."""
    gate = Gate()
    task = await gate.begin(1)
    cancelled: list[bool] = []

    class Results(list[int]):
        """Results that cancel their caller once they were handed out."""

        def __getitem__(self, part: object) -> object:  # type: ignore[override]
            """Ask the loop to cancel the caller before it runs again."""
            loop.call_soon(lambda: cancelled.append(task.cancel()))
            return [10]

    async def flush(_: Sequence[int]) -> Sequence[int]:
        return Results([10])

    loop = asyncio.get_running_loop()
    lane = AsyncLane[int, int](flush, 10, gate.orphans.append)
    gate.let_through()
    await task
    task = asyncio.create_task(lane.submit([1]))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [True]
    assert gate.orphans == [[10]]


async def test_a_thousand_cancelled_callers_leave_nothing_behind() -> None:
    """No task, no call in line, and a lane that works."""
    gate = Gate()
    before = asyncio.all_tasks()
    first = await gate.begin(0)
    tasks = [await gate.queue_up(number) for number in range(1000)]
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in outcomes} == {asyncio.CancelledError}
    gate.let_through(2)
    assert await first == [0]
    assert await gate.lane.submit([1]) == [10]
    assert len(gate.lane) == 0
    await eventually_async(lambda: asyncio.all_tasks() == before)


def other_tasks() -> list[asyncio.Task[object]]:
    """Every task but the one that asks."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_callers_are_served_although_the_flush_was_cancelled_before_it_began() -> None:
    """As at the end of a loop, where all tasks are cancelled and some still settle their jobs."""
    gate = Gate()
    submitted = asyncio.ensure_future(gate.lane.submit([1]))
    await asyncio.sleep(0)
    for task in other_tasks():
        if task is not submitted:
            task.cancel()
    gate.let_through()
    assert await submitted == [10]


async def test_a_flush_cancelled_on_its_way_is_in_doubt() -> None:
    """Those that shared it are told so; those behind it are served."""
    gate = Gate()
    first, second = await gate.begin(1), await gate.queue_up(2)
    for task in other_tasks():
        if task not in (first, second):
            task.cancel()
    with pytest.raises(Indeterminate):
        await first
    gate.let_through()
    assert await second == [20]


async def test_finishing_sends_what_is_waiting_and_refuses_what_comes_later() -> None:
    """Nothing that was accepted is dropped."""
    gate = Gate()
    first, second = await gate.begin(1), await gate.queue_up(2)
    finishing = asyncio.create_task(gate.lane.finish())
    gate.let_through(2)
    await finishing
    assert (await first, await second) == ([10], [20])
    with pytest.raises(Closed):
        await gate.lane.submit([3])


async def test_abandoning_ends_what_is_under_way_and_refuses_what_waits() -> None:
    """The one is in doubt, the other was certainly not sent."""
    gate = Gate()
    first, second = await gate.begin(1), await gate.queue_up(2)
    gate.lane.abandon()
    with pytest.raises(Indeterminate):
        await first
    with pytest.raises(Closed):
        await second
    with pytest.raises(Closed):
        await gate.lane.submit([3])
    assert gate.batches == [[1]]
