"""What acks enqueue in other queues: in the server on its way there, and when somebody dies."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import attrs
import msgspec
import pytest

from qcore import Corrupt, Join, Keep, NewJob
from qcore.backend import Enqueue, Further, JoinTerms, Settle, TakeRequest, Verb
from qcore.codec import encode_envelope
from qcore.job import Job
from qcore.sansio import Program
from qcore_conformance.waiting import wait_until
from qcore_redis.programs import StoredPrograms, Words
from tests.integration.stage import Stage, held, members, texts

OTHER, THIRD = "other", "third"


def follower(number: int, queue: str = OTHER) -> Further:
    """A job that follows an ack."""
    return Further(queue, Enqueue(f"follows-{number}", envelope(b"%d" % number), unique=True))


def envelope(body: bytes) -> bytes:
    """What the adapter stores of a job."""
    return encode_envelope(Job("any", OTHER, body))


def taken(stage: Stage, body: bytes = b"first") -> str:
    """The token of a job in hand."""
    stage.line().enqueue(body)
    (job,) = stage.client.take("work", TakeRequest(1, 30_000)).jobs
    return job.token


def ack(stage: Stage, *further: Further) -> bool:
    """Ack a job that others follow."""
    step = Settle(taken(stage), Verb.ACK, further=further)
    return stage.client.settle("work", [step]) == [True]


@contextmanager
def nobody_brings(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """As if each program that acks died right behind it."""

    def died(self: StoredPrograms, queue: str, rows: list[bytes]) -> Program[Words, None]:
        del self, queue, rows
        yield from ()

    with monkeypatch.context() as patch:
        patch.setattr(StoredPrograms, "_bring", died)
        yield


def outbox(stage: Stage) -> list[bytes]:
    """The rows that nobody has brought yet."""
    return members(stage.server.cli("ZRANGE", stage.keys().one("outbox"), 0, -1))


def let_head_start_end(stage: Stage) -> None:
    """Let others bring what lies in the outbox."""
    with stage.server.connect() as raw:
        for row in outbox(stage):
            raw.call("ZADD", stage.keys().one("outbox"), "XX", 1, row)


def bodies(stage: Stage, queue: str = OTHER) -> list[bytes]:
    """What is ready there, next one first."""
    return [one.job.body for one in stage.line(queue).peek(limit=100) if one.job is not None]


def test_what_follows_is_brought_in_the_call_of_the_ack(redis_stage: Stage) -> None:
    """Q-THEN-01: in order, to each queue, and nothing is left of it on the way."""
    assert ack(redis_stage, *(follower(one) for one in range(20)), follower(20, THIRD))
    assert bodies(redis_stage) == [b"%d" % one for one in range(20)]
    assert bodies(redis_stage, THIRD) == [b"20"]
    assert not [name for name in redis_stage.names() if "outbox" in name or ":further" in name]
    assert redis_stage.line().stats().outbox == 0


def test_acks_that_share_a_flush_leave_nothing_on_the_way(redis_stage: Stage) -> None:
    """Q-THEN-01: each row is known by its number, also behind an ack that is refused."""
    tokens = [taken(redis_stage, b"%d" % number) for number in range(4)]
    line = redis_stage.line()
    assert redis_stage.client.settle("work", [Settle(tokens[1], Verb.ACK)]) == [True]
    further = [[follower(2 * one), follower(2 * one + 1)] for one in range(4)]
    pairs = zip(tokens, further, strict=True)
    steps = [Settle(token, Verb.ACK, further=follow) for token, follow in pairs]
    assert redis_stage.client.settle("work", steps) == [True, False, True, True]
    assert bodies(redis_stage) == [b"0", b"1", b"4", b"5", b"6", b"7"]
    assert (outbox(redis_stage), line.stats().outbox) == ([], 0)


@pytest.mark.parametrize("paused", [False, True], ids=["busy", "paused"])
def test_what_a_dead_program_left_is_brought_by_who_looks_next(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch, *, paused: bool
) -> None:
    """Q-THEN-02: once its time is over, and not before; a queue that is paused as well."""
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, *(follower(one) for one in range(5)))
    line = redis_stage.line()
    assert line.stats().outbox == 5
    if paused:
        line.pause()

    assert line.reserve(timeout=0) is None
    assert redis_stage.line(OTHER).stats().enqueued == 0
    let_head_start_end(redis_stage)
    assert line.reserve(timeout=0) is None

    assert bodies(redis_stage) == [b"%d" % one for one in range(5)]
    assert line.stats().outbox == 0


def test_an_idle_consumer_brings_it_within_seconds(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02: somebody who waits for work need not be woken for it."""
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, follower(1))
    assert redis_stage.line().reserve(timeout=4.0) is None
    assert bodies(redis_stage) == [b"1"]


