"""What tenants leave in a server, and what becomes of turns in a server that was tampered with."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

import qcore
from qcore import LeaseLost, NewJob
from tests.integration.actors import Hand, Line
from tests.integration.stage import Stage, held, texts

ROUNDS = 1 << 48
"""Rounds of one level, as the scripts count them."""


def jobs(tenant: str, count: int, **options: float) -> list[NewJob]:
    """Jobs whose bodies begin with their tenant."""
    return [
        NewJob(f"{tenant}{number}".encode(), tenant=tenant, **options)  # type: ignore[arg-type]
        for number in range(count)
    ]


def bodies(stage: Stage, limit: int = 1) -> list[str]:
    """Take and ack all there is; the bodies in order."""
    line, come = stage.line(), list[str]()
    while found := line.reserve_many(limit, timeout=0):
        come += [hand.job.body.decode() for hand in found]
        assert all(line.ack_many(hand.receipt for hand in found))
    return come


def fair_names(stage: Stage) -> set[str]:
    """The keys of turns that exist."""
    return {name.rpartition(":")[2] for name in stage.names()} & {"fair", "rounds"}


def rounds(stage: Stage) -> dict[str, int]:
    """What the server remembers of rounds, without levels."""
    flat = texts(stage.server.cli("ZRANGE", stage.keys().one("rounds"), 0, -1, "WITHSCORES"))
    scores = (int(float(score)) % ROUNDS for score in flat[1::2])
    return dict(zip(flat[::2], scores, strict=True))


def test_what_is_known_of_tenants_goes_with_their_jobs(redis_stage: Stage) -> None:
    """Q-RES-01: also in a queue that is never empty, which remembers those alone that wait."""
    line = redis_stage.line()
    line.enqueue_many(jobs("always", 60))
    for number in range(50):
        line.enqueue_many(jobs(f"guest-{number}", 1))
        while not held(line.reserve(timeout=0)).job.body.startswith(b"guest"):
            pass
        assert set(rounds(redis_stage)) - {f"5|guest-{number}"} == {"5", "5|always"}
    bodies(redis_stage)
    assert fair_names(redis_stage) == set()


@pytest.mark.parametrize("end", ["taken", "cancelled", "purged", "late"])
def test_the_last_job_takes_all_that_was_known_of_turns_with_it(
    redis_stage: Stage, end: str
) -> None:
    """Q-RES-01: however it goes."""
    line = redis_stage.line()
    ids = line.enqueue_many(jobs("acme", 3, ttl=60.0) + jobs("b", 2, ttl=60.0, priority=2))
    assert fair_names(redis_stage) == {"fair", "rounds"}
    if end == "taken":
        assert len(bodies(redis_stage, 2)) == 5
    elif end == "cancelled":
        assert all(line.cancel(job_id) for job_id in ids)
    elif end == "purged":
        assert line.purge() == 5
    else:
        expires = redis_stage.keys().one("expires")
        for job_id in texts(redis_stage.server.cli("ZRANGE", expires, 0, -1)):
            redis_stage.server.cli("ZADD", expires, 1, job_id)
        assert bodies(redis_stage) == []
    assert fair_names(redis_stage) == set()
    assert redis_stage.server.cli("EXISTS", redis_stage.keys().one("jobs")) == 0


def test_a_queue_without_tenants_knows_nothing_of_turns(redis_stage: Stage) -> None:
    """Q-FAIR-01: the first job with a tenant begins it, and it is never forgotten."""
    line = redis_stage.line()
    line.enqueue_many([b"plain", NewJob(b"later", delay=60.0)])
    redis_stage.let_delays_end()
    assert bodies(redis_stage) == ["later", "plain"]
    meta = redis_stage.keys().one("meta")
    assert "fair" not in texts(redis_stage.server.cli("HKEYS", meta))
    line.enqueue_many(jobs("acme", 2))
    bodies(redis_stage)
    line.enqueue_many([b"plain0", b"plain1", *jobs("b", 2)])
    assert [name[0] for name in bodies(redis_stage)] in (["b", "p"] * 2, ["p", "b"] * 2)


def test_the_tenant_goes_with_a_job_wherever_it_is(redis_stage: Stage) -> None:
    """Q-FAIR-01: in hand, back in its line, delayed and dead."""
    line, keys = redis_stage.line(), redis_stage.keys()
    line.enqueue_many([*jobs("acme", 4), NewJob(b"later", delay=60.0, tenant="acme")])
    hands = line.reserve_many(4, timeout=0)
    hands[0].release()
    hands[1].retry(60.0)
    hands[2].dead_letter("why")
    back = keys.one(f"{'ready' if redis_stage.is_list else 'again'}:0")
    places = [
        *texts(redis_stage.server.cli("LRANGE", back, 0, -1)),
        *texts(redis_stage.server.cli("ZRANGE", keys.one("delayed"), 0, -1)),
        *texts(redis_stage.server.cli("HVALS", keys.one("graves"))),
        hands[3].receipt.token.rsplit("|", 2)[0],
    ]
    assert len(places) == 5
    assert all(element.endswith("~acme") for element in places)


@pytest.mark.parametrize("score", ["0", "-7", "5e300", "-inf", "inf"])
def test_junk_among_turns_blocks_nobody(redis_stage: Stage, score: str) -> None:
    """Q-POISON-01: it is set aside with its text, wherever it lay."""
    line = redis_stage.line()
    line.enqueue_many(jobs("acme", 3) + jobs("b", 3))
    junk = ["hello", "x|y", "|", "a|b|5|0|1|0"]
    for text in junk:
        redis_stage.server.cli("ZADD", redis_stage.keys().one("fair"), score, text)
    assert len(bodies(redis_stage, 2)) == 6
    assert bodies(redis_stage) == []
    assert line.stats().dead == len(junk)
    line.enqueue_many(jobs("acme", 2) + jobs("b", 2))
    assert len(bodies(redis_stage)) == 4
    assert fair_names(redis_stage) == set()


def test_turns_are_those_of_the_reference(redis_stage: Stage) -> None:
    """Q-FAIR-01: whatever is done in whatever order, in memory and on the server the same comes."""
    chance = random.Random(seed := random.randrange(1 << 32))
    with qcore.connect("memory://") as connection:
        pair = Pair(redis_stage.line(), connection.queue("work"))
        # From the first tenant on.
        pair.enqueue([NewJob(b"", id="first", tenant="acme")])
        for step in range(150):
            pair.act(chance, f"job{step}")
            assert pair.shown() == [], (seed, step)
        while pair.take(3):
            pair.settle(chance)
    assert fair_names(redis_stage) == set()


class Pair:
    """The same done to two queues."""

    def __init__(self, *lines: Line | qcore.Queue) -> None:
        self.lines = lines
        self.hands: list[tuple[Hand | qcore.Delivery, ...]] = []
        self.ids: list[str] = []

    def act(self, chance: random.Random, name: str) -> None:
        """Do something."""
        tenants = ["acme", "b", "c.d", "acme:x", None]
        act = chance.choice(["enqueue"] * 4 + ["take"] * 3 + ["settle"] * 3 + ["cancel", "redrive"])
        if act == "enqueue":
            jobs = [
                NewJob(
                    b"",
                    id=f"{name}-{number}",
                    tenant=chance.choice(tenants),
                    priority=chance.choice([0, 0, 0, 2]),
                )
                for number in range(chance.randint(1, 6))
            ]
            self.enqueue(jobs)
        elif act == "take":
            self.take(chance.randint(1, 5))
        elif act == "settle":
            self.settle(chance)
        else:
            job_id = chance.choice(self.ids)
            one, other = (
                line.cancel(job_id) if act == "cancel" else line.redrive([job_id])
                for line in self.lines
            )
            assert one == other

    def enqueue(self, jobs: list[NewJob]) -> None:
        """Store jobs."""
        self.ids += [str(job.id) for job in jobs]
        for line in self.lines:
            line.enqueue_many(jobs)

    def take(self, limit: int) -> int:
        """Take jobs; says how many."""
        found = [line.reserve_many(limit, timeout=0, lease=3600) for line in self.lines]
        one, other = ([hand.job.id for hand in hands] for hands in found)
        assert one == other
        self.hands += zip(*found, strict=True)
        return len(one)

    def settle(self, chance: random.Random) -> None:
        """End what is in hand, each delivery in some way."""
        ends: dict[str, Callable[[Hand | qcore.Delivery], object]] = {
            "ack": lambda hand: hand.ack(),
            "release": lambda hand: hand.release(),
            "dead": lambda hand: hand.dead_letter("why"),
        }
        for hands in self.hands:
            verb = chance.choice(["ack", *ends])
            outcomes = list[object]()
            for hand in hands:
                try:
                    outcomes.append(ends[verb](hand))
                except LeaseLost:
                    outcomes.append(LeaseLost)
            assert outcomes[0] == outcomes[1]
        self.hands.clear()

    def shown(self) -> list[str]:
        """In what the two differ."""
        one, other = ([job.id for job in line.peek("ready", 1000)] for line in self.lines)
        return [] if one == other else [f"{one} or {other}"]


@pytest.mark.parametrize("level", [-4, 4])
def test_turns_go_on_after_more_rounds_than_a_queue_can_reach(
    redis_stage: Stage, level: int
) -> None:
    """Q-FAIR-01: the numbers stay exact, far beyond a hundred thousand jobs a second for years."""
    line, keys = redis_stage.line(), redis_stage.keys()
    line.enqueue_many(jobs("acme", 1, priority=level))
    far, place = ROUNDS - 1000, 5 - level
    redis_stage.server.cli("ZADD", keys.one("rounds"), far, place)
    line.enqueue_many(jobs("b", 3, priority=level) + jobs("c", 3, priority=level))
    assert bodies(redis_stage) == ["acme0", "b0", "c0", "b1", "c1", "b2", "c2"]
