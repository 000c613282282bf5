"""Foreign hands in the data: told clearly, kept to the queue that they touched, and survived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from qcore import Corrupt, Gate, LeaseLost, NewJob
from tests.integration.actors import Hand, Line
from tests.integration.stage import Stage, held, texts

COMMON = ["meta", "leased", "started", "delayed", "jobs", "dead", "graves", "notes"]
OF_TENANTS = ["fair", "rounds"]
OF_GATES = ["slots", "parked", "open", "windows", "rates"]
FURTHER = ["flush", "id:x", "dedup:y"]
OF_LIST = ["ready:0", "ready:-4", "ready:4", "waiters", "lapsed", "claim"]
OF_STREAM = ["new:0", "new:-4", "again:0", "again:4", "bell"]


def key_names(stage: Stage) -> list[str]:
    """Every kind of key of the design."""
    return [*COMMON, *OF_TENANTS, *OF_GATES, *FURTHER, *(OF_LIST if stage.is_list else OF_STREAM)]


def damage(stage: Stage, name: str, queue: str) -> Callable[[], None]:
    """Put something else in the place of a key; returns what brings the key back."""
    tag = stage.keys(queue).tag
    if name == "flush":
        keys = [key for key in stage.names() if key.startswith(f"{tag}:flush:")]
        assert keys
    elif name == "claim":
        owners = texts(stage.server.cli("ZRANGE", f"{tag}:waiters", 0, -1))
        keys = [f"{tag}:claim:{owner}" for owner in owners]
        assert keys
    else:
        keys = [f"{tag}:{name}"]
    there = [key for key in keys if stage.server.cli("EXISTS", key)]
    for key in keys:
        if key in there:
            stage.server.cli("RENAME", key, f"{{{stage.namespace}/{queue}}}saved:{key}")
        stage.server.cli("RPUSH" if name in FURTHER else "SET", key, "something else")

    def repair() -> None:
        for key in keys:
            stage.server.cli("DEL", key)
            if key in there:
                stage.server.cli("RENAME", f"{{{stage.namespace}/{queue}}}saved:{key}", key)

    return repair


def fill(line: Line) -> list[Hand]:
    """Put jobs into every state; returns six that are held."""
    line.enqueue_many([b"held %d" % number for number in range(6)])
    hands = [*line.reserve_many(6, timeout=0)]
    line.enqueue_many([b"dead", b"retried", b"released"])
    dead, retried, released = line.reserve_many(3, timeout=0)
    dead.dead_letter("bad")
    retried.retry(1000, error="once")
    released.release()
    line.enqueue(b"normal")
    line.enqueue(b"low", priority=-4)
    line.enqueue(b"later", delay=1000)
    return hands


def fill_fairly(line: Line) -> Counter[bytes]:
    """Let tenants wait for their turns; returns their jobs."""
    bodies = [b"in turn %d" % number for number in range(4)]
    line.enqueue_many([NewJob(body, tenant=f"t{body[-1] % 2}") for body in bodies])
    line.enqueue(b"in turn later", delay=1000, tenant="t1")
    return Counter([*bodies, b"in turn later"])


GATE = Gate("acme", concurrency=2, rate=1000, window=1000.0)


def fill_behind_a_gate(line: Line) -> Counter[bytes]:
    """Let jobs be held, and wait, that share a gate; returns them."""
    bodies = [b"limited %d" % number for number in range(6)]
    line.enqueue_many([NewJob(body, gate=GATE) for body in bodies])
    assert len(line.reserve_many(6, timeout=0)) == 2
    return Counter(bodies)


FILLED = Counter(
    b"held 0/held 1/held 2/held 3/held 4/held 5/dead/retried/released/normal/low/later".split(b"/")
)


class Work:
    """Everything that can be done to a damaged queue, and what must be there afterwards."""

    def __init__(self, line: Line, hands: list[Hand]) -> None:
        self.line = line
        self.expected = Counter(FILLED)
        self.refusals = 0
        self._hands = hands

    def attempt(self, act: Callable[[], object]) -> bool:
        """Do something; it works, or it says that data is corrupt, and nothing else."""
        try:
            act()
        except Corrupt:
            self.refusals += 1
            return False
        except LeaseLost:
            # What told of corruption may have been done, but never twice.
            return False
        return True

    def enqueue(self, body: bytes, **options: object) -> None:
        """Enqueue; whether it was stored is what it said."""
        if self.attempt(lambda: self.line.enqueue(body, **options)):  # type: ignore[arg-type]
            self.expected[body] += 1

    def ack(self, hand: Hand) -> None:
        """Ack; a job whose ack was refused is still there."""
        if self.attempt(hand.ack):
            self.expected[hand.job.body] -= 1

    def everything(self) -> None:
        """Do all there is to do."""
        self.enqueue(b"new normal")
        self.enqueue(b"new low", priority=-4)
        self.enqueue(b"new high", priority=4)
        self.enqueue(b"new later", delay=1000)
        self.enqueue(b"new named", id="x")
        self.enqueue(b"new unique", dedup="y")
        self.enqueue(b"new in turn", tenant="t1")
        self.enqueue(b"new limited", gate=GATE)
        acked, released, retried, dead, extended, _ = self._hands
        self.ack(acked)
        self.attempt(released.release)
        self.attempt(lambda: retried.retry(1000, error="again"))
        self.attempt(lambda: dead.dead_letter("worse"))
        self.attempt(lambda: extended.extend(60))
        self.attempt(lambda: self.line.reserve_many(3, timeout=0))
        self.attempt(lambda: self.line.reserve_many(20, timeout=0.05))
        self.attempt(lambda: self.line.reserve(timeout=0.05))
        self.attempt(self.line.redrive)
        self.attempt(self.line.stats)
        for state in ("ready", "delayed", "held", "dead"):
            self.attempt(lambda state=state: self.line.peek(state))  # type: ignore[misc]


def drained(stage: Stage, line: Line, queue: str) -> Counter[bytes]:
    """All that a queue still has, in whatever state."""
    come: Counter[bytes] = Counter()
    for _ in range(2):
        stage.let_leases_end(queue)
        stage.let_delays_end(queue)
        line.redrive()
        while found := line.reserve_many(100, timeout=0):
            come.update(hand.job.body for hand in found)
            assert all(line.ack_many(hand.receipt for hand in found))
    return come


def test_a_key_of_another_kind_is_told_and_loses_nothing(
    redis_stage: Stage, subtests: pytest.Subtests
) -> None:
    """Q-REC-18: while it is there, and after it was taken away, for each key of the queue."""
    client = redis_stage.connect(crash_limit=50)
    for number, name in enumerate(key_names(redis_stage)):
        with subtests.test(key=name):
            queue = f"q{number}"
            line = client.queue(queue)
            work = Work(line, fill(line))
            assert line.reserve_many(20, timeout=0)
            if name in OF_TENANTS:
                work.expected += fill_fairly(line)
                held(line.reserve(timeout=0))
            elif name in OF_GATES:
                work.expected += fill_behind_a_gate(line)
            else:
                assert line.reserve(timeout=0) is None
            for hand in line.peek("held"):
                assert hand.job is not None
            repair = damage(redis_stage, name, queue)
            work.everything()
            other = client.queue("other")
            other.enqueue(b"untouched")
            held(other.reserve(timeout=0)).ack()
            repair()
            assert work.refusals > 0
            assert drained(redis_stage, line, queue) == +work.expected