def test_who_waits_for_work_looks_when_a_row_is_due(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02: and where nothing is on its way, for nothing of the kind."""
    request = TakeRequest(1, 30_000)
    assert redis_stage.client.take("work", request).next_due is None
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, follower(1))
    due = redis_stage.client.take("work", request).next_due
    assert due is not None
    assert 0 < due <= 1.5
    let_head_start_end(redis_stage)
    with nobody_brings(monkeypatch):
        again = redis_stage.client.take("work", request).next_due
    assert again is not None
    assert 0 < again <= 1.5
    let_head_start_end(redis_stage)
    assert redis_stage.line().reserve(timeout=0) is None
    assert redis_stage.client.take("work", request).next_due is None


def test_many_rows_are_brought_in_one_go(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02: more than one take is given, to somebody who waits for something else."""
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, *(follower(one) for one in range(450)))
    let_head_start_end(redis_stage)
    # Shorter than one sleep, so that no sleep is between two takes.
    assert redis_stage.line().reserve(timeout=1.4) is None
    assert redis_stage.line().stats().outbox == 0
    assert redis_stage.line(OTHER).stats().enqueued == 450


def test_a_take_that_brings_hands_out_jobs_all_the_same(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02: whatever else it does."""
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, follower(1))
    let_head_start_end(redis_stage)
    line = redis_stage.line()
    line.enqueue_many([b"a", b"b"])
    assert [hand.job.body for hand in line.reserve_many(5, timeout=0)] == [b"a", b"b"]
    assert bodies(redis_stage) == [b"1"]


def test_what_is_brought_twice_is_there_once(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02: also when the job is done meanwhile."""
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, follower(1))
    (row,) = outbox(redis_stage)
    let_head_start_end(redis_stage)
    assert redis_stage.line().reserve(timeout=0) is None
    held(redis_stage.line(OTHER).reserve(timeout=0)).ack()

    with redis_stage.server.connect() as raw:
        raw.call("ZADD", redis_stage.keys().one("outbox"), 1, row)
    assert redis_stage.line().reserve(timeout=0) is None

    stats = redis_stage.line(OTHER).stats()
    assert (stats.enqueued, stats.ready, stats.acked) == (1, 0, 1)
    assert outbox(redis_stage) == []


def test_a_short_window_lets_nothing_be_brought_twice(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02: what has no id of its caller's is known for longer than any try may take."""
    line = redis_stage.connect(dedup_window="1ms").queue("work")
    nameless = attrs.evolve(follower(1).job, unique=False)
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, Further(OTHER, nameless), follower(2))
    rows = outbox(redis_stage)
    let_head_start_end(redis_stage)
    assert line.reserve(timeout=0) is None
    for hand in redis_stage.line(OTHER).reserve_many(2, timeout=0):
        hand.ack()
    given = redis_stage.keys(OTHER).unique("id", "follows-2")
    wait_until(lambda: not redis_stage.server.cli("EXISTS", given), within=5.0, what="it is over")

    with redis_stage.server.connect() as raw:
        for row in rows:
            raw.call("ZADD", redis_stage.keys().one("outbox"), 1, row)
    assert line.reserve(timeout=0) is None
    assert bodies(redis_stage) == [b"2"]


