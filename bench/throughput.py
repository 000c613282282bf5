"""How fast jobs go in and out, paired with bare loops on the same server in the same run.

Usage: python bench/throughput.py [--jobs N] [--rounds N] [--url URL ...]

Each round measures every case once, in turn; the table shows medians over the rounds and the ratio
to the bare pipelined LPUSH and RPOP of redis-py, which keep nothing safe. Figures of shared
machines vary: compare ratios, not digits.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import redis

import qcore

BODY = b"x" * 100
BATCH = 500
THREADS = 8

Case = Callable[[], float]


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def bare(client: redis.Redis, jobs: int) -> Iterator[tuple[str, Case]]:
    """The loops that qcore is compared with."""
    key = f"bench-{uuid.uuid4().hex}"

    def push() -> None:
        for _ in range(0, jobs, BATCH):
            client.lpush(key, *[BODY] * BATCH)

    def pop() -> None:
        while client.rpop(key, BATCH):
            pass

    yield "bare LPUSH by 500", lambda: timed(push)
    yield "bare RPOP by 500, nothing safe", lambda: timed(pop)


def of_queue(queue: qcore.Queue, jobs: int) -> Iterator[tuple[str, Case]]:
    """Jobs in and out of one queue, by batches and by single acks."""

    def enqueue() -> None:
        for _ in range(0, jobs, BATCH):
            queue.enqueue_many([BODY] * BATCH)

    def drain_by_batch() -> None:
        while deliveries := queue.reserve_many(BATCH, timeout=0):
            queue.ack_many(deliveries)

    def drain_one_by_one() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            while deliveries := queue.reserve_many(BATCH, timeout=0):
                list(pool.map(qcore.Delivery.ack, deliveries))

    name = queue.name
    yield f"{name}: enqueue_many by 500", lambda: timed(enqueue)
    yield f"{name}: reserve_many and ack_many by 500", lambda: timed(drain_by_batch)
    yield f"{name}: enqueue_many again", lambda: timed(enqueue)
    yield f"{name}: reserve_many, single acks of {THREADS} threads", lambda: timed(drain_one_by_one)


def table(seconds: dict[str, list[float]], jobs: int) -> None:
    """Print medians, and ratios to the bare loop of the same direction."""
    rates = {name: jobs / statistics.median(found) for name, found in seconds.items()}
    into, out = list(rates.values())[:2]
    print(f"{'case':58} {'jobs/s':>10} {'ratio':>7}")
    for name, rate in rates.items():
        base = into if "enqueue" in name or "LPUSH" in name else out
        print(f"{name:58} {rate:10,.0f} {rate / base:7.2f}")


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", action="append", help="an adapter to measure; several are allowed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = options.url or [f"redis+{one}+embedded://{folder}" for one in ("list", "streams")]
        connections = [qcore.connect(url) for url in urls]
        client = connections[0].native(redis.Redis)
        if client is None:
            parser.error("the first URL must be one of a Redis adapter")
        cases = dict(bare(client, options.jobs))
        for connection in connections:
            queue = connection.queue(connection.capabilities.adapter.replace("+", "-"))
            cases |= dict(of_queue(queue, options.jobs))
        seconds: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(options.rounds):
            for name, case in cases.items():
                seconds[name].append(case())
        table(seconds, options.jobs)
        for connection in connections:
            connection.close()


if __name__ == "__main__":
    main()
