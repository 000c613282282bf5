from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import pytest

from qcore.backend import AsyncBackend, AsyncSubscriptions, Backend
from qcore.bridges import lift_inline, lift_threads
from tests.unit.qcore.waiting import PATIENCE, eventually, eventually_async

pytestmark = pytest.mark.asyncio


class Sleeper:
    """A backend of which only the waiting counts; everything else says in which thread it was."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0
        self.asleep = 0
        self.waits: list[tuple[str, ...]] = []
        self.deaf = False
        self.error: Exception | None = None

    def interrupt(self) -> None:
        """End every wait that is under way."""
        with self._changed:
            if not self.deaf:
                self._rings += 1
                self._changed.notify_all()

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """Sleep until interrupted."""
        with self._changed:
            self.waits.append(tuple(queues))
            before = self._rings
            self.asleep += 1
            self._changed.wait_for(lambda: self._rings != before, timeout)
            self.asleep -= 1
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Nothing to give back."""

    def health(self) -> dict[str, Any]:
        """The thread of this call."""
        return {"thread": threading.current_thread()}

    def subscribe(self, queue: str) -> None:
        """Remember it."""
        self.waits.append((queue,))

    def gaps(self, queue: str) -> int:
        """The length of the name."""
        return len(queue)


@asynccontextmanager
async def lifted(sleeper: Sleeper) -> AsyncGenerator[AsyncBackend]:
    """The backend, for asyncio; no thread may be left when it is closed."""
    backend = lift_inline(cast("Backend", sleeper))
    yield backend
    sleeper.deaf = False
    await backend.close()
    await eventually_async(lambda: not own_threads())


def own_threads() -> list[threading.Thread]:
    """The threads of bridges."""
    return [
        one for one in threading.enumerate() if one.name.startswith(("qcore-wait", "qcore-call"))
    ]


async def waiters(backend: AsyncBackend, count: int, *queues: str) -> list[asyncio.Task[None]]:
    """Tasks that wait, for as long as it takes."""
    tasks = [asyncio.ensure_future(backend.wait(queues or ["q"], PATIENCE)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_tasks_that_wait_for_the_same_share_a_thread() -> None:
    """And are woken together."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        tasks = await waiters(backend, 100)
        await eventually_async(lambda: sleeper.asleep)
        sleeper.interrupt()
        await asyncio.gather(*tasks)
        assert sleeper.waits == [("q",)]


async def test_other_queues_have_a_thread_of_their_own() -> None:
    """What wakes one group is the business of the backend."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        tasks = [*await waiters(backend, 2, "a"), *await waiters(backend, 2, "b", "c")]
        await eventually_async(lambda: sleeper.asleep == 2)
        sleeper.interrupt()
        await asyncio.gather(*tasks)
        assert sorted(sleeper.waits) == [("a",), ("b", "c")]


async def test_a_wait_ends_after_its_time() -> None:
    """Also when the thread waits longer for somebody else."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        began = time.monotonic()
        await backend.wait(["q"], 0.02)
        assert time.monotonic() - began >= 0.02
        (longer,) = await waiters(backend, 1)
        await backend.wait(["q"], 0.02)
        assert not longer.done()
        longer.cancel()
        with suppress(asyncio.CancelledError):
            await longer


async def test_an_error_of_a_wait_reaches_every_task() -> None:
    """As the backend raised it."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        tasks = await waiters(backend, 3)
        await eventually_async(lambda: sleeper.asleep)
        sleeper.error = OSError("no route")
        sleeper.interrupt()
        assert await asyncio.gather(*tasks, return_exceptions=True) == [sleeper.error] * 3


async def test_cancelling_one_leaves_the_others_asleep() -> None:
    """The thread goes on for them."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        first, second = await waiters(backend, 2)
        await eventually_async(lambda: sleeper.asleep)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert sleeper.asleep == 1
        sleeper.interrupt()
        await second
        assert len(sleeper.waits) == 1


async def test_cancelling_the_last_ends_the_thread() -> None:
    """Also when it had not begun to wait, and did not hear the first interruption."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        sleeper.deaf = True
        (task,) = await waiters(backend, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually_async(lambda: sleeper.asleep)
        sleeper.deaf = False
        await eventually_async(lambda: not sleeper.asleep)


async def test_a_thousand_cancelled_waits_leave_nothing_behind() -> None:
    """No task, and no more threads than sets of queues."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        before = asyncio.all_tasks()
        for _ in range(100):
            tasks = await waiters(backend, 10)
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(one) for one in outcomes} == {asyncio.CancelledError}
        await eventually_async(lambda: not sleeper.asleep)
        assert len(own_threads()) <= 2
        assert asyncio.all_tasks() == before


async def test_closing_ends_every_wait() -> None:
    """Whoever is still there is woken."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        tasks = await waiters(backend, 3)
        await backend.close()
        await asyncio.gather(*tasks)


async def test_calls_are_made_in_the_loop_or_in_threads() -> None:
    """As the author of the adapter chose."""
    inline, threaded = (lift(cast("Backend", Sleeper())) for lift in (lift_inline, lift_threads))
    assert (await inline.health())["thread"] is threading.current_thread()
    assert (await threaded.health())["thread"] is not threading.current_thread()
    await inline.close()
    await threaded.close()
    eventually(lambda: not own_threads())


async def test_there_are_no_more_threads_than_calls_at_one_time() -> None:
    """However many calls come one after the other."""
    backend = lift_threads(cast("Backend", Sleeper()))
    threads = {(await backend.health())["thread"] for _ in range(2000)}
    assert len(threads) == 1
    await asyncio.gather(*(backend.health() for _ in range(100)))
    assert 1 <= len(own_threads()) <= 32
    await backend.close()
    await eventually_async(lambda: not own_threads())


class Slow(Sleeper):
    """A backend whose first call does not end before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.gate = threading.Event()

    def health(self) -> dict[str, Any]:
        """The thread of this call."""
        self.calls += 1
        assert self.calls > 1 or self.gate.wait(PATIENCE)
        return super().health()


async def test_a_cancelled_call_keeps_its_thread_until_it_ends() -> None:
    """Nobody waits behind it."""
    slow = Slow()
    backend = lift_threads(cast("Backend", slow))
    task = asyncio.ensure_future(backend.health())
    await eventually_async(lambda: slow.calls)
    (busy,) = own_threads()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await backend.health())["thread"] is not busy
    slow.gate.set()
    await backend.close()
    await eventually_async(lambda: not own_threads())


async def test_subscriptions_are_lifted_as_well() -> None:
    """For adapters that only reach listeners."""
    sleeper = Sleeper()
    async with lifted(sleeper) as backend:
        listener = cast("AsyncSubscriptions", backend)
        await listener.subscribe("news")
        assert (sleeper.waits, listener.gaps("news")) == ([("news",)], 4)
