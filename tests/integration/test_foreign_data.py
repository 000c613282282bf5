"""What somebody else put into a queue, or took out of it, harms no job of ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from qcore import LeaseLost
from qcore_conformance.resp import Value
from tests.integration.stage import Stage, held, texts

JUNK = ["hello", "hello world", "x|y|z", "|||||", "ghost|5|0|1|0|0", "\u00e9\u0000\n", "a" * 10_000]


def push(stage: Stage, *junk: str, level: int = 0) -> None:
    """Put foreign text where ready jobs of a level wait, before them all."""
    line = stage.keys().one(f"{'ready' if stage.is_list else 'again'}:{level}")
    stage.server.cli("RPUSH", line, *junk)


def bodies(stage: Stage, limit: int = 100) -> list[bytes]:
    """Take and ack all there is; the bodies in order."""
    line = stage.line()
    come: list[bytes] = []
    while found := line.reserve_many(limit, timeout=0):
        come += [hand.job.body for hand in found]
        assert all(line.ack_many(hand.receipt for hand in found))
    return come


@pytest.mark.parametrize("limit", [1, 100])
def test_junk_blocks_nobody_and_ends_among_the_dead(redis_stage: Stage, limit: int) -> None:
    """Q-POISON-01: what is no job is set aside with its own text; the next look finds the jobs."""
    line = redis_stage.line()
    line.enqueue_many([b"1", b"2"])
    push(redis_stage, *JUNK)
    push(redis_stage, "urgent", level=4)
    assert bodies(redis_stage, limit) == [b"1", b"2"]
    dead = line.peek("dead")
    assert {one.raw.decode() for one in dead if one.job is None and one.raw} == {
        *JUNK,
        "urgent",
    } - {"ghost|5|0|1|0|0"}
    assert all(one.note for one in dead)
    assert line.redrive() <= 1
    assert bodies(redis_stage) == []
    assert line.purge("dead") == len(JUNK) + 1
    assert line.peek("dead") == []


def test_junk_is_removed_by_its_text(redis_stage: Stage) -> None:
    """Q-POISON-01: as any dead job by its id."""
    line = redis_stage.line()
    push(redis_stage, "hello", "other")
    assert bodies(redis_stage) == []
    assert line.remove(["hello"]) == 1
    assert [one.id for one in line.peek("dead")] == ["other"]


def test_junk_wakes_nobody_for_long(redis_stage: Stage) -> None:
    """Q-POISON-01: a sleeper that is handed junk goes on to sleep, and gets the next job."""
    line, other = redis_stage.line(), redis_stage.other_line()
    with ThreadPoolExecutor(1) as pool:
        come = pool.submit(line.reserve, 10)
        redis_stage.wait_asleep()
        push(redis_stage, "hello")
        if not redis_stage.is_list:
            other.enqueue(b"", priority=-4)
            assert held(come.result()).job.body == b""
            return
        redis_stage.wait_asleep()
        other.enqueue(b"job")
        assert held(come.result()).job.body == b"job"
    assert other.stats().dead == 1


def test_a_foreign_entry_blocks_nobody(redis_stage: Stage) -> None:
    """Q-POISON-01: an entry with other fields is shown among the dead with all that it holds."""
    if redis_stage.is_list:
        # In lists what is foreign has no fields.
        push(redis_stage, "colour red")
    else:
        stream = redis_stage.keys().one("new:0")
        redis_stage.server.cli("XADD", stream, "*", "colour", "red", "size", "\u00e9")
    line = redis_stage.line()
    line.enqueue(b"job")
    assert bodies(redis_stage, 1) == [b"job"]
    (dead,) = line.peek("dead")
    assert (dead.job, b"colour" in dead.raw, b"red" in dead.raw) == (None, True, True)
    assert line.stats().ready == 0
    assert line.purge("dead") == 1
    assert line.stats().dead == 0


def corrupt(stage: Stage, envelope: bytes) -> None:
    """Put a job with an envelope that nobody can read before all others."""
    keys = stage.keys()
    if stage.is_list:
        stage.server.cli("HSET", keys.one("jobs"), "broken", envelope)
        push(stage, "broken|5|0|1|0|0")
    else:
        stage.server.cli("XADD", keys.one("new:0"), "*", "id", "broken", "job", envelope)


@pytest.mark.parametrize(
    "envelope", [b"", b"9{}\nnew version", b"1{\nno JSON", b"1{}", b'1{"h":7}\nwrong type']
)
def test_an_unreadable_job_blocks_nobody(redis_stage: Stage, envelope: bytes) -> None:
    """Q-POISON-01: it is set aside with its bytes and the reason; one look finds the next job."""
    line = redis_stage.line()
    corrupt(redis_stage, envelope)
    line.enqueue(b"good")
    assert held(line.reserve(timeout=0)).job.body == b"good"
    (dead,) = line.peek("dead")
    assert (dead.id, dead.raw, dead.job) == ("broken", envelope, None)
    assert "broken" in dead.note
    assert line.remove(["broken"]) == 1
    assert line.stats().dead == 0


def test_a_job_without_its_body_blocks_nobody(redis_stage: Stage) -> None:
    """Q-REC-18: the body was deleted by hand while the job waited; it is told, others go on."""
    line = redis_stage.line()
    lost, kept = line.enqueue_many([b"lost", b"kept"])
    keys = redis_stage.keys()
    if redis_stage.is_list:
        redis_stage.server.cli("HDEL", keys.one("jobs"), lost)
        assert bodies(redis_stage, 1) == [b"kept"]
        (dead,) = line.peek("dead")
        assert (dead.id, dead.note) == (lost, "its stored body is missing")
        assert line.remove([lost]) == 1
    else:
        (entry, *_), *_ = as_rows(redis_stage.server.cli("XRANGE", keys.one("new:0"), "-", "+"))
        redis_stage.server.cli("XDEL", keys.one("new:0"), entry)
        (hand,) = line.reserve_many(10, timeout=0)
        assert hand.job.id == kept
        hand.ack()
    assert (line.stats().ready, line.stats().held) == (0, 0)


def as_rows(value: Value) -> list[list[bytes]]:
    """Entries of a stream: the id and the flat fields of each."""
    assert isinstance(value, list)
    return [row for row in value if isinstance(row, list)]  # type: ignore[misc]


def test_an_entry_deleted_while_it_is_held_harms_only_itself(redis_stage: Stage) -> None:
    """Q-REC-18: its holder may still settle it; given back, it is told that its body is gone."""
    line = redis_stage.line()
    line.enqueue_many([b"acked", b"released", b"kept"])
    acked, released = line.reserve_many(2, timeout=0)
    keys = redis_stage.keys()
    if redis_stage.is_list:
        redis_stage.server.cli("HDEL", keys.one("jobs"), acked.job.id, released.job.id)
    else:
        rows = as_rows(redis_stage.server.cli("XRANGE", keys.one("new:0"), "-", "+", "COUNT", 2))
        redis_stage.server.cli("XDEL", keys.one("new:0"), *(row[0] for row in rows))
    acked.ack()
    released.release()
    assert held(line.reserve(timeout=0)).job.body == b"kept"
    assert line.reserve(timeout=0) is None
    stats = line.stats()
    assert (stats.ready, stats.held, stats.dead, stats.acked) == (0, 1, 1, 1)
    assert line.purge("dead") == 1
    line.enqueue(b"next")
    assert line.stats().ready == 1


def test_a_destroyed_group_is_made_again(redis_stage: Stage) -> None:
    """Q-REC-18: nothing is lost and nothing comes twice, whatever state a job was in."""
    line = redis_stage.line()
    line.enqueue_many([b"held", b"released", b"retried", b"dead"])
    kept, released, retried, dead = line.reserve_many(4, timeout=0)
    released.release()
    retried.retry(1000)
    dead.dead_letter("bad")
    line.enqueue_many([b"new 1", b"new 2"])
    if not redis_stage.is_list:
        redis_stage.server.cli("XGROUP", "DESTROY", redis_stage.keys().one("new:0"), "qcore")
    come = [held(line.reserve(timeout=0)).job.body for _ in range(3)]
    assert come == [b"released", b"new 1", b"new 2"]
    assert line.reserve(timeout=0) is None
    kept.ack()
    redis_stage.let_delays_end()
    assert held(line.reserve(timeout=0)).job.body == b"retried"
    assert line.redrive() == 1
    assert held(line.reserve(timeout=0)).job.body == b"dead"
    stats = line.stats()
    assert (stats.ready, stats.held, stats.dead, stats.acked) == (0, 5, 0, 1)


def test_a_destroyed_group_forgets_nobody_who_has_a_turn(redis_stage: Stage) -> None:
    """Q-REC-18: an entry that came back, and waits among tenants, is not new again."""
    line = redis_stage.line()
    line.enqueue_many([b"first", b"second", b"third"])
    for retried in line.reserve_many(3, timeout=0)[1:]:
        retried.retry(1000)
    line.enqueue(b"of a tenant", tenant="acme")
    redis_stage.let_delays_end()
    turn = held(line.reserve(timeout=0))
    if not redis_stage.is_list:
        redis_stage.server.cli("XGROUP", "DESTROY", redis_stage.keys().one("new:0"), "qcore")

    come = [turn.job.body, *(hand.job.body for hand in line.reserve_many(9, timeout=0))]

    assert sorted(come) == [b"of a tenant", b"second", b"third"]
    assert line.stats().held == 4


def test_consumers_go_on_when_everything_is_flushed(own_stage: Stage) -> None:
    """Q-REC-08: sleepers get what comes afterwards, old receipts are lost, counts start anew."""
    line, other = own_stage.line(), own_stage.other_line()
    line.enqueue_many([b"held", b"ready"])
    hand = held(line.reserve(timeout=0))
    empty = own_stage.line("empty")
    with ThreadPoolExecutor(1) as pool:
        come = pool.submit(empty.reserve, 10)
        own_stage.wait_asleep()
        own_stage.server.cli("FLUSHALL")
        with pytest.raises(LeaseLost):
            hand.ack()
        assert line.stats().enqueued == 0
        assert line.reserve(timeout=0) is None
        own_stage.connect().queue("empty").enqueue(b"after")
        held(come.result()).ack()
    other.enqueue(b"again", id="x")
    held(line.reserve(timeout=0)).ack()
    assert (line.stats().enqueued, line.stats().acked) == (1, 1)
    assert own_stage.client.queues() == ["empty", "work"]


def test_names_of_keys_are_no_patterns(redis_stage: Stage) -> None:
    """Q-NAME-01: the list of queues shows what is there, whatever other keys look like."""
    redis_stage.line("a").enqueue(b"")
    tag = f"qc:{{{redis_stage.namespace}/"
    redis_stage.server.cli("SET", f"{tag}b}}:other:meta", "foreign")
    redis_stage.server.cli("SET", f"{tag}c}}", "foreign")
    assert redis_stage.client.queues() == ["a"]
    assert texts(redis_stage.server.cli("KEYS", f"{tag}*"))
