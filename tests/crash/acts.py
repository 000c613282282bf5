"""What workers do: each act is played by a process of its own, which may die at any point of it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import qcore
from tests.crash.workers import Part
from tests.integration.actors import Flow, Hand

__all__ = [
    "WAYS",
    "Leaving",
    "all_leave",
    "die_of_poison",
    "enqueue_and_ack",
    "hold",
    "leave_at_random",
    "leave_on_sigterm",
    "one_of_two_leaves",
    "reserve_poison",
    "settle_each_its_own_way",
    "sleep_until_a_job_comes",
    "stop_and_go_on",
    "stop_at",
    "watch_for_loss",
]

Leaving: TypeAlias = Callable[[Part], None]


def hold(part: Part, count: int, lease: float) -> None:
    """Take so many jobs at once, and do nothing with them."""
    line = part.line()
    part.await_go()
    found = line.reserve_many(count, 5.0, lease)
    part.say("holds", [hand.job.id for hand in found])
    part.linger()


def stop_at(part: Part, body: bytes) -> None:
    """Ack jobs as they come, taken ahead, until one has this body."""
    part.take_ahead()
    with part.line().consume(prefetch=10) as hands:
        for hand in hands:
            if hand.job.body == body:
                part.say("stopped")
                part.linger()
            hand.ack()


def sleep_until_a_job_comes(part: Part) -> None:
    """Sleep on an empty queue, and ack what comes."""
    line = part.line()
    hand = line.reserve()
    assert hand is not None
    hand.ack()
    part.say("came", (hand.job.id, hand.attempt, hand.crashes))
    part.linger()


def leave_on_sigterm(part: Part) -> None:
    """Ack jobs as they come, taken ahead; at one that says so stop until told to go on."""
    part.take_ahead()
    if part.colour == "sync":
        _leave_on_sigterm(part)
    else:
        asyncio.run(_leave_on_sigterm_async(part))


def _leave_on_sigterm(part: Part) -> None:
    connection = qcore.connect(part.url)
    consumer = connection.queue("work").consume(prefetch=10)
    signal.signal(signal.SIGTERM, lambda _number, _frame: consumer.close())
    refused: list[str] = []
    done = 0
    part.await_go()
    with connection, consumer as deliveries:
        for delivery in deliveries:
            if delivery.job.body == b"stop":
                part.say("stopped")
                part.hear()
            try:
                delivery.ack()
                done += 1
            except qcore.QcoreError as error:
                refused.append(str(error))
    part.say("left", (done, refused))


async def _leave_on_sigterm_async(part: Part) -> None:
    connection = await qcore.connect_async(part.url)
    consumer = connection.queue("work").consume(prefetch=10)
    leaving: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: leaving.append(asyncio.create_task(consumer.close()))
    )
    refused: list[str] = []
    done = 0
    await asyncio.to_thread(part.await_go)
    async with consumer as deliveries:
        async for delivery in deliveries:
            if delivery.job.body == b"stop":
                part.say("stopped")
                await asyncio.to_thread(part.hear)
            try:
                await delivery.ack()
                done += 1
            except qcore.QcoreError as error:
                refused.append(str(error))
    await asyncio.gather(*leaving)
    await connection.close()
    part.say("left", (done, refused))


def leave_at_random(part: Part, seconds: float) -> None:
    """Consume and give back, and let a signal close the consumer at any moment; again and again."""
    part.take_ahead()
    queue = qcore.connect(part.url).queue("work")
    until = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < until:
        consumer = queue.consume(prefetch=10)
        signal.signal(signal.SIGALRM, partial(_close, consumer))
        with consumer as deliveries:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.005))
            for delivery in deliveries:
                delivery.release()
        signal.setitimer(signal.ITIMER_REAL, 0)
        rounds += 1
    part.say("left", rounds)


def one_of_two_leaves(part: Part) -> None:
    """Two consumers of one connection sleep, and the first is closed when told to."""
    line = part.line()
    first, second = line.consume(), line.consume()
    _sleep_in_threads(first, second)
    part.await_go()
    first.close()
    part.linger()


def all_leave(part: Part) -> None:
    """Two consumers of one connection sleep, and the connection is closed when told to."""
    client = part.connect()
    line = client.queue("work")
    _sleep_in_threads(line.consume(), line.consume())
    part.await_go()
    client.close()
    part.linger()


def _sleep_in_threads(*flows: Flow) -> None:
    def empty(hands: Iterator[Hand]) -> None:
        for _ in hands:
            pass

    for flow in flows:
        threading.Thread(target=empty, args=(flow.__enter__(),), daemon=True).start()


WAYS: Mapping[str, Callable[[Hand], None]] = {
    "ack": lambda hand: hand.ack(),
    "dead_letter": lambda hand: hand.dead_letter("no good"),
    "extend": lambda hand: hand.extend(60.0),
    "release": lambda hand: hand.release(),
    "retry": lambda hand: hand.retry(60.0, "it failed"),
}
"""Every way to settle or keep a delivery."""


def _outcome(how: Callable[[Hand], None], hand: Hand) -> str:
    """The code of the error, or nothing."""
    try:
        how(hand)
    except qcore.QcoreError as error:
        return error.code
    return ""


def settle_each_its_own_way(part: Part) -> None:
    """Hold jobs whose bodies say how to settle them, and do that when told to."""
    hands = part.line().reserve_many(len(WAYS), 0)
    part.await_go()
    tried = [hand.job.body.decode() for hand in hands]
    part.say(
        "tried", {way: _outcome(WAYS[way], hand) for way, hand in zip(tried, hands, strict=True)}
    )
    part.linger()


def stop_and_go_on(part: Part) -> None:
    """Ack jobs as they come, taken ahead; stop at one that says so until told to go on."""
    part.take_ahead()
    with part.line().consume(prefetch=10) as hands:
        for hand in hands:
            if hand.job.body == b"stop":
                part.await_go()
            part.say("settled", (hand.job.body.decode(), _outcome(WAYS["ack"], hand)))


def watch_for_loss(part: Part) -> None:
    """Consume a job, and say when it is lost, by what the broker said or by the clock."""
    with part.line().consume() as hands:
        hand = next(hands)
        part.await_go()
        while not hand.lost:
            time.sleep(0.01)
        part.say("lost")
        part.linger()


def die_of_poison(part: Part, seconds: float) -> None:
    """Ack jobs as they come, taken ahead; one of them kills us after so many seconds."""
    part.take_ahead()
    line = part.line()
    with line.consume(prefetch=10) as hands:
        for hand in hands:
            poisonous = hand.job.body == b"poison"
            held = line.stats().held if poisonous and hand.alone else 0
            part.say("began", (hand.job.body, hand.attempt, hand.crashes, held))
            if poisonous:
                time.sleep(seconds)
                os.kill(os.getpid(), signal.SIGKILL)
            hand.ack()


def reserve_poison(part: Part) -> None:
    """Die of the first job that comes."""
    hand = part.line().reserve(5.0)
    assert hand is not None
    part.say("began", (hand.attempt, hand.crashes))
    os.kill(os.getpid(), signal.SIGKILL)


def enqueue_and_ack(part: Part) -> None:
    """Enqueue a job and see it done, whatever it takes to reach the server."""
    client = None
    while client is None:
        with suppress(qcore.Unavailable):
            client = part.connect()
    line = client.queue("work")
    line.enqueue(b"0")
    hand = line.reserve()
    assert hand is not None
    hand.ack()
    part.linger()


def _close(consumer: qcore.Consumer, _number: int, _frame: object) -> None:
    consumer.close()
