from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore
from qcore.backend import Enqueue, Enqueued, Flush, Further, JoinTerms, Settle, TakeRequest, Verb
from qcore.clock import ManualClock
from qcore.memory.adapter import MemoryAdapter, MemoryBackend
from qcore.states import State
from tests.unit.qcore.memory.lines import LEASE, Line
from tests.unit.qcore.memory.test_adapter import setup
from tests.unit.qcore.waiting import PATIENCE, eventually

LATE = 5.0
"""Seconds by which nobody must be late."""


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until told."""
    return ManualClock()


@pytest.fixture
def backend(clock: ManualClock) -> MemoryBackend:
    """A connection to a store that nobody else sees, with one job in the queue ``q``."""
    backend = MemoryAdapter().backend(setup(clock=clock))
    backend.enqueue("q", [Enqueue("first", b"")], Flush("enqueue", 1))
    return backend


def take(backend: MemoryBackend) -> str:
    """Take the job for ten seconds; its token."""
    request = TakeRequest(1, round(LEASE * 1000))
    (job,) = backend.take("q", request, Flush("take", 1)).jobs
    return job.token


def further(*places: str) -> list[Further]:
    """Jobs that follow, each as ``queue/id``."""
    pairs = [place.split("/") for place in places]
    return [Further(queue, Enqueue(name, b"", unique=True)) for queue, name in pairs]


def settle(backend: MemoryBackend, *steps: Settle) -> Sequence[bool]:
    """Settle in the queue ``q``, always by the same flush."""
    return backend.settle("q", steps, Flush("settle", 1))


def ready(backend: MemoryBackend, queue: str) -> list[str]:
    """The ids that are ready."""
    return [row.id for row in backend.peek(queue, State.READY, 100, 0)]


def test_an_ack_brings_what_follows_to_each_queue_in_its_order(backend: MemoryBackend) -> None:
    """To its own queue as well, and to one that was not there."""
    what = further("mail/a", "q/again", "mail/b", "log/a")
    assert settle(backend, Settle(take(backend), Verb.ACK, further=what)) == [True]
    assert [ready(backend, queue) for queue in ("mail", "q", "log")] == [
        ["a", "b"],
        ["again"],
        ["a"],
    ]
    assert backend.queues() == ["log", "mail", "q"]
    assert backend.stats("q") == qcore.QueueStats(ready=1, enqueued=2, acked=1)


def test_nothing_follows_a_lease_that_is_over(backend: MemoryBackend, clock: ManualClock) -> None:
    """Somebody else gets the job, and it is followed then."""
    late = take(backend)
    clock.advance(LEASE)
    assert settle(backend, Settle(late, Verb.ACK, further=further("mail/a"))) == [False]
    assert backend.queues() == ["q"]


def test_in_a_batch_each_ack_is_followed_by_its_own(backend: MemoryBackend) -> None:
    """Those that held; the second ack of one delivery held nothing."""
    token = take(backend)
    steps = [
        Settle(token, Verb.ACK, further=further("mail/a")),
        Settle(token, Verb.ACK, further=further("mail/b")),
    ]
    assert settle(backend, *steps) == [True, False]
    assert ready(backend, "mail") == ["a"]


def test_an_ack_that_comes_again_is_followed_once(backend: MemoryBackend) -> None:
    """Its first reply was lost, and what followed may be done by now."""
    ack = Settle(take(backend), Verb.ACK, further=[Further("mail", Enqueue("a", b""))])
    assert settle(backend, ack) == settle(backend, ack) == [True]
    assert backend.stats("mail").enqueued == 1


def test_what_its_queue_knows_is_not_brought(backend: MemoryBackend) -> None:
    """As with any id of a caller."""
    backend.enqueue("mail", [Enqueue("a", b"", unique=True)], Flush("enqueue", 2))
    assert settle(backend, Settle(take(backend), Verb.ACK, further=further("mail/a", "mail/b")))
    assert ready(backend, "mail") == ["a", "b"]
    assert backend.stats("mail").enqueued == 2


def test_what_follows_wakes_who_waits_there(backend: MemoryBackend) -> None:
    """As every enqueue does."""
    token = take(backend)
    with ThreadPoolExecutor(1) as pool:
        asleep = pool.submit(backend.wait, ["mail"], PATIENCE)
        eventually(lambda: backend.sleepers("mail") == 1)
        began = time.monotonic()
        settle(backend, Settle(token, Verb.ACK, further=further("mail/a")))
        asleep.result(PATIENCE)
    assert time.monotonic() - began < LATE


def joined(line: Line, member: str, body: bytes = b"", name: str = "end") -> Enqueued:
    """Ask for a job that two have to ask for, within 100 seconds."""
    job = Enqueue(name, body, unique=True, join=JoinTerms(2, member, 100_000))
    (answer,) = line.queue.enqueue([job], line.clock.time())
    return answer


def test_a_join_stores_what_the_last_one_says() -> None:
    """Once; who was before the last, or comes after it, is told the id alone."""
    line = Line()
    answers = [joined(line, "a", b"1"), joined(line, "a", b"2"), joined(line, "b", b"3")]
    answers += [joined(line, "b", b"4"), joined(line, "a", b"5")]
    assert {answer.id for answer in answers} == {"end"}
    assert [answer.created for answer in answers] == [False, False, True, False, False]
    assert [job.envelope for job in line.take()] == [b"3"]
    assert line.queue.stats().enqueued == 1


def test_a_join_that_waits_is_no_job() -> None:
    """Nothing is counted, and its id is free for a job without a join."""
    line = Line()
    joined(line, "a")
    assert line.queue.stats() == qcore.QueueStats()
    line.queue.enqueue([Enqueue("end", b"plain", unique=True)], line.clock.time())
    assert not joined(line, "b").created
    assert [job.envelope for job in line.take()] == [b"plain"]


def test_who_asked_too_early_is_forgotten() -> None:
    """A hundred seconds after the last who asked."""
    line = Line()
    joined(line, "a")
    line.clock.advance(100.0)
    assert not joined(line, "b").created
    assert joined(line, "a").created
