"""What gates leave in a server, what they cost it, and what becomes of them when it is damaged."""

from __future__ import annotations

import random
import time

import pytest

import qcore
from qcore import Corrupt, Gate, NewJob
from qcore.backend import TakeRequest
from qcore_conformance.waiting import scaled, wait_until
from qcore_redis.keys import LEVELS
from tests.integration.actors import Line
from tests.integration.stage import Stage, held, texts
from tests.integration.test_commands import counted, warm_up
from tests.integration.test_fairness import Pair

KINDS = {"slots", "parked", "open", "windows", "rates"}
TWO = Gate("acme", concurrency=2)
AGES = 3.1e8


def limited(count: int, gate: Gate = TWO, **options: float) -> list[NewJob]:
    """Jobs that share a gate, numbered."""
    return [NewJob(b"%d" % number, gate=gate, **options) for number in range(count)]  # type: ignore[arg-type]


def gate_names(stage: Stage) -> set[str]:
    """The keys of gates that exist."""
    return {name.rpartition(":")[2] for name in stage.names()} & KINDS


def finish(line: Line) -> list[str]:
    """Take and ack all that comes; the bodies in order."""
    come = list[str]()
    while found := line.reserve_many(10, timeout=0):
        come += [hand.job.body.decode() for hand in found]
        assert all(line.ack_many(hand.receipt for hand in found))
    return come


@pytest.mark.parametrize("end", ["taken", "cancelled", "purged", "late"])
def test_the_last_job_takes_all_that_was_known_of_its_gate_with_it(
    redis_stage: Stage, end: str
) -> None:
    """Q-RES-01: however it goes."""
    line = redis_stage.line()
    ids = line.enqueue_many(limited(6, ttl=60.0))
    hands = line.reserve_many(6, timeout=0)
    assert gate_names(redis_stage) == {"slots", "parked"}
    if end == "taken":
        assert all(line.ack_many(hand.receipt for hand in hands))
        assert finish(line) == ["2", "3", "4", "5"]
    elif end == "cancelled":
        assert all(line.cancel(job_id) for job_id in reversed(ids))
    elif end == "purged":
        assert line.purge() == 4
        assert all(line.ack_many(hand.receipt for hand in hands))
    else:
        expires = redis_stage.keys().one("expires")
        for job_id in texts(redis_stage.server.cli("ZRANGE", expires, 0, -1)):
            redis_stage.server.cli("ZADD", expires, 1, job_id)
        assert all(line.ack_many(hand.receipt for hand in hands))
        assert finish(line) == []
    line.reserve(timeout=0)
    assert gate_names(redis_stage) == set()
    assert redis_stage.server.cli("EXISTS", redis_stage.keys().one("jobs")) == 0


def test_windows_that_are_over_are_forgotten(redis_stage: Stage) -> None:
    """Q-RES-01: with the next take, however many keys there were."""
    line, window = redis_stage.line(), 0.05
    line.enqueue_many(
        [NewJob(b"", gate=Gate(f"guest-{number}", rate=1, window=window)) for number in range(50)]
    )
    while found := line.reserve_many(10, timeout=0):
        assert all(line.ack_many(hand.receipt for hand in found))
    time.sleep(2 * window)
    assert line.reserve(timeout=0) is None
    assert gate_names(redis_stage) == set()


def test_who_waits_before_a_full_gate_asks_seldom(own_stage: Stage) -> None:
    """Q-GATE-03: jobs that may not go on are no reason to look again, however many they are."""
    warm_up(own_stage)
    line = own_stage.line()
    line.enqueue_many(limited(500) + limited(500, Gate("bolt", rate=1, window=AGES)))
    assert len(line.reserve_many(5, timeout=0, lease=60.0)) == 3
    with counted(own_stage) as calls:
        assert line.reserve(timeout=scaled(2.0)) is None
    assert calls[0] <= 2 + 4 * scaled(2.0)


