"""Attempts: deliveries are numbered without a gap in honesty, and only failures are counted."""

from __future__ import annotations

import asyncio
import random
import threading
import time

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import CLOCKS, LONG, pass_time, taken


@invariant("Q-ATT-01")
def test_deliveries_and_attempts_are_numbered_from_one(bed: Bed) -> None:
    """Each take counts as a delivery; only a retry and a lease that ran out count as an attempt."""
    anchor = bed.queue()
    anchor.enqueue(b"")
    steps = {"release": 0, "extend": 0, "retry": 1, "expire": 1, "release again": 0}
    number = attempt = 1

    for step, counted in steps.items():
        if _capability(step) not in bed.capabilities:
            continue
        connection = bed.connect()  # a number survives the connection that it was given to
        delivery = taken(connection.queue("q"), bed.lease if step == "expire" else LONG)
        assert (step, delivery.number, delivery.attempt) == (step, number, attempt)
        _do(step, delivery, bed.lease)
        connection.close()
        number, attempt = number + 1, attempt + counted

    last = taken(anchor, LONG)
    assert (last.number, last.attempt) == (number, attempt)
    last.ack()


def _capability(step: str) -> str:
    return "lease" if step == "expire" else step.partition(" ")[0]


def _do(step: str, delivery: qcore.Delivery, lease: float) -> None:
    if step == "expire":
        pass_time(time.monotonic() + lease + CLOCKS)
    elif step == "retry":
        delivery.retry(0.0, "why")
    elif step == "extend":
        delivery.extend(LONG)
        delivery.extend(lease)
        delivery.release()
    else:
        delivery.release()


@invariant("Q-ATT-01")
def test_a_redriven_job_keeps_its_number(bed: Bed) -> None:
    """Its attempts begin anew, its deliveries do not."""
    if not bed.claims("dead_letter", "redrive"):
        raise NotApplicable("no job is redriven")
    queue = bed.queue()
    queue.enqueue(b"")
    taken(queue, LONG).retry()
    taken(queue, LONG).dead_letter("why")

    assert queue.redrive() == 1

    again = taken(queue, LONG)
    assert (again.number, again.attempt, again.crashes) == (3, 1, 0)
    again.ack()


@invariant("Q-ATT-03")
def test_closing_while_a_job_arrives_costs_no_attempt(bed: Bed) -> None:
    """What nobody saw is delivered to somebody else, as if nothing had been."""
    rounds, ghosts = bed.many(20), 0
    chance = random.Random(3)
    for round_ in range(rounds):
        queue = bed.queue(f"q{round_}")
        if _closed_while_waiting(bed, queue, chance.random() * 0.004):
            again = taken(queue, LONG)
            assert (again.attempt, again.crashes) == (1, 0)
            ghosts += again.number > 1
            again.ack()

    bed.figure("deliveries that nobody saw", ghosts, f"of {rounds} closings")


def _closed_while_waiting(bed: Bed, queue: qcore.Queue, pause: float) -> bool:
    """Close a connection that waits for the job that is enqueued; whether it saw nothing of it."""
    connection = bed.connect()
    other = connection.queue(queue.name)
    seen: list[qcore.Delivery | None] = []

    def wait() -> None:
        try:
            seen.append(other.reserve(timeout=None, lease=bed.lease))
        except qcore.Closed:
            seen.append(None)

    waiter = threading.Thread(target=wait)
    waiter.start()
    queue.enqueue(b"")
    pass_time(time.monotonic() + pause)
    connection.close()
    waiter.join()
    return seen == [None]


@invariant("Q-ATT-03")
@in_colour(Colour.ASYNC, "code that blocks cannot be cancelled")
def test_cancelling_while_a_job_arrives_costs_no_attempt(bed: Bed) -> None:
    """What nobody saw is delivered to somebody else, as if nothing had been."""
    queue = bed.queue()

    async def cancelled(pause: float) -> bool:
        async with qcore.connect_async(bed.url) as connection:
            line = connection.queue("q")
            waiting = asyncio.create_task(line.reserve(timeout=None, lease=bed.lease))
            await line.enqueue(b"")
            await asyncio.sleep(pause)
            waiting.cancel()
            try:
                delivery = await waiting
            except asyncio.CancelledError:
                return True
            assert delivery is not None
            await delivery.ack()
            return False

    rounds, ghosts, chance = bed.many(40), 0, random.Random(5)
    for _ in range(rounds):
        if bed.loop.run(cancelled(chance.random() * 0.004)):
            again = taken(queue, LONG)
            assert (again.attempt, again.crashes) == (1, 0)
            ghosts += again.number > 1
            again.ack()

    bed.figure("deliveries that nobody saw", ghosts, f"of {rounds} cancels")
