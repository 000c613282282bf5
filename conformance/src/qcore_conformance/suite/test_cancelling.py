"""Cancelling: whoever is told to stop stops at once, and no job gets stuck between two hands."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from typing import TypeVar

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.racing import Race, cancelled_after
from qcore_conformance.scenes import pass_time
from qcore_conformance.waiting import scaled

D = TypeVar("D", qcore.Delivery, qcore.AsyncDelivery)

_BOUND = 3.0
"""Seconds after which a job that was taken for nobody must be back: its lease, and some more."""
_SOON = 1.0
"""Seconds within which a cancellation must be seen."""
_TASKS_ONLY = "only a task can be cancelled; in the other colour a connection is closed instead"


@invariant("Q-CANCEL-01")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_a_cancelled_reserve_ends_at_once_and_leaves_no_reply_behind(bed: Bed) -> None:
    """What its connection is asked next gets an answer of its own."""
    late: list[float] = []

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as connection:
            queue = connection.queue("q")
            await queue.subscribe()
            for number in range(bed.many(100)):
                # In turn when it has just begun, on its way, and when it certainly waits.
                moment = (0.0, random.uniform(0.0, 0.01), random.uniform(0.01, 0.02))[number % 3]
                task, took = await cancelled_after(queue.reserve(timeout=None), moment)
                assert task.cancelled()
                late.append(took)
                sent = await queue.enqueue(b"%d" % number)
                delivery = await queue.reserve(timeout=scaled(10.0))
                assert delivery is not None
                assert (delivery.job.id, delivery.job.body) == (sent, b"%d" % number)
                await delivery.ack()

    bed.loop.run(scenario())

    bed.spread("cancel of a blocked reserve", late)
    assert max(late) <= scaled(_SOON)


@invariant("Q-CANCEL-01")
def test_closing_ends_every_blocked_reserve_and_disturbs_no_other(bed: Bed) -> None:
    """Those of the closed connection at once, those of others not at all."""
    staying = bed.queue()
    staying.subscribe()
    undisturbed = bed.start(partial(staying.reserve, timeout=None))
    late: list[float] = []

    for _ in range(bed.many(20)):
        connection = bed.connect()
        queue = connection.queue("q")
        blocked = [bed.start(partial(queue.reserve, timeout=None)) for _ in range(3)]
        pass_time(time.monotonic() + random.uniform(0.0, 0.02))
        began = time.monotonic()
        connection.close()
        ends = [type(one.exception(scaled(10.0))) for one in blocked]
        late.append(time.monotonic() - began)
        assert ends == [qcore.Closed] * 3

    bed.spread("close of a connection with blocked reserves", late)
    assert max(late) <= scaled(_SOON)
    assert not undisturbed.done()
    sent = bed.connect().queue("q").enqueue(b"")
    delivery = undisturbed.result(scaled(10.0))
    assert delivery is not None
    assert delivery.job.id == sent
    delivery.ack()


@invariant("Q-CANCEL-02")
def test_a_job_that_arrives_while_its_taker_is_closed_does_not_get_stuck(bed: Bed) -> None:
    """It is delivered, or ready for the next one: in time, and without a lost attempt."""
    race = Race("close")

    for number in range(bed.shots(150)):
        connection = bed.connect()
        taker, queue = connection.queue(f"q{number}"), bed.queue(f"q{number}")
        blocked = bed.start(partial(taker.reserve, timeout=None))
        pass_time(time.monotonic() + random.uniform(0.002, 0.006))
        arriving = bed.start(partial(queue.enqueue, b""))
        pass_time(time.monotonic() + race.delay)
        connection.close()
        sent = arriving.result(scaled(10.0))
        if isinstance(blocked.exception(scaled(10.0)), qcore.Closed):
            heir = _untouched(bed, queue.reserve(timeout=scaled(_BOUND)), sent)
            heir.ack()
            race.note(won=True, ghost=heir.number > 1)
        else:
            race.note(won=False)

    race.report(bed)


def _untouched(bed: Bed, heir: D | None, sent: str) -> D:
    """Check that a job came, and that nobody is said to have tried it before."""
    assert heir is not None, "the job got stuck"
    assert heir.job.id == sent
    if bed.claims("attempts"):
        assert (heir.attempt, heir.crashes) == (1, 0)
    return heir


@invariant("Q-CANCEL-02")
@in_colour(Colour.ASYNC, _TASKS_ONLY)
def test_a_job_that_arrives_while_its_taker_is_cancelled_does_not_get_stuck(bed: Bed) -> None:
    """It is delivered, or ready for the next one: in time, and without a lost attempt."""
    race = Race("cancel")

    async def scenario() -> None:
        async with qcore.connect_async(bed.url) as one, qcore.connect_async(bed.url) as other:
            taker, queue = one.queue("q"), other.queue("q")
            for _ in range(bed.shots(400)):
                arriving = asyncio.create_task(_enqueued_soon(queue))
                taking, _ = await cancelled_after(taker.reserve(timeout=None), 0.002 + race.delay)
                sent = await arriving
                if taking.cancelled():
                    heir = _untouched(bed, await queue.reserve(timeout=scaled(_BOUND)), sent)
                    race.note(won=True, ghost=heir.number > 1)
                else:
                    heir = await taking
                    race.note(won=False)
                await heir.ack()

    bed.loop.run(scenario())
    race.report(bed)


async def _enqueued_soon(queue: qcore.AsyncQueue) -> str:
    """Enqueue a job when somebody has had time to begin to wait for it."""
    await asyncio.sleep(0.002)
    return await queue.enqueue(b"")
