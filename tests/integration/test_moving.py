"""What a move leaves in a server, and what becomes of one in a server that was tampered with."""

from __future__ import annotations

import pytest

from qcore import Corrupt, Gate, NewJob
from tests.integration.stage import Stage, held, texts


def bodies(stage: Stage, queue: str) -> list[str]:
    """Take and ack all there is; the bodies in order."""
    line, come = stage.line(queue), list[str]()
    while hand := line.reserve(timeout=0):
        come.append(hand.job.body.decode())
        hand.ack()
    return come


def test_nothing_stays_of_what_was_moved(redis_stage: Stage) -> None:
    """Q-RES-01: but for counters, and what is known of an id that a caller gave."""
    line, keys = redis_stage.line(), redis_stage.keys()
    line.enqueue_many([NewJob(b"plain", ttl=60.0), NewJob(b"mine", id="mine")])
    line.enqueue_many([NewJob(b"later", delay=60.0), NewJob(b"in turn", tenant="acme")])
    line.enqueue_many([NewJob(b"gated", gate=Gate("k", concurrency=1))] * 2)
    dead = held(line.reserve(timeout=0))
    dead.dead_letter("why")

    moved = [line.move("other", state) for state in ("ready", "delayed", "dead")]

    assert moved == [4, 1, 1]
    assert line.reserve(timeout=0) is None
    left = {
        name for name in redis_stage.names() if name.startswith(keys.tag) and "flush" not in name
    }
    lines = {*keys.each_level("new")} if not redis_stage.is_list else set[str]()
    about = {keys.one(name) for name in ("meta", "bell", "waiters")}
    assert left - lines <= {*about, keys.unique("id", "mine")}
    assert redis_stage.server.cli("GET", keys.unique("id", "mine")) == b"mine>"
    assert redis_stage.server.cli("GET", redis_stage.keys("other").unique("id", "mine")) == b"mine"


def test_what_is_known_of_an_id_ends_when_it_would_have(redis_stage: Stage) -> None:
    """Q-DEDUP-01: in both queues."""
    line = redis_stage.line()
    line.enqueue(b"", id="mine")
    names = [redis_stage.keys(queue).unique("id", "mine") for queue in ("work", "other")]
    before = redis_stage.server.cli("PTTL", names[0])
    assert line.move("other") == 1
    after = [redis_stage.server.cli("PTTL", name) for name in names]
    assert all(isinstance(before, int) and isinstance(one, int) for one in after)
    assert all(0 < one <= before for one in after)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]


@pytest.mark.parametrize("state", ["ready", "delayed", "dead"])
def test_junk_is_not_moved_and_keeps_nothing_from_it(redis_stage: Stage, state: str) -> None:
    """Q-POISON-01: wherever it lies."""
    line, keys = redis_stage.line(), redis_stage.keys()
    delay = 60.0 if state == "delayed" else 0.0
    line.enqueue_many([NewJob(b"%d" % number, delay=delay) for number in range(3)])
    if state == "dead":
        for hand in line.reserve_many(3, timeout=0):
            hand.dead_letter("why")
    if state == "ready":
        place = keys.one(f"{'ready' if redis_stage.is_list else 'again'}:0")
        redis_stage.server.cli("RPUSH", place, "hello")
    else:
        redis_stage.server.cli("ZADD", keys.one(state), 1, "hello")

    assert line.move("other", state) == 3

    assert redis_stage.line("other").stats().enqueued == 3
    if state == "ready":
        assert texts(redis_stage.server.cli("ZRANGE", keys.one("dead"), 0, -1)) == ["hello"]
    if not delay:
        assert sorted(bodies(redis_stage, "other")) == ["0", "1", "2"]


@pytest.mark.parametrize("name", ["meta", "delayed", "jobs", "notes", "expires", "fair"])
def test_a_target_that_is_damaged_gets_nothing(redis_stage: Stage, name: str) -> None:
    """Q-POISON-01: and the source keeps all."""
    line = redis_stage.line()
    line.enqueue_many([b"a", b"b"])
    redis_stage.server.cli("SET", redis_stage.keys("other").one(name), "junk")
    with pytest.raises(Corrupt):
        line.move("other")
    assert line.stats().ready == line.stats().enqueued == 2
    assert bodies(redis_stage, "work") == ["a", "b"]
