"""Does one thing with a queue, by whatever clock its process has been given.

``QCORE_DEED`` is the thing: ``enqueue`` a job with the delay of ``QCORE_SECONDS``, ``hold`` one
under such a lease, or ``take`` whatever comes for so long. It says what it did and when, by the
monotonic clock, which nobody shifts; its first line is the wall clock that it sees.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping

import qcore
from qcore_conformance.colours import Colour, LoopThread, connected
from qcore_conformance.scenes import LONG, taken

__all__ = ["say"]


def say(*words: object) -> None:
    """Print a line that can be waited for."""
    sys.stdout.write(f"{' '.join(map(str, words))}\n")
    sys.stdout.flush()


def _enqueue(queue: qcore.Queue, seconds: float) -> None:
    began = time.monotonic()
    queue.enqueue(b"later", delay=seconds)
    say("enqueued", began, time.monotonic())


def _hold(queue: qcore.Queue, seconds: float) -> None:
    began = time.monotonic()
    delivery = taken(queue, seconds)
    say("holds", began, time.monotonic(), delivery.job.id)
    threading.Event().wait()


def _take(queue: qcore.Queue, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    say("takes", time.monotonic(), deadline)
    while (rest := deadline - time.monotonic()) > 0:
        for delivery in queue.reserve_many(10, rest, LONG):
            say("took", time.monotonic(), delivery.job.id)
    say("over")


_DEEDS: Mapping[str, Callable[[qcore.Queue, float], None]] = {
    "enqueue": _enqueue,
    "hold": _hold,
    "take": _take,
}


def main() -> None:
    """Do it."""
    say("clock", time.time(), time.monotonic())
    colour = Colour(os.environ["QCORE_COLOUR"])
    connection = connected(os.environ["QCORE_URL"], colour, LoopThread())
    _DEEDS[os.environ["QCORE_DEED"]](connection.queue("q"), float(os.environ["QCORE_SECONDS"]))


if __name__ == "__main__":
    main()
