"""How many commands the server is asked, and that it may forget its scripts at any time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from qcore import Settlement, Verb
from qcore_conformance.waiting import wait_until
from tests.integration.stage import Stage, held, together

SCRIPTS = ("evalsha", "eval")


def script_calls(stage: Stage) -> int:
    """How often clients had a script run since the statistics were reset."""
    stats = stage.info("commandstats")
    rows = [stats.get(f"cmdstat_{name}", "calls=0") for name in SCRIPTS]
    return sum(int(row.split(",")[0].removeprefix("calls=")) for row in rows)


@contextmanager
def counted(stage: Stage) -> Generator[list[int]]:
    """Count the scripts that are run inside; known when it is left."""
    stage.server.cli("CONFIG", "RESETSTAT")
    count: list[int] = []
    yield count
    count.append(script_calls(stage))


def warm_up(stage: Stage) -> None:
    """Let the server know every script."""
    line = stage.line()
    line.enqueue(b"")
    held(line.reserve(timeout=0)).ack()


def test_a_batch_is_one_script(own_stage: Stage) -> None:
    """Q-BATCH-01, Q-BATCH-02: five hundred jobs go in, out and away by one call each."""
    warm_up(own_stage)
    line = own_stage.line()
    with counted(own_stage) as enqueue:
        line.enqueue_many([b"job"] * 500)
    with counted(own_stage) as reserve:
        hands = line.reserve_many(500, timeout=0)
    with counted(own_stage) as ack:
        assert all(line.ack_many(hand.receipt for hand in hands))
    assert (enqueue, reserve, ack) == ([1], [1], [1])
    assert line.stats().acked == 501


def held_up(stage: Stage, act: Callable[[int], object]) -> int:
    """Do the same five hundred times at once while the server is away; the scripts it then runs."""
    begun: list[int] = []

    def begin(number: int) -> None:
        begun.append(number)
        act(number)

    def all_wait() -> bool:
        used = time.process_time()
        time.sleep(0.2)
        return len(begun) == 500 and time.process_time() - used < 0.005

    with counted(stage) as scripts, ThreadPoolExecutor(1) as pool:
        stage.server.pause()
        try:
            calls = pool.submit(together, 500, begin)
            wait_until(all_wait, within=10.0, what="all have begun")
        finally:
            stage.server.resume()
        calls.result()
    return scripts[0]


def test_callers_at_once_share_round_trips(own_stage: Stage) -> None:
    """Q-THR-01: five hundred enqueues at the same moment, and as many acks, need few calls."""
    warm_up(own_stage)
    line = own_stage.line()
    enqueues = held_up(own_stage, lambda number: line.enqueue(b"%d" % number))
    hands = line.reserve_many(500, timeout=0)
    assert sorted(hand.job.body for hand in hands) == sorted(b"%d" % one for one in range(500))
    acks = held_up(own_stage, lambda number: hands[number].ack())
    assert enqueues <= 50
    assert acks <= 50
    assert line.stats().acked == 501


def test_an_idle_consumer_asks_little(own_stage: Stage) -> None:
    """Q-RES-04: it sleeps on the server, and looks once in one and a half seconds."""
    warm_up(own_stage)
    with counted(own_stage) as looks:
        assert own_stage.line().reserve(timeout=1.0) is None
    assert looks[0] <= 3


def test_the_server_may_forget_its_scripts_at_any_time(own_stage: Stage) -> None:
    """Q-REC-15: a flush before every single operation is not noticed."""
    line = own_stage.line()

    def flush() -> None:
        own_stage.server.cli("SCRIPT", "FLUSH")

    flush()
    line.enqueue_many([b"%d" % number for number in range(6)])
    flush()
    hands = line.reserve_many(6, timeout=0)
    verbs = [Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER, Verb.EXTEND]
    for hand, verb in zip(hands, verbs, strict=False):
        flush()
        assert line.settle_many([Settlement(hand.receipt, verb, seconds=5)]) == [True]
    flush()
    stats = line.stats()
    assert (stats.ready, stats.delayed, stats.held, stats.dead) == (1, 1, 2, 1)
    for state in ("ready", "delayed", "held", "dead"):
        flush()
        assert len(line.peek(state)) == getattr(stats, state)
    flush()
    assert line.redrive() == 1
    flush()
    assert line.purge() == 2
    flush()
    assert line.reserve(timeout=0.2) is None


def test_scripts_are_forgotten_while_everybody_works(own_stage: Stage) -> None:
    """Q-REC-15: under load, too, each job is done once."""
    over = threading.Event()

    def work(number: int) -> list[bytes]:
        if number == 0:
            while not over.is_set():
                own_stage.server.cli("SCRIPT", "FLUSH")
            return []
        line = own_stage.other_line()
        done: list[bytes] = []
        for turn in range(60):
            line.enqueue(b"%d %d" % (number, turn))
            hand = held(line.reserve(timeout=5))
            hand.ack()
            done.append(hand.job.body)
        if number == 1:
            over.set()
        return done

    done = together(4, work)
    assert len({body for bodies in done for body in bodies}) == 180
    assert own_stage.line().stats().acked == 180