def test_a_job_behind_a_full_gate_is_looked_at_once(own_stage: Stage) -> None:
    """Q-GATE-03: and leaves its line, so that later takes cost the same without it."""
    line = own_stage.line()
    line.enqueue_many(limited(800))
    held(line.reserve(timeout=0))
    line.enqueue_many([b"plain"] * 10)
    held(line.reserve(timeout=0))
    while line.reserve(timeout=0):
        pass
    keys = own_stage.keys()
    for name in (*keys.each_level("ready"), *keys.each_level("again")):
        # A blank may be left, which only rings.
        assert own_stage.server.cli("LLEN", name) in (0, 1)
    assert own_stage.server.cli("ZCARD", keys.one("parked")) == 798
    assert line.stats().ready == 798


def test_a_long_backlog_is_parked_in_parts(redis_stage: Stage) -> None:
    """Q-GATE-03: so that no take keeps the server for long; the next goes on."""
    line, parked = redis_stage.line(), redis_stage.keys().one("parked")
    for _ in range(5):
        line.enqueue_many(limited(1000))
    line.enqueue(b"plain")
    (first, second) = redis_stage.client.take("work", TakeRequest(1000, 60_000)).jobs
    assert first.id != second.id
    assert 1000 <= int(str(redis_stage.server.cli("ZCARD", parked))) <= 2000
    assert held(line.reserve(timeout=0)).job.body == b"plain"
    assert redis_stage.server.cli("ZCARD", parked) == 4998


def test_the_order_at_a_gate_outlives_many_comings_and_goings(redis_stage: Stage) -> None:
    """Q-GATE-04: what is released goes before all that wait, over and over."""
    line = redis_stage.line()
    line.enqueue_many(limited(12, Gate("acme", concurrency=1)))
    for _ in range(12):
        hand = held(line.reserve(timeout=0))
        assert hand.job.body == b"0"
        hand.release()
    assert finish(line) == [str(number) for number in range(12)]


def test_a_job_that_dies_with_its_holder_frees_its_slot(redis_stage: Stage) -> None:
    """Q-GATE-02: though it does not come back itself, and nobody else comes."""
    line = redis_stage.connect(crash_limit=1).queue()
    line.enqueue_many(limited(3, Gate("acme", concurrency=1)))
    held(line.reserve(timeout=0))
    assert line.reserve(timeout=0) is None
    redis_stage.let_leases_end()
    assert finish(line) == ["1", "2"]
    assert line.stats().dead == 1


def test_a_slot_whose_delivery_is_gone_is_found(redis_stage: Stage) -> None:
    """Q-GATE-02: it was taken out of the server by hand, with nobody to free its slot."""
    line, keys = redis_stage.line(), redis_stage.keys()
    line.enqueue_many(limited(3))
    first, second = line.reserve_many(3, timeout=0)
    redis_stage.server.cli("ZREM", keys.one("leased"), first.receipt.token)
    line.enqueue_many(limited(1))
    again = held(line.reserve(timeout=0))
    assert line.reserve(timeout=0) is None
    assert all(line.ack_many([second.receipt, again.receipt]))
    assert finish(line) == ["2"]


@pytest.mark.parametrize("junk", ["hello", "acme|", "acme|x", "acme|5|7|y", "acme| ", "acme|~"])
def test_junk_at_a_gate_blocks_nobody(redis_stage: Stage, junk: str) -> None:
    """Q-POISON-01: it is set aside if it lies before a gate, and makes nobody look for ever."""
    line, keys = redis_stage.line(), redis_stage.keys()
    line.enqueue_many(limited(6))
    hands = line.reserve_many(6, timeout=0)
    redis_stage.server.cli("ZADD", keys.one("parked"), 0, junk)
    redis_stage.server.cli("ZADD", keys.one("open"), 77, "nobody")
    assert all(line.ack_many(hand.receipt for hand in hands))
    assert finish(line) == ["2", "3", "4", "5"]
    wait_until(lambda: line.reserve(timeout=0) is None, within=5.0, what="nothing is left")
    assert gate_names(redis_stage) <= ({"parked"} if junk == "hello" else set())


