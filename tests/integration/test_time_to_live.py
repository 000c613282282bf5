"""What a time to live leaves in a server: nothing, once it was kept."""

from __future__ import annotations

import pytest

from qcore import NewJob
from tests.integration.stage import Stage, held, members, texts


def timed(stage: Stage) -> tuple[int, bool]:
    """How many jobs the server knows a time of, and whether takes have to look for them."""
    keys = stage.keys()
    with stage.server.connect() as raw:
        count = raw.call("ZCARD", keys.one("expires"))
        assert isinstance(count, int)
        return count, "timed" in texts(raw.call("HKEYS", keys.one("meta")))


def let_times_end(stage: Stage) -> None:
    """Make the time of every job run out now, without waiting for it."""
    key = stage.keys().one("expires")
    with stage.server.connect() as raw:
        for member in members(raw.call("ZRANGE", key, 0, -1)):
            raw.call("ZADD", key, "XX", 1, member)


def kept(stage: Stage) -> list[str]:
    """The keys of the queue, but for answers that expire, signals and who waits."""
    passing = (":flush:", ":bell", ":waiters")
    return [name for name in stage.names() if not any(word in name for word in passing)]


@pytest.mark.parametrize("end", ["late", "taken", "cancelled", "purged"])
def test_the_time_of_a_job_is_forgotten_with_it(redis_stage: Stage, end: str) -> None:
    """Q-TTL-01, Q-RES-01: and with the last one that there was any."""
    line = redis_stage.line()
    jobs = [
        NewJob(b"", ttl=60.0),
        NewJob(b"", ttl=60.0, priority=2),
        NewJob(b"", ttl=60.0, delay=60.0),
    ]
    ids = line.enqueue_many(jobs)
    assert timed(redis_stage) == (3, True)
    if end in ("late", "taken"):
        redis_stage.let_delays_end()
    if end == "late":
        let_times_end(redis_stage)
        assert line.reserve(timeout=0) is None
        assert line.stats().dropped == 3
    elif end == "taken":
        for _ in jobs:
            held(line.reserve(timeout=0)).ack()
    elif end == "cancelled":
        assert all(line.cancel(job_id) for job_id in ids)
    else:
        assert (line.purge("ready"), line.purge("delayed")) == (2, 1)
    assert line.reserve(timeout=0) is None
    assert timed(redis_stage) == (0, False)


def test_one_that_came_back_has_no_time_any_more(redis_stage: Stage) -> None:
    """Q-TTL-01: it was taken in time, whatever became of it then."""
    line = redis_stage.line()
    line.enqueue_many([NewJob(b"", ttl=60.0)] * 3)
    released, retried, dead = line.reserve_many(3, timeout=0)
    released.release()
    retried.retry()
    dead.dead_letter("why")
    assert line.redrive() == 1
    assert timed(redis_stage) == (0, False)
    assert len(line.reserve_many(3, timeout=0)) == 3


def test_bodies_go_with_jobs_that_are_too_late(redis_stage: Stage) -> None:
    """Q-TTL-01, Q-RES-01: whatever was stored for them."""
    line = redis_stage.line()
    line.enqueue(b"")
    held(line.reserve(timeout=0)).ack()
    before = kept(redis_stage)
    line.enqueue_many([NewJob(b"x" * 100, ttl=60.0)] * 300)
    line.enqueue_many([NewJob(b"y", ttl=60.0, delay=60.0)])
    redis_stage.let_delays_end()
    let_times_end(redis_stage)
    assert line.reserve(timeout=0) is None
    assert line.stats().dropped == 301
    assert kept(redis_stage) == before
