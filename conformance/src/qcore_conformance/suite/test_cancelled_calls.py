"""Cancelled calls: what they leave behind is what a lost reply leaves, and nothing else."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

import qcore
from qcore_conformance.alarms import RangError, alarm
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.measuring import Footprint
from qcore_conformance.outcomes import NotRun
from qcore_conformance.racing import Race, cancelled_after
from qcore_conformance.scenes import taken
from qcore_conformance.waiting import scaled

_TASKS_ONLY = "only a task can be cancelled"
_SOON = 1.0
"""Seconds within which a cancellation must be seen."""
_CROWD = 20
_SPREAD = [number / 2000 for number in range(_CROWD)]
_TOGETHER = [0.3] * _CROWD
"""Seconds after which each of a crowd is cancelled: while some begin, or when all wait."""
_PADDING = b"." * 4000


@invariant("Q-CANCEL-03")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_a_cancelled_enqueue_stores_the_whole_job_or_none(bed: Bed) -> None:
    """And one that returned stored it once."""
    race = Race("cancel")
    expected, found = set[bytes](), Counter[bytes]()

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as connection:
            queue = connection.queue("q")
            for number in range(bed.shots(300)):
                body = b"%d" % number + _PADDING
                task, _ = await cancelled_after(queue.enqueue(body), race.delay)
                race.note(won=task.cancelled())
                if not task.cancelled():
                    expected.add(body)
            found.update(await _drained(queue))

    bed.loop.run(scenario())

    race.ghosts = len(found.keys() - expected)
    assert max(found.values(), default=0) <= 1
    assert expected <= found.keys() <= {b"%d" % n + _PADDING for n in range(bed.shots(300))}
    race.report(bed)


@invariant("Q-CANCEL-03")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_repeating_a_cancelled_enqueue_with_its_id_makes_one_job(bed: Bed) -> None:
    """Whether or not the first one took effect."""
    if not bed.claims("idempotent_id"):
        raise NotRun(f"{bed.capabilities.adapter} does not know ids again")
    race = Race("cancel")
    found = Counter[bytes]()

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as connection:
            queue = connection.queue("q")
            for number in range(bed.shots(200)):
                body, name = b"%d" % number, f"job-{number}"
                task, _ = await cancelled_after(queue.enqueue(body, id=name), race.delay)
                again = await queue.enqueue(body, id=name)
                assert again == name
                assert task.cancelled() or not again.created
                race.note(won=task.cancelled(), ghost=task.cancelled() and not again.created)
            found.update(await _drained(queue))

    bed.loop.run(scenario())

    assert found == {b"%d" % number: 1 for number in range(bed.shots(200))}
    race.report(bed)


@invariant("Q-CANCEL-03")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_a_cancelled_ack_took_effect_or_can_be_repeated(bed: Bed) -> None:
    """Either way the job is gone then, and does not come back when its lease ends."""
    race, total = Race("cancel"), bed.shots(300)
    witness = bed.queue()

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as connection:
            queue = connection.queue("q")
            await queue.enqueue_many([b"%d" % number for number in range(total)])
            for _ in range(total):
                delivery = await queue.reserve(timeout=scaled(10.0), lease=bed.lease)
                assert delivery is not None
                task, _ = await cancelled_after(delivery.ack(), race.delay)
                race.note(won=task.cancelled(), ghost=await _had_effect(task, delivery))
            assert await queue.reserve(timeout=bed.lease + bed.slack) is None

    bed.loop.run(scenario())

    race.report(bed)
    if bed.claims("stats"):
        stats = witness.stats()
        assert (stats.acked, stats.enqueued) == (total, total)


async def _had_effect(task: asyncio.Task[object], delivery: qcore.AsyncDelivery) -> bool:
    """Repeat an ack that was cancelled; tells whether the first one had ended the delivery."""
    if not task.cancelled():
        return False
    try:
        await delivery.ack()
    except qcore.LeaseLost:
        return True
    return False


@invariant("Q-CANCEL-03")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_after_a_cancelled_release_there_is_one_copy(bed: Bed) -> None:
    """It is ready at once, or when the lease ends."""
    if not bed.claims("release"):
        raise NotRun(f"{bed.capabilities.adapter} gives nothing back")
    race = Race("cancel")
    expected = {b"%d" % number for number in range(bed.shots(100))}
    found = Counter[bytes]()

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as connection:
            queue = connection.queue("q")
            await queue.enqueue_many(sorted(expected))
            for delivery in await queue.reserve_many(len(expected), lease=scaled(3.0)):
                task, _ = await cancelled_after(delivery.release(), race.delay)
                race.note(won=task.cancelled())
            found.update(await _drained(queue))
            race.ghosts = max(0, len(found) - race.lost)
            found.update(await _drained(queue, 3.5))

    bed.loop.run(scenario())

    assert found == dict.fromkeys(expected, 1)
    race.report(bed)


async def _drained(queue: qcore.AsyncQueue, quiet: float = 0.3) -> list[bytes]:
    """Take and ack jobs until none has come for ``quiet`` seconds."""
    found: list[bytes] = []
    while batch := await queue.reserve_many(100, timeout=scaled(quiet)):
        assert all(await queue.ack_many(batch))
        found += [delivery.job.body for delivery in batch]
    return found


@invariant("Q-CANCEL-04")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_a_thousand_cancels_are_seen_at_once_and_leak_nothing(bed: Bed) -> None:
    """Neither a task, nor a thread, nor a socket."""
    late: list[float] = []

    async def crowd(queue: qcore.AsyncQueue, tasks: int, moments: Sequence[float]) -> None:
        shots = [cancelled_after(queue.reserve(timeout=None), one) for one in moments]
        for task, took in await asyncio.gather(*shots):
            assert task.cancelled()
            late.append(took)
        # What ends behind a cancelled call may hold as much as the call; crowds must not add up.
        await _calm(lambda: len(asyncio.all_tasks()) <= tasks, f"no more than {tasks} tasks")

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as connection:
            queue = connection.queue("q")
            await queue.subscribe()
            tasks = len(asyncio.all_tasks())
            # Cancelled together, they need all that they can need at one time, which pools keep.
            for moments in (_TOGETHER, *[_SPREAD] * 10):
                await crowd(queue, tasks, moments)
            most = Footprint.now().plus(_CROWD)
            for _ in range(bed.many(50)):
                await crowd(queue, tasks, _SPREAD)
            await _calm(lambda: not Footprint.now().exceeds(most), f"no more than {most}")
            await queue.enqueue(b"")
            assert await queue.reserve(timeout=scaled(10.0)) is not None

    bed.loop.run(scenario())

    bed.spread("cancel of a blocked reserve in a crowd", late)
    assert max(late) <= scaled(_SOON)


async def _calm(is_calm: Callable[[], bool], promise: str) -> None:
    """Wait until what was cancelled has ended for good."""
    deadline = time.monotonic() + scaled(5.0)
    while not is_calm():
        now = f"{len(asyncio.all_tasks())} tasks, {Footprint.now()}"
        assert time.monotonic() < deadline, f"{promise}, now {now}"
        await asyncio.sleep(0.01)


@invariant("Q-CANCEL-04")
@in_colour(Colour.SYNC, "a signal interrupts code that blocks")
# An exception between two instructions can part a socket from the one who would have closed it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_of_a_signal_handler_ends_a_blocked_reserve(bed: Bed) -> None:
    """As Ctrl-C does, at once; and the connection works on."""
    queue, late = bed.queue(), list[float]()
    queue.subscribe()

    with alarm() as bell:
        for number in range(bed.many(100)):
            try:
                bell.ring_after(random.uniform(0.001, 0.01))
                queue.reserve(timeout=None)
            except RangError:
                late.append(time.monotonic() - bell.rang_at)
            sent = queue.enqueue(b"%d" % number)
            delivery = taken(queue)
            delivery.ack()
            assert (delivery.job.id, delivery.job.body) == (sent, b"%d" % number)

    assert len(late) == bed.many(100)
    bed.spread("interruption of a blocked reserve", late)
    assert max(late) <= scaled(_SOON)
