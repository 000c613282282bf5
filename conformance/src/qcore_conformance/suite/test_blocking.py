"""Blocking reserve: whoever waits is woken soon, waits as long as asked, and gets a fair share."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import lined_up, pass_time, taken
from qcore_conformance.waiting import scaled

_LOST_SIGNAL = 1.0
"""Seconds after which a waiter was not woken but looked again by itself."""
_LONG_WAIT = 4.0
"""Seconds without end, where no socket could time out."""


@invariant("Q-BLOCK-01")
def test_an_enqueue_wakes_a_blocked_reserve(bed: Bed) -> None:
    """Soon as a rule, and always by a signal: also one that came when the wait was beginning."""
    waiting, producing = bed.queue(), bed.connect().queue("q")
    waiting.subscribe()
    late: list[float] = []

    for _ in range(bed.many(100)):
        woken = bed.start(lambda: _moment_of(waiting))
        pass_time(time.monotonic() + random.uniform(0.0, 0.03))
        began = time.monotonic()
        producing.enqueue(b"")
        late.append(woken.result(scaled(10.0)) - began)

    bed.spread("enqueue to wake-up", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + bed.slack
    assert max(late) <= bed.poll + scaled(_LOST_SIGNAL)


def _redriven(queue: qcore.Queue, held: qcore.Delivery) -> None:
    held.dead_letter("why")
    queue.redrive()


_BECOMING_READY: dict[str, Callable[[qcore.Queue, qcore.Delivery], object]] = {
    "release": lambda _, held: held.release(),
    "retry": lambda _, held: held.retry(0.0),
    "delay": lambda queue, _: queue.enqueue(b"", delay=0.05),
    "priority": lambda queue, _: queue.enqueue(b"", priority=4),
    "redrive": _redriven,
}


@invariant("Q-BLOCK-01")
@pytest.mark.parametrize("how", _BECOMING_READY)
def test_every_way_of_becoming_ready_wakes_a_blocked_reserve(bed: Bed, how: str) -> None:
    """Not only a plain enqueue is a signal."""
    if not bed.claims(how):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{how}'")
    other, waiting = bed.connect().queue("q"), bed.queue()
    other.enqueue(b"")
    held = taken(other, 60.0)
    woken = bed.start(lambda: _moment_of(waiting))
    pass_time(time.monotonic() + 0.05)
    began = time.monotonic()

    _BECOMING_READY[how](other, held)

    late = woken.result(scaled(10.0)) - began
    bed.figure(f"{how} to wake-up", round(late * 1000, 3), "ms")
    assert late <= bed.poll + scaled(_LOST_SIGNAL)


def _moment_of(queue: qcore.Queue) -> float:
    """Wait for a job without end; tells when it came."""
    delivery = queue.reserve(timeout=None)
    came = time.monotonic()
    assert delivery is not None
    delivery.ack()
    return came


@invariant("Q-BLOCK-02")
def test_a_timeout_of_nothing_never_blocks(bed: Bed) -> None:
    """Whether the queue is empty, or all that it has is in hand or not due yet."""
    queue = bed.queue()
    queue.subscribe()
    looks = [_look(queue) for _ in range(bed.many(50))]
    queue.enqueue(b"")
    held = taken(queue)
    if bed.claims("delay"):
        queue.enqueue(b"", delay=60.0)

    looks += [_look(queue) for _ in range(bed.many(50))]

    held.ack()
    bed.spread("look at a queue with nothing ready", looks)
    assert sorted(looks)[len(looks) // 2] <= bed.slack
    assert max(looks) <= scaled(_LOST_SIGNAL)


def _look(queue: qcore.Queue) -> float:
    began = time.monotonic()
    assert queue.reserve(timeout=0.0) is None
    return time.monotonic() - began


@invariant("Q-BLOCK-02")
@in_colour(Colour.SYNC, "both colours wait side by side, since it takes long")
def test_a_reserve_without_end_outlives_every_socket_timeout(bed: Bed) -> None:
    """It neither fails nor asks twice: what comes at last comes once, and the next one after it."""
    length = max(scaled(_LONG_WAIT), 3.2 * bed.harness.socket_timeout)
    queues = [
        bed.connect(colour=colour).queue(f"q-{colour}") for colour in (Colour.SYNC, Colour.ASYNC)
    ]
    for queue in queues:
        queue.subscribe()
    blocked = [bed.start(partial(queue.reserve, timeout=None)) for queue in queues]
    pass_time(time.monotonic() + length)
    assert not any(one.done() for one in blocked)

    producer = bed.connect()
    for queue, one in zip(queues, blocked, strict=True):
        sent = [producer.queue(queue.name).enqueue(body) for body in (b"first", b"second")]
        first = one.result(scaled(10.0))
        assert first is not None
        first.ack()
        second = taken(queue)
        second.ack()
        assert lined_up(bed, [first.job.id, second.job.id]) == lined_up(bed, sent)
        assert {job_id.receivers for job_id in sent} <= {None, 1}
        assert queue.reserve(timeout=0.2) is None
    bed.figure("waited", length, "s")


@invariant("Q-BLOCK-03")
def test_as_many_jobs_as_waiters_serve_each_of_them(bed: Bed) -> None:
    """Round after round, with consumers on connections of their own: nobody starves."""
    rounds, last = bed.many(1000), list[int]()
    stored = bed.capabilities.value("delivery") == "at_least_once"
    together = threading.Barrier(5)
    waiters = [bed.connect().queue("q") for _ in range(4)]
    for waiter in waiters:
        waiter.subscribe()

    consumers = [
        bed.start(partial(_served, waiter, together, rounds, last, number))
        for number, waiter in enumerate(waiters)
    ]
    sent: list[str] = []
    with contextlib.suppress(threading.BrokenBarrierError):
        for _ in range(rounds):
            together.wait(scaled(30.0))
            sent += bed.queue().enqueue_many([b""] * (4 if stored else 1))
            together.wait(scaled(30.0))

    served = [one.result(scaled(30.0)) for one in consumers]
    assert [len(found) for found in served] == [rounds] * 4
    assert sorted(itertools.chain(*served)) == sorted(sent if stored else sent * 4)
    share = max(last.count(number) for number in range(4)) / rounds
    bed.figure("largest share of one waiter in the last places, fair is 0.25", share, "")


def _served(
    queue: qcore.Queue, together: threading.Barrier, rounds: int, last: list[int], number: int
) -> list[str]:
    """Take one job in each round; whoever gets none in time ends the game for all."""
    found: list[str] = []
    with contextlib.suppress(threading.BrokenBarrierError):
        for _ in range(rounds):
            together.wait(scaled(30.0))
            delivery = queue.reserve(timeout=scaled(10.0))
            if delivery is None:
                together.abort()
                break
            delivery.ack()
            found.append(delivery.job.id)
            if together.wait(scaled(30.0)) == together.parties - 1:
                last.append(number)
    return found
