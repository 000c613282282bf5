"""What records leave in a server, what they cost, and what becomes of them in a damaged one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from qcore import Corrupt, Keep, NewJob, NotTracked
from tests.integration.stage import Stage, held, texts

PARTS = {"records", "results", "ends"}


def record_parts(stage: Stage) -> set[str]:
    """The keys of records that exist."""
    return {name.rpartition(":")[2] for name in stage.names()} & PARTS


def flag(stage: Stage) -> object:
    """Whether the queue says that it tracks jobs."""
    return stage.server.cli("HGET", stage.keys().one("meta"), "tracked")


def tracked(count: int = 1, **keep: float | None) -> list[NewJob]:
    """Jobs with a record."""
    return [NewJob(b"%d" % number, keep=Keep(**keep)) for number in range(count)]


def test_a_queue_of_plain_jobs_holds_nothing_for_records(redis_stage: Stage) -> None:
    """Q-RES-01: neither a key nor a flag."""
    line = redis_stage.line()
    line.enqueue_many([b"0", b"1"])
    held(line.reserve(timeout=0)).ack()
    held(line.reserve(timeout=0)).dead_letter("why")
    assert record_parts(redis_stage) == set()
    assert flag(redis_stage) is None


def test_the_last_record_takes_everything_with_it(redis_stage: Stage) -> None:
    """Q-RES-01: when its time is over, the next call of the queue forgets that there were any."""
    line = redis_stage.line()
    line.enqueue_many(tracked(3, done=0.05))
    assert flag(redis_stage) == b"1"
    for _ in range(3):
        held(line.reserve(timeout=0)).ack()
    assert record_parts(redis_stage) == {"records", "ends"}
    deadline = time.monotonic() + 20
    while record_parts(redis_stage) and time.monotonic() < deadline:
        assert line.reserve(timeout=0.1) is None
    assert record_parts(redis_stage) == set()
    assert flag(redis_stage) is None


def test_a_record_is_a_text_that_a_person_can_read(redis_stage: Stage) -> None:
    """As the page of the data model says."""
    line = redis_stage.line()
    (job_id,) = line.enqueue_many(tracked(done=None, dead=1.5, dropped=0))
    held(line.reserve(timeout=0)).release()
    stored = redis_stage.server.cli("HGET", redis_stage.keys().one("records"), str(job_id))
    assert isinstance(stored, bytes)
    record = json.loads(stored)
    assert (record["state"], record["keep"]) == ("ready", [-1, 1500, 0])
    assert [one["outcome"] for one in record["tries"]] == ["release"]


def test_one_flush_tells_of_all_its_ends_at_once(redis_stage: Stage) -> None:
    """Q-STATE-05: one message, however many jobs have ended in it."""
    line = redis_stage.line()
    ids = line.enqueue_many(tracked(50))
    hands = line.reserve_many(50, timeout=0)
    with redis_stage.server.connect() as raw:
        raw.call("SUBSCRIBE", redis_stage.keys().one("records"))
        line.ack_many(hand.receipt for hand in hands)
        message = raw.read()
    assert isinstance(message, list)
    assert sorted(texts(message)[2].split()) == sorted(ids)


@pytest.mark.parametrize("part", [*sorted(PARTS), "expires"])
def test_a_key_of_another_type_is_reported_before_anything_is_changed(
    redis_stage: Stage, part: str
) -> None:
    """Q-POISON-01: by whoever meets it; each job stays where it is."""
    line = redis_stage.line()
    names = ("held", "dead", "delayed", "ready")
    ids = {name: line.enqueue(b"", keep=Keep(), ttl=1000) for name in names[:2]}
    hand, doomed = line.reserve_many(2, timeout=0)
    doomed.dead_letter("why")
    ids |= {"delayed": line.enqueue(b"", keep=Keep(), delay=1000, ttl=1000)}
    ids |= {"ready": line.enqueue(b"", keep=Keep(), ttl=1000)}
    before = line.stats()
    redis_stage.server.cli("DEL", redis_stage.keys().one(part))
    redis_stage.server.cli("SET", redis_stage.keys().one(part), "mine")

    acts: list[Callable[[], object]] = [
        *(partial(line.cancel, ids[name]) for name in names),
        *(partial(line.purge, state) for state in ("ready", "delayed", "dead")),
        partial(line.reschedule, ids["delayed"], delay=0.0),
        partial(line.reserve, timeout=0),
    ]
    if part != "expires":
        acts += [hand.ack, hand.release, line.redrive, partial(line.remove, [ids["dead"]])]
    for act in acts:
        with pytest.raises(Corrupt):
            act()

    assert line.stats() == before
    redis_stage.server.cli("DEL", redis_stage.keys().one(part))
    hand.ack()
    assert line.redrive() == 1
    assert [line.cancel(ids[name]) for name in ("dead", "delayed", "ready")] == [
        "ready",
        "delayed",
        "ready",
    ]


def test_what_is_over_goes_as_fast_as_jobs_do(redis_stage: Stage) -> None:
    """Q-RES-01: a busy queue keeps no more of it than the last steps left behind."""
    line = redis_stage.line()
    for _ in range(6):
        line.enqueue_many(tracked(1000, done=0.001))
        hands = line.reserve_many(1000, timeout=0)
        assert all(line.ack_many(hand.receipt for hand in hands))
    left = redis_stage.server.cli("HLEN", redis_stage.keys().one("records"))
    assert isinstance(left, int)
    assert left <= 2000


def test_a_record_that_somebody_dropped_is_missed_by_nobody(redis_stage: Stage) -> None:
    """The job goes on; it has no record any more."""
    line = redis_stage.line()
    line.enqueue_many(tracked(2))
    redis_stage.server.cli("DEL", redis_stage.keys().one("records"))
    for _ in range(2):
        held(line.reserve(timeout=0)).ack()
    assert line.stats().acked == 2


def test_who_may_not_listen_looks_again_and_is_told(redis_stage: Stage) -> None:
    """Q-STATE-05: a user without channels settles, and waits for ends by asking for them."""
    redis_stage.server.cli(
        *("ACL", "SETUSER", "quiet", "on", ">pw", "~*", "resetchannels", "+@all", "-@pubsub")
    )
    address = redis_stage.url().replace("+unix://", "+unix://quiet:pw@")
    line = redis_stage.connect(address).queue()
    job_id = line.enqueue(b"", keep=Keep())
    hand = held(line.reserve(timeout=0))
    later = threading.Timer(0.3, hand.ack)
    later.start()
    record = line.wait(job_id, 20)
    later.join()
    assert record.state == "done"


def test_a_record_is_of_one_job_alone(stage: Stage) -> None:
    """Q-STATE-01: an open one keeps its id known; a later job has one of its own, or none."""
    line = stage.connect(dedup_window="50ms").queue()
    line.enqueue(b"first", id="mine", keep=Keep(done=None))
    first = held(line.reserve(timeout=0))
    time.sleep(0.1)
    assert not line.enqueue(b"while it is open", id="mine", keep=Keep()).created
    assert not line.enqueue(b"while it is open", id="mine").created
    first.ack()
    assert line.get("mine").state == "done"
    time.sleep(0.1)

    assert line.enqueue(b"second", id="mine").created

    with pytest.raises(NotTracked):
        line.get("mine")
    held(line.reserve(timeout=0)).ack()
    time.sleep(0.1)
    assert line.enqueue(b"third", id="mine", keep=Keep()).created
    assert (line.get("mine").state, line.get("mine").number) == ("ready", 0)
