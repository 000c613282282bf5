"""What is left when the work is done: the declared keys, and nothing that grows."""

from __future__ import annotations

import re

import pytest

from qcore import NewJob
from qcore_conformance.waiting import wait_until
from tests.integration.stage import Stage, held, texts, together

LEFT = {
    "redis+list": {"meta", "ready:0"},
    "redis+streams": {"meta", "bell", *(f"new:{level}" for level in range(-4, 5))},
}
"""What may remain of an empty queue, by adapter; see ``qcore_redis.keys``."""


def left(stage: Stage) -> set[str]:
    """The names of the keys of the queue, without what they all begin with."""
    begin = stage.keys().tag + ":"
    names = stage.names()
    assert all(name.startswith(begin) for name in names)
    if stage.is_list:
        # Of a list only a blank may remain, which rings and is no job.
        rest = texts(stage.server.cli("LRANGE", stage.keys().one("ready:0"), 0, -1))
        assert rest in ([], [""])
    return {name.removeprefix(begin) for name in names}


def work_on(stage: Stage, number: int) -> None:
    """Do a bit of everything through a connection of its own, and close it."""
    client = stage.connect()
    line = client.queue()
    names = [f"{number}-{kind}" for kind in ("acked", "retried", "released", "dead", "left")]
    line.enqueue_many(NewJob(name.encode(), priority=number % 9 - 4) for name in names)
    for hand in line.reserve_many(5, timeout=0.1):
        kind = hand.job.body.decode().partition("-")[2]
        if kind == "retried":
            hand.retry(error="once")
        elif kind == "released":
            hand.release()
        elif kind == "dead":
            hand.dead_letter("bad")
        else:
            hand.ack()
    client.close()


def drain(stage: Stage) -> None:
    """Bring everything to its end."""
    client = stage.connect()
    line = client.queue()
    stage.let_leases_end()
    stage.let_delays_end()
    line.redrive()
    while found := line.reserve_many(1000, timeout=0):
        line.ack_many(hand.receipt for hand in found)
    line.purge("dead")
    assert line.reserve(timeout=0.01) is None
    client.close()


def test_only_declared_keys_remain(redis_stage: Stage) -> None:
    """Q-RES-01: after drain and close; the same after 200 consumers as after one."""
    work_on(redis_stage, 0)
    drain(redis_stage)
    assert left(redis_stage) <= LEFT[redis_stage.place.adapter]

    def work(number: int) -> None:
        for one in range(25):
            work_on(redis_stage, 25 * number + one)

    together(8, work)
    drain(redis_stage)
    after = left(redis_stage)
    assert after <= LEFT[redis_stage.place.adapter]
    for name in after:
        size = redis_stage.server.cli("MEMORY", "USAGE", redis_stage.keys().one(name))
        assert isinstance(size, int)
        assert size < 1000, name


@pytest.mark.parametrize("state", ["ready", "delayed", "dead"])
def test_purged_jobs_leave_nothing(redis_stage: Stage, state: str) -> None:
    """Q-RES-01: neither bodies nor notes, although the jobs had failed before."""
    client = redis_stage.connect()
    line = client.queue()
    line.enqueue_many([NewJob(b"job", priority=level) for level in (-4, 0, 4)])
    for hand in line.reserve_many(3, timeout=0):
        hand.retry(error="once")
    redis_stage.let_delays_end()
    again = line.reserve_many(3, timeout=0)
    for hand in again:
        assert hand.attempt == 2
        if state == "dead":
            hand.dead_letter("twice")
        elif state == "delayed":
            hand.retry(1000, error="twice")
        else:
            hand.release()
    assert line.purge(state) == 3
    client.close()
    assert left(redis_stage) <= LEFT[redis_stage.place.adapter]


def test_ids_and_kept_answers_expire(redis_stage: Stage) -> None:
    """Q-RES-01: every key that serves one job or one connection has an end."""
    client = redis_stage.connect(dedup_window="300ms")
    line = client.queue()
    line.enqueue(b"", id="x", dedup="y")
    held(line.reserve(timeout=0)).ack()
    passing = [name for name in redis_stage.names() if re.search(r":(flush|id|dedup):", name)]
    assert len(passing) == 5
    for name in passing:
        ends = redis_stage.server.cli("PTTL", name)
        assert isinstance(ends, int)
        assert 0 < ends <= 60_000
    client.close()
    wait_until(
        lambda: left(redis_stage) <= LEFT[redis_stage.place.adapter],
        within=2,
        what="the id and the key are forgotten",
    )


def test_sleepers_leave_nothing(redis_stage: Stage) -> None:
    """Q-RES-01: fifty consumers that waited in vain, on every kind of signal, leave no trace."""
    redis_stage.line().enqueue(b"", priority=-1)

    def wait(number: int) -> None:
        client = redis_stage.connect()
        if hand := client.queue().reserve(timeout=0.05 + number / 1000):
            hand.ack()
        client.close()

    for _ in range(2):
        together(25, wait)
    drain(redis_stage)
    redis_stage.client.close()
    assert left(redis_stage) <= LEFT[redis_stage.place.adapter]


def test_memory_returns(own_stage: Stage) -> None:
    """Q-RES-03: four thousand jobs later the server holds no more than before."""
    line = own_stage.line()

    def load() -> int:
        for _ in range(4):
            line.enqueue_many([b"x" * 200] * 1000)
        while found := line.reserve_many(1000, timeout=0):
            line.ack_many(hand.receipt for hand in found)
        # What was freed is counted after the allocator had its turn.
        own_stage.server.cli("MEMORY", "PURGE")
        return int(own_stage.info("memory")["used_memory"])

    first = load()
    assert load() <= first * 1.1
