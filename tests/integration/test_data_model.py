"""What lies in the server is what ``qcore_redis.keys`` says, key by key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import qcore_redis.keys
from qcore import Gate, Join, Keep, NewJob
from qcore.backend import Enqueue, Further, Settle, TakeRequest, Verb
from tests.integration.actors import Line
from tests.integration.stage import EDGES, Stage, as_bytes, held, places, texts

ROW = re.compile(r"^``qc:\{n/q\}:(\S+)``\s+(\w+)\s", re.MULTILINE)


def model(design: str) -> dict[str, str]:
    """The kinds of keys of a design, each with its type, as the table of the module names them."""
    rows = dict(ROW.findall(qcore_redis.keys.__doc__ or ""))
    return {
        re.sub(r"^(D|list|stream):", "", name): kind
        for name, kind in rows.items()
        if name.split(":")[0] in ("D", design)
    }


def pattern(name: str) -> re.Pattern[str]:
    """What keys of a kind look like: words in capitals stand for something."""
    places = {"P": r"-?[0-4]", "OWNER": r"[0-9a-f]{16}", "LANE": r"[a-z.0-9]+"}
    parts = (places.get(part, r"[\w.:-]+" if part.isupper() else part) for part in name.split(":"))
    return re.compile(":".join(parts))


def touch_everything(stage: Stage) -> None:
    """Leave every kind of key behind, those that come and go included."""
    line = stage.line()
    line.enqueue(b"tracked", keep=Keep())
    (tracked,) = stage.client.take("work", TakeRequest(1, 30_000)).jobs
    assert stage.client.settle("work", [Settle(tracked.token, Verb.ACK, result=b"bytes\n1")])
    wait_at_gates(line)
    leave_in_the_outbox(stage)
    line.enqueue(b"joined", id="end", join=Join(2, "one"))
    line.enqueue_many([NewJob(b"%d" % level, priority=level) for level in range(-4, 5)])
    line.enqueue(b"named", id="order:1", dedup="dedup.1")
    line.enqueue(b"later", delay=1000)
    line.enqueue(b"in time", priority=-4, ttl=1000)
    hands = line.reserve_many(4, timeout=0)
    hands[0].dead_letter("bad")
    hands[1].retry(1000, error="once")
    (ahead,) = stage.client.take("work", TakeRequest(1, 30_000, started=False)).jobs
    assert stage.client.settle("work", [Settle(ahead.token, Verb.START)]) == [True]
    hands[2].release()
    line.enqueue(b"rings", priority=-4)
    line.pause()
    line.resume()
    line.enqueue(b"of a tenant", priority=-4, tenant="acme")
    if stage.is_list:
        wait_as_a_dead_connection(stage)


def wait_at_gates(line: Line) -> None:
    """Leave a gate that is full, and one that is open."""
    full, free = Gate("acme", concurrency=1, rate=1, window=1000.0), Gate("b", concurrency=1)
    line.enqueue_many([NewJob(b"", gate=full)] * 2)
    line.enqueue_many([NewJob(b"", gate=free, priority=-4)] * 2)
    _, last = line.reserve_many(4, timeout=0)
    last.ack()


def leave_in_the_outbox(stage: Stage) -> None:
    """Leave what is on its way to a queue that does not take it."""
    stage.line().enqueue(b"followed", priority=4)
    (first,) = stage.client.take("work", TakeRequest(1, 30_000)).jobs
    strange = Further("work", Enqueue("x", b"", dedup="damaged", unique=True))
    key = stage.keys().unique("dedup", "damaged")
    stage.server.cli("RPUSH", key, "junk")
    assert stage.client.settle("work", [Settle(first.token, Verb.ACK, further=[strange])]) == [True]
    stage.server.cli("DEL", key)


def wait_as_a_dead_connection(stage: Stage) -> None:
    """Leave what a connection leaves that dies while it waits."""
    keys, owner = stage.keys(), "0123456789abcdef"
    with stage.server.connect() as raw:
        raw.call("ZADD", keys.one("waiters"), 1, owner)
        raw.call("BLMOVE", keys.one("ready:0"), keys.claim_of(owner), "RIGHT", "LEFT", 0.1)
    # Whoever looks next gives back what it was given, and remembers for a while whose it was.
    held(stage.line().reserve(timeout=0)).release()
    assert stage.server.cli("EXISTS", keys.claim_of(owner)) == 0
    with stage.server.connect() as raw:
        raw.call("BLMOVE", keys.one("ready:0"), keys.claim_of(owner), "RIGHT", "LEFT", 0.1)
    assert stage.server.cli("EXISTS", keys.claim_of(owner)) == 1


def kinds(stage: Stage) -> dict[str, str]:
    """Every key that lies in the server, without what all begin with, and its type."""
    begin = stage.keys().tag + ":"
    names = stage.names()
    assert all(name.startswith(begin) for name in names)
    return {
        name.removeprefix(begin): as_bytes(stage.server.cli("TYPE", name)).decode()
        for name in names
    }


def test_every_key_is_in_the_model_and_of_its_type(redis_stage: Stage) -> None:
    """Q-RES-01: nothing is stored that the model does not name, and all that it names exists."""
    touch_everything(redis_stage)
    named = model(redis_stage.keys().design)
    seen: set[str] = set()
    for name, kind in kinds(redis_stage).items():
        (match,) = [one for one in named if pattern(one).fullmatch(name)]
        assert kind == named[match], name
        seen.add(match)
    assert seen == set(named)


def test_all_keys_of_a_queue_lie_in_one_slot(redis_stage: Stage) -> None:
    """Q-CORE-05: they share the hash tag, so that one script can change them together."""
    touch_everything(redis_stage)
    tags = {re.findall(r"\{.*?\}", name)[0] for name in redis_stage.names()}
    assert tags == {f"{{{redis_stage.namespace}/work}}"}


def test_a_receipt_is_the_member_of_the_leases(redis_stage: Stage) -> None:
    """Q-LEASE-05: who holds what stands in one place, with the end of the lease."""
    line = redis_stage.line()
    line.enqueue_many([b"1", b"2"])
    hands = line.reserve_many(2, timeout=0, lease=60)
    leased = texts(
        redis_stage.server.cli("ZRANGE", redis_stage.keys().one("leased"), 0, -1, "WITHSCORES")
    )
    assert set(leased[::2]) == {hand.receipt.token for hand in hands}
    seconds, _ = texts(redis_stage.server.cli("TIME"))
    assert all(55 < float(end) / 1000 - int(seconds) < 65 for end in leased[1::2])


STREAMS = [place for place in places(EDGES) if place.adapter == "redis+streams"]


@pytest.mark.parametrize("redis_stage", STREAMS, ids=str, indirect=True)
def test_pending_entries_are_the_jobs_in_hand(redis_stage: Stage) -> None:
    """Q-LEASE-07: any tool that knows streams can see what is under way."""
    line = redis_stage.line()
    line.enqueue_many([b"%d" % number for number in range(5)])
    hands = line.reserve_many(4, timeout=0)
    hands[0].ack()
    hands[1].dead_letter("bad")
    pending = redis_stage.server.cli("XPENDING", redis_stage.keys().one("new:0"), "qcore")
    assert isinstance(pending, list)
    assert pending[0] == 2
    held(line.reserve(timeout=0))


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "data-model.md"
PAGE_ROW = re.compile(r"^\| `(\S+)` \| (\w+) \|", re.MULTILINE)


def test_the_page_names_every_key() -> None:
    """Who looks a key up in the manual finds the same as who reads the code."""
    in_code = dict(ROW.findall(qcore_redis.keys.__doc__ or ""))
    assert dict(PAGE_ROW.findall(PAGE.read_text(encoding="utf-8"))) == in_code
