"""Whoever sleeps on a queue is woken by what makes work ready, and by nothing that loses work."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import qcore.consume.reserve
from qcore import Closed, NewJob
from qcore_conformance.waiting import scaled
from qcore_redis import programs
from qcore_redis.ports import settings
from tests.integration.actors import Hand, Line
from tests.integration.stage import PROMPT, Stage, held, together


def asleep(stage: Stage, line: Line, pool: ThreadPoolExecutor) -> Future[tuple[Hand, float]]:
    """A consumer that sleeps on a queue; gives its delivery, and when it came."""
    before = 0 if stage.place.binary is None else stage.blocked()

    def wait() -> tuple[Hand, float]:
        return held(line.reserve(timeout=10)), time.monotonic()

    come = pool.submit(wait)
    stage.wait_asleep(before + 1)
    return come


def test_a_sleeper_wakes_promptly(stage: Stage) -> None:
    """Q-BLOCK-01: the usual time from enqueue to job in hand is a few milliseconds."""
    line, other = stage.line(), stage.other_line()
    took: list[float] = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(15):
            come = asleep(stage, line, pool)
            began = time.monotonic()
            other.enqueue(b"job")
            hand, woken = come.result()
            took.append(woken - began)
            hand.ack()
    assert statistics.median(took) < scaled(0.1)
    assert max(took) < PROMPT


def _low(line: Line) -> None:
    line.enqueue(b"job", priority=-4)


def _high(line: Line) -> None:
    line.enqueue(b"job", priority=4)


def _sooner(line: Line) -> None:
    line.enqueue(b"job", delay=0.01)


def _held(line: Line, priority: int = -2) -> Hand:
    line.enqueue(b"job", priority=priority)
    return held(line.reserve(timeout=0))


EVENTS: dict[str, Callable[[Line], Callable[[], object]]] = {
    "least urgent": lambda line: lambda: _low(line),
    "most urgent": lambda line: lambda: _high(line),
    "due soon": lambda line: lambda: _sooner(line),
    "released": lambda line: _held(line).release,
    "retried": lambda line: _held(line, 0).retry,
}


@pytest.mark.parametrize("event", [*EVENTS, "redriven"])
def test_all_that_makes_work_ready_wakes(stage: Stage, event: str) -> None:
    """Q-BLOCK-01: jobs of every level, due, released, retried and redriven ones."""
    line, other = stage.line(), stage.other_line()
    if event == "redriven":
        _held(other).dead_letter("bad")
        happens: Callable[[], object] = other.redrive
    else:
        happens = EVENTS[event](other)
    with ThreadPoolExecutor(1) as pool:
        come = asleep(stage, line, pool)
        began = time.monotonic()
        happens()
        hand, woken = come.result()
    assert (hand.job.body, woken - began < PROMPT) == (b"job", True)


@pytest.mark.parametrize("priority", [0, -4])
def test_as_many_sleepers_as_jobs_get_one_each(stage: Stage, priority: int) -> None:
    """Q-BLOCK-03: one enqueue of eight jobs wakes all eight, whatever the level."""
    lines = [stage.connect().queue() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        sleepers = [asleep(stage, line, pool) for line in lines]
        began = time.monotonic()
        stage.other_line().enqueue_many([NewJob(b"", priority=priority)] * 8)
        come = [sleeper.result() for sleeper in sleepers]
    assert len({hand.job.id for hand, _ in come}) == 8
    assert max(woken for _, woken in come) - began < 2 * PROMPT


def test_sleepers_of_one_connection_are_woken_too(stage: Stage) -> None:
    """Q-BLOCK-03: eight threads or tasks that share a connection each get a job."""
    line = stage.line()
    with ThreadPoolExecutor(8) as pool:
        sleepers = [asleep(stage, line, pool) for _ in range(8)]
        began = time.monotonic()
        stage.other_line().enqueue_many([b""] * 8)
        come = [sleeper.result() for sleeper in sleepers]
    assert len({hand.job.id for hand, _ in come}) == 8
    assert max(woken for _, woken in come) - began < 2 * PROMPT


def test_no_sleeper_starves(stage: Stage) -> None:
    """Q-BLOCK-03: over a hundred jobs one by one, every one of four consumers gets some."""
    clients = [stage.connect() for _ in range(4)]
    counts = [0] * 4
    done = threading.Semaphore(0)

    def work(number: int) -> None:
        line = clients[number].queue()
        while hand := line.reserve(timeout=10):
            hand.ack()
            if hand.job.body == b"stop":
                return
            counts[number] += 1
            done.release()

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        stage.wait_asleep(4)
        line = stage.other_line()
        for _ in range(100):
            line.enqueue(b"job")
            assert done.acquire(timeout=10)
        line.enqueue_many([b"stop"] * 4)
        for worker in workers:
            worker.result()
    assert sum(counts) == 100
    assert min(counts) > 0


def test_one_queue_does_not_wake_for_another(stage: Stage) -> None:
    """Q-CORE-05: a sleeper gets only what its own queue has."""
    with ThreadPoolExecutor(1) as pool:
        come = asleep(stage, stage.line(), pool)
        stage.line("other").enqueue(b"not for it")
        stage.line().enqueue(b"for it")
        assert come.result()[0].job.body == b"for it"


def test_closing_wakes_a_sleeper(stage: Stage) -> None:
    """Q-CORE-06: a blocked reserve ends as soon as its connection is closed, with an error."""
    client = stage.connect()
    line = client.queue()

    def wait() -> float:
        with pytest.raises(Closed):
            line.reserve(timeout=10)
        return time.monotonic()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(wait)
        stage.wait_asleep()
        began = time.monotonic()
        client.close()
        assert ended.result() - began < PROMPT
        assert time.monotonic() - began < PROMPT
    client.close()
    with pytest.raises(Closed):
        line.enqueue(b"")


def test_leaving_a_consumer_wakes_its_iteration(stage: Stage) -> None:
    """Q-CANCEL-01: close from another thread ends it at once, without an error."""
    flow = stage.line().consume()

    def work() -> list[Hand]:
        with flow as hands:
            return list(hands)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(work)
        stage.wait_asleep()
        began = time.monotonic()
        flow.close()
        assert ended.result() == []
        assert time.monotonic() - began < PROMPT


def test_leaving_a_consumer_gives_back_what_it_did_not_start(stage: Stage) -> None:
    """Q-CLOSE-01: what was taken ahead is ready at once elsewhere, with nothing counted."""
    line, other = stage.line(), stage.other_line()
    bodies = [b"%d" % number for number in range(200)]
    line.enqueue_many(bodies)
    with line.consume() as hands:
        while line.stats().held <= 1:
            next(hands).ack()
    assert line.stats().held == 0
    come = other.reserve_many(200, timeout=0)
    assert [hand.job.body for hand in come] == bodies[line.stats().acked :]
    assert {hand.attempt for hand in come} == {1}


def test_waiting_without_end_outlives_every_timeout(
    redis_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-BLOCK-02: many blocks and more than three socket timeouts long, with no error."""
    monkeypatch.setattr(settings, "SOCKET_TIMEOUT", 0.5)
    monkeypatch.setattr(programs, "LONGEST_BLOCK", 0.4)
    monkeypatch.setattr(qcore.consume.reserve, "LONGEST_WAIT", 0.3)
    line, other = redis_stage.line(), redis_stage.other_line()
    with ThreadPoolExecutor(1) as pool:
        come = pool.submit(line.reserve)
        quiet = threading.Event()
        assert not quiet.wait(1.7)
        other.enqueue(b"at last")
        assert held(come.result()).job.body == b"at last"
    assert other.stats().held == 1


def test_sixteen_threads_share_a_connection(stage: Stage) -> None:
    """Q-THR-01: no reply reaches the wrong caller, and no job is lost or done twice."""
    line = stage.line()

    def work(number: int) -> tuple[list[str], list[tuple[str, bytes]]]:
        made: list[str] = []
        done: list[tuple[str, bytes]] = []
        for turn in range(20):
            body = b"%d %d" % (number, turn)
            made.append(line.enqueue(body, headers={"body": body.decode()}))
            hand = held(line.reserve(timeout=5))
            assert hand.job.headers == {"body": hand.job.body.decode()}
            hand.ack()
            done.append((hand.job.id, hand.job.body))
        return made, done

    come = together(16, work)
    made = sorted(job_id for ids, _ in come for job_id in ids)
    done = sorted(job_id for _, pairs in come for job_id, _ in pairs)
    assert made == done
    assert len(set(made)) == 320
    assert line.stats().acked == 320
