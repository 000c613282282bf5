"""What a consumer process of the demo runs: take jobs, count words, tell.

Goes in: QCORE_URL; as words the queue, ``naive`` or ``portable``, how many jobs to take and hold
without working on them (0 for none), and the lease in seconds; then, on the standard input, one
line to begin, and its end to stop. Comes out: the events of ``events``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import attrs

from qcore.cli.demo.events import Counted, Event, Holds, Ready, Started, line_of
from qcore.cli.demo.naive import NaiveQueue
from qcore.cli.demo.words import count_words
from qcore.connection import Connection, connect
from qcore.errors import LeaseLost
from qcore.queue import Consumer, Queue

__all__ = ["main"]

Tell = Callable[[Event], None]

_LOOK = 1.0
"""Seconds of one look for more jobs."""
_AHEAD = 5
"""Jobs that a consumer takes ahead at most."""


class Hands(Protocol):
    """How a consumer gets jobs from one design."""

    def hold(self, count: int) -> tuple[str, ...]:
        """Take jobs and do nothing with them; their ids."""
        ...

    def work(self, tell: Tell) -> None:
        """Do jobs until stopped."""
        ...

    def stop(self) -> None:
        """Make ``work`` return, from another thread."""
        ...


def _counted(tell: Tell, job: str, path: bytes) -> Counted:
    tell(Started(job, time.monotonic()))
    return Counted(job, count_words(Path(os.fsdecode(path)).read_bytes()))


class PortableHands:
    """The hands of any adapter: the same few lines whatever the broker."""

    def __init__(self, queue: Queue, lease: float | None) -> None:
        queue.subscribe()
        self._queue = queue
        self._lease = lease
        self._consumer: Consumer = queue.consume(_AHEAD, lease)

    def hold(self, count: int) -> tuple[str, ...]:
        """Reserve jobs and settle none."""
        held: list[str] = []
        while len(held) < count and (
            found := self._queue.reserve_many(count - len(held), _LOOK, self._lease)
        ):
            held += [delivery.job.id for delivery in found]
        return tuple(held)

    def work(self, tell: Tell) -> None:
        """Do jobs, each acked when its block is left."""
        with self._consumer as deliveries:
            for delivery in deliveries:
                try:
                    with delivery:
                        counted = _counted(tell, delivery.job.id, delivery.job.body)
                except LeaseLost:
                    # Somebody else has it now, and will tell.
                    continue
                tell(counted)

    def stop(self) -> None:
        """End the iteration."""
        self._consumer.close()


@attrs.define
class NaiveHands:
    """The hands of the naive queue: what was popped is theirs alone."""

    queue: NaiveQueue
    stopped: bool = False

    def hold(self, count: int) -> tuple[str, ...]:
        """Pop jobs."""
        held: list[str] = []
        while len(held) < count and (item := self.queue.pop(_LOOK)) is not None:
            held.append(item.partition(b" ")[0].decode())
        return tuple(held)

    def work(self, tell: Tell) -> None:
        """Pop jobs and do them."""
        while not self.stopped:
            item = self.queue.pop(_LOOK)
            if item is not None:
                job, _, path = item.partition(b" ")
                tell(_counted(tell, job.decode(), path))

    def stop(self) -> None:
        """End the loop after the pop under way."""
        self.stopped = True


def _hands(connection: Connection, queue: str, kind: str, lease: float) -> Hands:
    if kind == "naive":
        return NaiveHands(NaiveQueue(connection, queue))
    kept = lease if "lease" in connection.capabilities else None
    return PortableHands(connection.queue(queue), kept)


def _stop_at_end_of_input(hands: Hands) -> None:
    sys.stdin.read()
    hands.stop()


def main(queue: str, kind: str, hold: str, lease: str) -> None:
    """Be a consumer until the standard input ends."""
    out, sys.stdout = sys.stdout.buffer, sys.stderr

    def tell(event: Event) -> None:
        out.write(line_of(event))
        out.flush()

    with connect(os.environ["QCORE_URL"]) as connection:
        hands = _hands(connection, queue, kind, float(lease))
        tell(Ready())
        if not sys.stdin.readline():
            return
        if int(hold):
            tell(Holds(hands.hold(int(hold)), time.monotonic()))
            sys.stdin.read()
        else:
            threading.Thread(target=_stop_at_end_of_input, args=(hands,), daemon=True).start()
            hands.work(tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
