"""Consumers are SIGKILLed all the time, and every job is done all the same.

Usage: QCORE_URL=redis+streams://localhost:6379 python examples/killed_consumers.py [SECONDS]
"""

import multiprocessing as mp
import os
import pathlib
import sys
import tempfile
import time

import qcore

URL = os.environ["QCORE_URL"]
JOBS = int(os.environ.get("JOBS", "20000"))
PRODUCERS, CONSUMERS, LEASE = 4, 4, 2.0
LONGEST = 60.0


def produce(number: int, seconds: float) -> None:
    """Enqueue every fourth job, evenly over ``seconds``."""
    with qcore.connect(URL) as connection:
        queue = connection.queue("work")
        for start in range(number, JOBS, PRODUCERS * 100):
            part = range(start, min(JOBS, start + PRODUCERS * 100), PRODUCERS)
            queue.enqueue_many(str(job).encode() for job in part)
            time.sleep(seconds * PRODUCERS * 100 / JOBS)


def consume(ledger: pathlib.Path) -> None:
    """Write a line for each job that is done, until somebody kills this process."""
    with (
        qcore.connect(URL) as connection,
        connection.queue("work").consume(lease=LEASE) as deliveries,
        ledger.open("ab", buffering=0) as done,
    ):
        for delivery in deliveries:
            with delivery:
                late = time.time() - delivery.job.enqueued_at
                done.write(b"%b %d %f\n" % (delivery.job.body, delivery.number, late))


def main(seconds: float) -> None:
    """Kill a consumer every 0.3 s, then wait until every job is acked, and count."""
    # A fork has imported everything, so that consumers live long enough to hold jobs.
    ctx = mp.get_context("fork")
    qcore.connect(URL).close()
    ledger = pathlib.Path(tempfile.mkdtemp()) / "done"
    producers = [ctx.Process(target=produce, args=(number, seconds)) for number in range(PRODUCERS)]
    consumers = [ctx.Process(target=consume, args=(ledger,)) for _ in range(CONSUMERS)]
    for process in producers + consumers:
        process.start()
    end, kills = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        time.sleep(0.3)
        victim = consumers.pop(0)
        victim.kill()
        victim.join()
        kills += 1
        consumers.append(ctx.Process(target=consume, args=(ledger,)))
        consumers[-1].start()
    for process in producers:
        process.join()
    with qcore.connect(URL) as connection:
        queue, last_kill = connection.queue("work"), time.monotonic()
        while (stats := queue.stats()).acked < JOBS and time.monotonic() < last_kill + LONGEST:
            time.sleep(0.02)
        waited = time.monotonic() - last_kill
    for process in consumers:
        process.kill()
        process.join()
    rows = [line.split() for line in ledger.read_text().splitlines()]
    lost = JOBS - len({row[0] for row in rows})
    again = [float(late) for _, number, late in rows if int(number) > 1]
    print(f"{kills} kills, lost {lost}, done twice {len(rows) - JOBS}, {stats}")
    print(f"redelivered {len(again)}, done at most {max(again, default=0.0):.2f} s after enqueue;")
    print(f"the last job was acked {waited:.2f} s after the last kill (lease {LEASE} s)")
    sys.exit(1 if lost or stats.acked != JOBS else 0)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
