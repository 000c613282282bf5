"""Two services read one log; consumers of one are SIGKILLed, and the other feels nothing.

Usage: QCORE_URL=redis+streams://localhost:6379?mode=log python examples/two_services.py [ENTRIES]
"""

import multiprocessing as mp
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import SpawnContext
from multiprocessing.process import BaseProcess

import qcore

BATCH, CONSUMERS, LEASE, KILLS = 500, 2, 2.0, 15
LONGEST = 120.0
BROKER = os.environ["QCORE_URL"]
# No entry is to blame for the kills, so none is set aside for having been in dying hands.
URL = f"{BROKER}{'&' if '?' in BROKER else '?'}crash_limit={KILLS + 1}"


def read(group: str, ledger: pathlib.Path) -> None:
    """Write a line for each entry that is done, until somebody kills this process."""
    with qcore.connect(URL) as connection, ledger.open("ab", buffering=0) as done:
        queue = connection.queue("orders").group(group)
        while True:
            batch = queue.reserve_many(100, lease=LEASE)
            done.write(b"".join(b"%b %d\n" % (one.job.body, one.number) for one in batch))
            queue.ack_many(batch)


def replayed(queue: qcore.Queue, name: str, start: float) -> list[str]:
    """The ids that a new group gets from a time on, in order."""
    group, ids = queue.group(name), list[str]()
    group.subscribe(start)
    while batch := group.reserve_many(1000, timeout=0.0):
        ids += [one.job.id for one in batch]
        group.ack_many(batch)
    group.unsubscribe()
    return ids


def told(name: str, group: qcore.Queue, ledger: pathlib.Path, entries: int) -> bool | None:
    """Say what a service did: whether it felt nothing of any kill, or ``None`` if it lost one."""
    rows, stats = [line.split() for line in ledger.read_text().splitlines()], group.stats()
    lost = entries - len({row[0] for row in rows})
    again = sum(int(row[1]) > 1 for row in rows)
    print(f"{name}: lost {lost}, done twice {len(rows) - entries}, redelivered {again}, {stats}")
    if lost or stats.acked != entries:
        return None
    return len(rows) == entries and not again


def started(ctx: SpawnContext, name: str, ledger: pathlib.Path) -> BaseProcess:
    """Begin one more consumer of a service."""
    process = ctx.Process(target=read, args=(name, ledger))
    process.start()
    return process


def disturb(
    groups: dict[str, qcore.Queue], billing: list[BaseProcess], again: Callable[[], BaseProcess]
) -> int:
    """Kill consumers of billing until both services have everything; says how many."""
    kills, done, end = 0, 0, time.monotonic() + LONGEST
    while any(group.stats().lag for group in groups.values()) and time.monotonic() < end:
        time.sleep(0.1)
        if kills < KILLS and (now := groups["billing"].stats().acked) > done:
            # Whoever begins again gets something done before the next kill.
            kills, done = kills + 1, now
            end_all([billing.pop(0)])
            billing.append(again())
    return kills


def end_all(processes: list[BaseProcess]) -> None:
    """Kill them, and wait until they are gone."""
    for process in processes:
        process.kill()
        process.join()


def main(entries: int) -> None:
    """Let two services work off what is enqueued while one of them is disturbed, and count."""
    ctx = mp.get_context("spawn")
    folder = pathlib.Path(tempfile.mkdtemp())
    connection = qcore.connect(URL, require=["groups", "history"])
    queue = connection.queue("orders")
    groups = {name: queue.group(name) for name in ("billing", "shipping")}
    for group in groups.values():
        group.subscribe("new")

    services = {
        name: [started(ctx, name, folder / name) for _ in range(CONSUMERS)] for name in groups
    }
    ids: list[str] = []
    for at in range(0, entries, BATCH):
        part = range(at, min(entries, at + BATCH))
        ids += queue.enqueue_many(str(number).encode() for number in part)
    again = partial(started, ctx, "billing", folder / "billing")
    kills = disturb(groups, services["billing"], again)
    for processes in services.values():
        end_all(processes)

    undisturbed = [told(name, group, folder / name, entries) for name, group in groups.items()]
    middle = entries // 2
    began = queue.history(ids[middle], limit=1)[0].at
    one, other = (replayed(queue, name, began) for name in ("one", "other"))
    same = one == other and one[len(one) - len(ids) + middle :] == ids[middle:]
    print(
        f"{kills} kills; two replays of {len(one)} entries: {'the same' if same else 'DIFFERENT'}"
    )
    connection.close()
    sys.exit(0 if same and undisturbed[1] and None not in undisturbed else 1)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