def test_what_one_queue_refuses_waits_until_it_does_not(redis_stage: Stage) -> None:
    """Q-THEN-02: the ack holds, and what goes to other queues is there."""
    target = redis_stage.keys(OTHER).one("meta")
    redis_stage.server.cli("SET", target, "junk")
    assert ack(redis_stage, follower(1), follower(2, THIRD))
    assert bodies(redis_stage, THIRD) == [b"2"]
    line = redis_stage.line()
    assert (line.stats().acked, line.stats().outbox) == (1, 1)

    redis_stage.server.cli("DEL", target)
    let_head_start_end(redis_stage)
    assert line.reserve(timeout=0) is None
    assert bodies(redis_stage) == [b"1"]


def test_what_one_job_meets_keeps_no_other_from_its_queue(redis_stage: Stage) -> None:
    """Q-POISON-01: the key of its id is something else; the others are there, in order."""
    key = redis_stage.keys(OTHER).unique("id", "follows-1")
    redis_stage.server.cli("RPUSH", key, "junk")
    assert ack(redis_stage, *(follower(one) for one in range(4)), follower(4, THIRD))
    assert (bodies(redis_stage), bodies(redis_stage, THIRD)) == ([b"0", b"2", b"3"], [b"4"])
    line = redis_stage.line()
    assert line.stats().outbox == 1

    redis_stage.server.cli("DEL", key)
    let_head_start_end(redis_stage)
    assert line.reserve(timeout=0) is None
    assert bodies(redis_stage) == [b"0", b"2", b"3", b"1"]


