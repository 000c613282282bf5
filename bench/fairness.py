"""How long small tenants wait while a large one has a backlog, and how long without it.

Usage: python bench/fairness.py [--backlog N] [--seconds S] [--at-most RATIO] [--url URL ...]

Twenty tenants share a queue that a few threads work on, each job taking two milliseconds. Nineteen
of them enqueue a job now and then, and for each it is measured how long it waits until it is handed
out: with nothing else in the queue, beside a backlog of the twentieth, and beside the same backlog
when nobody says whose the jobs are. With ``--at-most`` the program ends with 1 if a wait beside the
backlog, median or 99th percentile, is longer than so many times the wait without it.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import qcore

LARGE = "tenant-0"
SMALL = [f"tenant-{number}" for number in range(1, 20)]
BATCH = 500
THREADS = 4
WORK = 0.002
RATE = 200.0
"""Jobs that the small tenants enqueue in a second, all together."""


class Waits(NamedTuple):
    """Milliseconds."""

    median: float
    late: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Waits:
        """Of what was measured."""
        hundredths = statistics.quantiles(seconds, n=100)
        return cls(statistics.median(seconds) * 1000, hundredths[98] * 1000)

    def over(self, other: Waits) -> float:
        """How many times as long they are, at worst."""
        return max(self.median / other.median, self.late / other.late)


@contextmanager
def working(url: str, name: str, waits: list[float]) -> Generator[None]:
    """Work on a queue; note how long jobs waited that say when they were enqueued."""
    done = threading.Event()

    def work(queue: qcore.Queue) -> None:
        while not done.is_set():
            delivery = queue.reserve(timeout=0.1)
            if delivery is None:
                continue
            if delivery.job.body:
                waits.append(time.monotonic() - float(delivery.job.body))
            time.sleep(WORK)
            delivery.ack()

    with qcore.connect(url) as connection, ThreadPoolExecutor(THREADS) as pool:
        found = [pool.submit(work, connection.queue(name)) for _ in range(THREADS)]
        try:
            yield
        finally:
            done.set()
            for one in found:
                one.result()


def enqueue_now_and_then(queue: qcore.Queue, seconds: float, *, named: bool) -> int:
    """Enqueue jobs of the small tenants at random moments; says how many."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(random.expovariate(RATE))
        tenant = random.choice(SMALL) if named else None
        queue.enqueue(b"%.9f" % time.monotonic(), tenant=tenant)
        count += 1
    return count


def measured(url: str, backlog: int, seconds: float, *, named: bool = True) -> Waits:
    """How long the jobs of the small tenants wait."""
    name, waits = f"bench-{uuid.uuid4().hex}", list[float]()
    with qcore.connect(url) as connection:
        queue = connection.queue(name)
        large = qcore.NewJob(b"", tenant=LARGE if named else None)
        for first in range(0, backlog, BATCH):
            queue.enqueue_many([large] * min(BATCH, backlog - first))
        with working(url, name, waits):
            count = enqueue_now_and_then(queue, seconds, named=named)
            while len(waits) < count:
                time.sleep(0.05)
        queue.purge()
    return Waits.of(waits)


def main() -> int:
    """Measure what the arguments ask for; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--at-most", type=float, help="the largest ratio that is no failure")
    parser.add_argument("--url", action="append", help="an adapter to measure; several are allowed")
    options = parser.parse_args()
    worst = 0.0
    print(f"{'adapter':14} {'others have':34} {'median ms':>10} {'p99 ms':>10} {'ratio':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for url in options.url or [
            f"redis+{one}+embedded://{folder}" for one in ("list", "streams")
        ]:
            adapter = url.partition(":")[0].removesuffix("+embedded")
            alone = measured(url, 0, options.seconds)
            beside = measured(url, options.backlog, options.seconds)
            # Without turns everybody waits for the whole backlog: a part of it shows that.
            part = min(options.backlog, 10_000)
            lined_up = measured(url, part, 1.0, named=False)
            worst = max(worst, beside.over(alone))
            for said, waits in (
                ("nothing", alone),
                (f"{options.backlog:,} jobs, in turns", beside),
                (f"{part:,} jobs, in one line", lined_up),
            ):
                ratio = waits.over(alone)
                print(
                    f"{adapter:14} {said:34} {waits.median:10.2f} {waits.late:10.2f} {ratio:7.2f}"
                )
    return int(options.at_most is not None and worst > options.at_most)


if __name__ == "__main__":
    sys.exit(main())
