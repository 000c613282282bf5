"""Workers that leave in good order when a signal tells them to, as programs are stopped everywhere.

Each colour is written as its users write it: a handler of ``signal`` that closes the consumer, or
one of the event loop.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from functools import partial
from typing import Any

import attrs

import qcore
from qcore_conformance.colours import Colour
from qcore_conformance.workers import Part

__all__ = ["STOP", "leave_at_random", "leave_on_sigterm"]

STOP = b"stop"
"""The body of a job that takes until the test says go."""
_AHEAD = 20


@attrs.define
class _Diary:
    """What a worker has done, and what was refused."""

    part: Part
    done: int = 0
    refused: list[str] = attrs.field(factory=list[str])

    def begin(self, body: bytes) -> None:
        """Start on a job; one that says so takes until the test says go."""
        if body == STOP:
            self.part.say("stopped")
            self.part.hear()
        elif not self.done:
            self.part.say("works")

    def note(self, error: qcore.QcoreError | None) -> None:
        """Write down how the settle ended."""
        if error is None:
            self.done += 1
        else:
            self.refused.append(str(error))

    def close(self) -> None:
        """Tell the test."""
        self.part.say("left", (self.done, self.refused))


def leave_on_sigterm(part: Part, lease: float | None) -> None:
    """Ack jobs as they come, taken ahead; leave on SIGTERM, with the job in hand done."""
    diary = _Diary(part)
    if part.colour is Colour.SYNC:
        _leave(part, lease, diary)
    else:
        asyncio.run(_leave_async(part, lease, diary))
    diary.close()


def _leave(part: Part, lease: float | None, diary: _Diary) -> None:
    with qcore.connect(part.url) as connection:
        consumer = connection.queue("q").consume(prefetch=_AHEAD, lease=lease)
        signal.signal(signal.SIGTERM, lambda _number, _frame: consumer.close())
        part.say("ready")
        with consumer as deliveries:
            for delivery in deliveries:
                diary.begin(delivery.job.body)
                try:
                    delivery.ack()
                    diary.note(None)
                except qcore.QcoreError as error:
                    diary.note(error)


async def _leave_async(part: Part, lease: float | None, diary: _Diary) -> None:
    async with qcore.connect_async(part.url) as connection:
        consumer = connection.queue("q").consume(prefetch=_AHEAD, lease=lease)
        leaving: list[asyncio.Task[None]] = []
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, lambda: leaving.append(asyncio.create_task(consumer.close()))
        )
        part.say("ready")
        async with consumer as deliveries:
            async for delivery in deliveries:
                await asyncio.to_thread(diary.begin, delivery.job.body)
                try:
                    await delivery.ack()
                    diary.note(None)
                except qcore.QcoreError as error:
                    diary.note(error)
        await asyncio.gather(*leaving)


def leave_at_random(part: Part, lease: float | None, seconds: float) -> None:
    """Consume and give back, and let a signal close the consumer at any moment; again and again."""
    queue = qcore.connect(part.url).queue("q")
    until = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < until:
        consumer = queue.consume(prefetch=_AHEAD, lease=lease)
        signal.signal(signal.SIGALRM, partial(_close, consumer))
        with consumer as deliveries:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.01))
            for delivery in deliveries:
                delivery.release()
        signal.setitimer(signal.ITIMER_REAL, 0)
        rounds += 1
    part.say("left", rounds)


def _close(consumer: qcore.Consumer, *_: Any) -> None:
    consumer.close()