def test_a_row_that_nobody_can_read_keeps_nothing_from_its_way(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-POISON-01: it stays, and can be seen."""
    with nobody_brings(monkeypatch):
        assert ack(redis_stage, follower(1))
    sound = outbox(redis_stage)[0]
    strange = msgspec.msgpack.encode(attrs.evolve(follower(2).job, priority=9))
    unread = [
        b"",
        b"junk",
        b"0" * 14 + b"\xc1",
        b"0" * 14 + b"\x80",
        sound.replace(b"follows", b"\xff\xfellows"),
        b"0" * 14 + b"\x81\xa1x" + b"\x91" * 100_000,
        b"0" * 14 + b"\x82\xa5queue\xa5other\xa3job" + strange,
    ]
    with redis_stage.server.connect() as raw:
        for junk in unread:
            raw.call("ZADD", redis_stage.keys().one("outbox"), 0, junk)
    let_head_start_end(redis_stage)
    assert redis_stage.line().reserve(timeout=0) is None
    assert bodies(redis_stage) == [b"1"]
    assert redis_stage.line().stats().outbox == len(unread)


def test_an_ack_that_cannot_put_what_follows_changes_nothing(redis_stage: Stage) -> None:
    """Q-POISON-01: neither is the job gone, nor is there anything of what was to follow."""
    key = redis_stage.keys().one("outbox")
    redis_stage.server.cli("SET", key, "junk")
    token = taken(redis_stage)
    with pytest.raises(Corrupt):
        redis_stage.client.settle("work", [Settle(token, Verb.ACK, further=[follower(1)])])
    redis_stage.server.cli("DEL", key)
    assert redis_stage.line().stats().held == 1
    step = Settle(token, Verb.ACK, further=[follower(1)])
    assert redis_stage.client.settle("work", [step]) == [True]
    assert bodies(redis_stage) == [b"1"]


def test_a_counter_that_is_no_number_refuses_the_ack(redis_stage: Stage) -> None:
    """Q-POISON-01: before anything is written; without followers it is not asked for."""
    token = taken(redis_stage)
    redis_stage.server.cli("HSET", redis_stage.keys().one("meta"), "outbox", "junk")
    with pytest.raises(Corrupt):
        redis_stage.client.settle("work", [Settle(token, Verb.ACK, further=[follower(1)])])
    assert redis_stage.client.settle("work", [Settle(token, Verb.ACK)]) == [True]


def test_what_breaks_in_a_batch_parts_no_ack_from_what_follows_it(redis_stage: Stage) -> None:
    """Q-THEN-01: the record of another job is damaged, and the script ends in its middle."""
    line = redis_stage.line()
    line.enqueue_many([NewJob(b"", id=name, keep=Keep()) for name in ("sound", "damaged")])
    sound, damaged = redis_stage.client.take("work", TakeRequest(2, 30_000)).jobs
    redis_stage.server.cli("HSET", redis_stage.keys().one("records"), "damaged", "junk")
    steps = [
        Settle(one.token, Verb.ACK, further=[follower(number)])
        for number, one in enumerate((sound, damaged))
    ]
    with pytest.raises(Corrupt):
        redis_stage.client.settle("work", steps)
    assert (line.stats().held, line.stats().outbox) == (1, 1)
    let_head_start_end(redis_stage)
    assert line.reserve(timeout=0) is None
    assert bodies(redis_stage) == [b"0"]


def test_an_ack_goes_through_at_full_memory_and_brings_when_there_is_room(
    own_stage: Stage,
) -> None:
    """Q-MEM-01: what follows waits in the outbox meanwhile."""
    token = taken(own_stage)
    own_stage.server.cli("CONFIG", "SET", "maxmemory", "1")
    step = Settle(token, Verb.ACK, further=[follower(1)])
    assert own_stage.client.settle("work", [step]) == [True]
    assert own_stage.line().stats().outbox == 1
    own_stage.server.cli("CONFIG", "SET", "maxmemory", "0")
    let_head_start_end(own_stage)
    assert own_stage.line().reserve(timeout=0) is None
    assert bodies(own_stage) == [b"1"]


def test_who_asked_is_forgotten_in_time_and_with_the_job(redis_stage: Stage) -> None:
    """Q-RES-01: a join leaves nothing behind, whether or not all have asked."""
    line, key = redis_stage.line(), redis_stage.keys().unique("join", "all")
    line.enqueue(b"", id="all", join=Join(3, "a", within=100.0))
    line.enqueue(b"", id="all", join=Join(3, "b", within=50.0))
    assert sorted(texts(redis_stage.server.cli("SMEMBERS", key))) == ["a", "b"]
    left = redis_stage.server.cli("PTTL", key)
    assert isinstance(left, int)
    assert 40_000 < left <= 50_000
    assert line.enqueue(b"", id="all", join=Join(3, "c")).created
    assert redis_stage.server.cli("EXISTS", key) == 0


def test_a_damaged_join_refuses_before_anything_is_stored(redis_stage: Stage) -> None:
    """Q-POISON-01: neither job of the batch is there."""
    line = redis_stage.line()
    redis_stage.server.cli("SET", redis_stage.keys().unique("join", "all"), "junk")
    with pytest.raises(Corrupt):
        line.enqueue_many([b"plain", NewJob(b"", id="all", join=Join(2, "a"))])
    assert line.stats().enqueued == 0


def test_members_may_ask_together(redis_stage: Stage) -> None:
    """Q-JOIN-01: in one batch, beside jobs with keys of their own."""
    first, *asked, last = redis_stage.line().enqueue_many(
        [
            NewJob(b"", id="other", dedup="key"),
            *(NewJob(b"%d" % n, id="all", join=Join(3, f"m{n % 3}")) for n in (0, 1, 1, 2)),
            NewJob(b"", id="all", join=Join(3, "m0")),
        ]
    )
    assert first.created
    assert [one.created for one in asked] == [False, False, False, True]
    assert not last.created
    assert bodies(redis_stage, "work") == [b"", b"2"]


def test_a_join_is_brought_as_a_follower(redis_stage: Stage) -> None:
    """Q-JOIN-01: chains end in one job."""
    for number in range(3):
        job = attrs.evolve(follower(number).job, id="end", join=JoinTerms(3, f"m{number}", 60_000))
        assert ack(redis_stage, Further(OTHER, job))
    assert bodies(redis_stage) == [b"2"]
    wait_until(lambda: redis_stage.line().stats().outbox == 0, within=5.0, what="all is brought")