def test_a_take_that_is_refused_sets_nobody_at_a_gate_aside(redis_stage: Stage) -> None:
    """Q-POISON-01: what is wrong with the lines of a level is found before its gates are tried."""
    line, keys = redis_stage.line(), redis_stage.keys()
    line.enqueue(b"", gate=TWO, priority=4)
    hand = held(line.reserve(timeout=0))
    redis_stage.server.cli("ZADD", keys.one("parked"), 0, "acme|1|5|hello")
    hand.ack()
    damaged = keys.each_level("ready" if redis_stage.is_list else "again")[LEVELS.index(4)]
    redis_stage.server.cli("SET", damaged, "junk")
    before = redis_stage.stored()
    with pytest.raises(Corrupt):
        line.reserve(timeout=0)
    assert redis_stage.stored() == before
    redis_stage.server.cli("DEL", damaged)
    assert line.reserve(timeout=0) is None
    assert [one.id for one in line.peek("dead")] == ["hello"]


def test_the_gate_goes_with_a_job_wherever_it_is(redis_stage: Stage) -> None:
    """Q-GATE-05: in hand, parked, delayed and dead, and beside its tenant."""
    line, keys = redis_stage.line(), redis_stage.keys()
    gate = Gate("a:c", concurrency=4, rate=9, window=AGES)
    line.enqueue_many([*limited(4, gate), NewJob(b"later", delay=60.0, gate=gate, tenant="t")])
    hands = line.reserve_many(4, timeout=0)
    hands[0].release()
    hands[1].retry(60.0)
    hands[2].dead_letter("why")
    places = [
        *texts(redis_stage.server.cli("ZRANGE", keys.one("parked"), 0, -1)),
        *texts(redis_stage.server.cli("ZRANGE", keys.one("delayed"), 0, -1)),
        *texts(redis_stage.server.cli("HVALS", keys.one("graves"))),
        hands[3].receipt.token.rsplit("|", 2)[0],
    ]
    assert len(places) == 5
    text = f"^a:c,4,9,{round(AGES * 1000)}"
    assert all(place.removesuffix("~t").endswith(text) for place in places)


class GatedPair(Pair):
    """The same done to two queues whose jobs have gates."""

    def act(self, chance: random.Random, name: str) -> None:
        """Do something."""
        if chance.random() < 0.6:
            super().act(chance, name)
        else:
            self.enqueue([self._job(chance, f"{name}-{at}") for at in range(chance.randint(1, 6))])

    def _job(self, chance: random.Random, job_id: str) -> NewJob:
        gate = chance.choice(
            [
                Gate("a", concurrency=1),
                Gate("b.c", concurrency=3),
                Gate("b", concurrency=chance.randint(1, 4)),
                Gate("d", rate=20, window=AGES),
                Gate("a:", concurrency=2, rate=30, window=AGES),
            ]
        )
        return NewJob(b"", id=job_id, gate=gate, priority=chance.choice([0, 0, 2, -3]))


def test_gates_are_those_of_the_reference(redis_stage: Stage) -> None:
    """Q-GATE-04: whatever is done in whatever order, in memory and on the server the same comes."""
    chance = random.Random(seed := random.randrange(1 << 32))
    with qcore.connect("memory://") as connection:
        pair = GatedPair(redis_stage.line(), connection.queue("work"))
        # Turns from the first job on.
        pair.enqueue([NewJob(b"", id="first", tenant="acme")])
        for step in range(80):
            pair.act(chance, f"job{step}")
            assert pair.shown() == [], (seed, step)
        while pair.take(3):
            pair.settle(chance)
    assert gate_names(redis_stage) <= {"parked", "windows", "rates"}, seed
