from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore
from qcore.backend import Enqueue, Flush, Settle, Setup, TakeRequest, Verb
from qcore.capabilities import KNOWN
from qcore.clock import Clock, ManualClock, SystemClock
from qcore.errors import InvalidUrl
from qcore.ids import new_nonce
from qcore.memory.adapter import MemoryAdapter, MemoryBackend
from qcore.states import State
from qcore.url import parse_url, split_scheme, typed
from tests.unit.qcore.forking import in_child
from tests.unit.qcore.waiting import PATIENCE, eventually

LATE = 5.0
"""Seconds by which nobody must be late."""


def setup(url: str = "memory://shop", clock: Clock | None = None) -> Setup:
    """What an adapter is opened with."""
    parsed = parse_url(url)
    parts = split_scheme(parsed.scheme, {"memory"})
    params = typed(parsed, MemoryAdapter.parameters)
    owner = new_nonce()
    return Setup(parsed, parts.secure, parts.topology, params, owner, clock or SystemClock())


class Hand:
    """A backend with the numbers of its flushes."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self._number = 0

    def _flush(self, lane: str) -> Flush:
        self._number += 1
        return Flush(lane, self._number)

    def put(self, *ids: str, queue: str = "q", delay: float = 0.0) -> None:
        """Store jobs."""
        jobs = [Enqueue(one, b"", delay_ms=round(delay * 1000)) for one in ids]
        self.backend.enqueue(queue, jobs, self._flush("enqueue"))

    def take(self, limit: int = 1, lease: float = 30.0, queue: str = "q") -> list[str]:
        """Take jobs; their tokens."""
        request = TakeRequest(limit, round(lease * 1000))
        jobs = self.backend.take(queue, request, self._flush("take")).jobs
        return [job.token for job in jobs]

    def settle(self, verb: Verb, *tokens: str, millis: int = 0) -> Sequence[bool]:
        """Settle jobs."""
        steps = [Settle(token, verb, millis) for token in tokens]
        return self.backend.settle("q", steps, self._flush("settle"))


@pytest.fixture
def adapter() -> MemoryAdapter:
    """An adapter whose stores nobody else sees."""
    return MemoryAdapter()


@pytest.fixture
def hand(adapter: MemoryAdapter) -> Hand:
    """A connection to a store."""
    return Hand(adapter.backend(setup()))


def test_connections_to_one_name_share_its_jobs(adapter: MemoryAdapter) -> None:
    """Other names and namespaces see nothing of them."""
    mine, yours = (Hand(adapter.backend(setup())) for _ in range(2))
    mine.put("a")
    for url in ("memory://other", "memory://shop/deep", "memory://shop?namespace=x", "memory://"):
        other = Hand(adapter.backend(setup(url)))
        assert other.take() == []
        assert other.backend.queues() == []
    (token,) = yours.take()
    assert mine.settle(Verb.ACK, token) == [True]


def test_a_store_without_a_name_belongs_to_one_connection(adapter: MemoryAdapter) -> None:
    """With all the sessions that it opens, as the one for heartbeats."""
    mine, yours = setup("memory://"), setup("memory://")
    first, twin, other = (Hand(adapter.backend(one)) for one in (mine, mine, yours))
    first.put("a")
    assert other.take() == []
    assert len(twin.take()) == 1


def test_a_store_is_gone_when_its_last_connection_is_closed(adapter: MemoryAdapter) -> None:
    """Whether or not somebody still holds on to what was closed."""
    first, second = (Hand(adapter.backend(setup())) for _ in range(2))
    first.put("a")
    first.backend.close()
    first.backend.close()
    third = Hand(adapter.backend(setup()))
    assert third.backend.stats("q").ready == 1
    second.backend.close()
    third.backend.close()
    assert Hand(adapter.backend(setup())).backend.stats("q").ready == 0


def test_a_store_that_nobody_closed_is_gone_with_its_connections(adapter: MemoryAdapter) -> None:
    """Forgetting to close costs no memory for ever."""
    Hand(adapter.backend(setup())).put("a")
    gc.collect()
    assert Hand(adapter.backend(setup())).backend.stats("q").ready == 0


@pytest.mark.parametrize(
    "url",
    [
        "memorys://shop",
        "memory+unix:///shop",
        "memory+embedded://shop",
        "memory://user@shop",
        "memory://:password@shop",
        "memory://shop:80",
        "memory://shop,other",
    ],
)
def test_a_url_that_says_more_than_a_name_is_refused(adapter: MemoryAdapter, url: str) -> None:
    """A promise such as TLS would be dropped silently otherwise."""
    with pytest.raises(InvalidUrl, match="name and nothing else"):
        adapter.backend(setup(url))


def test_queues_are_those_that_jobs_went_to(hand: Hand) -> None:
    """Looking, taking or waiting makes none."""
    hand.take(queue="taken")
    hand.backend.wait(["waited"], 0.0)
    hand.backend.stats("counted")
    hand.backend.peek("looked", State.READY, 1, 0)
    hand.backend.purge("purged", State.READY)
    hand.put(queue="emptily")
    assert hand.backend.queues() == []
    hand.put("a", queue="b")
    hand.put("a", queue="a")
    assert hand.backend.queues() == ["a", "b"]


def test_a_flush_that_comes_again_takes_effect_once(hand: Hand) -> None:
    """Its answer is forgotten with its connection."""
    backend, request = hand.backend, TakeRequest(1, 1000)
    first = backend.enqueue("q", [Enqueue("a", b"")], Flush("enqueue", 1))
    assert backend.enqueue("q", [Enqueue("a", b"")], Flush("enqueue", 1)) == first
    assert backend.stats("q").enqueued == 1
    taken = backend.take("q", request, Flush("take", 1))
    assert backend.take("q", request, Flush("take", 1)) == taken
    assert backend.take("q", request, Flush("take", 2)).jobs == []


def test_a_take_that_comes_again_gives_what_still_holds(adapter: MemoryAdapter) -> None:
    """With leases that begin anew; what went to somebody else is not given twice."""
    clock = ManualClock()
    mine, yours = (Hand(adapter.backend(setup(clock=clock))) for _ in range(2))
    mine.put("a", "b")
    request = TakeRequest(2, 10_000)
    first = mine.backend.take("q", request, Flush("lost", 1)).jobs
    clock.advance(9.0)
    assert mine.backend.take("q", request, Flush("lost", 1)).jobs == first
    clock.advance(9.0)
    assert yours.take(2) == []
    clock.advance(1.0)
    (token,) = yours.take(1)
    again = mine.backend.take("q", request, Flush("lost", 1)).jobs
    assert [job.id for job in again] == []
    assert yours.settle(Verb.ACK, token) == [True]


def asleep(hand: Hand, timeout: float = PATIENCE, queue: str = "q") -> threading.Thread:
    """A thread that waits for work."""
    thread = threading.Thread(target=hand.backend.wait, args=([queue], timeout))
    thread.start()
    eventually(lambda: hand.backend.sleepers(queue) or not thread.is_alive())
    return thread


def join(*threads: threading.Thread) -> None:
    """Wait for the end of threads, which must not be late."""
    for thread in threads:
        thread.join(LATE)
        assert not thread.is_alive()


def test_waiting_ends_at_once_where_there_is_work(hand: Hand) -> None:
    """Ready, due, or left by a dead holder."""
    hand.put("a")
    join(asleep(hand))
    hand.take(lease=0.001)
    join(asleep(hand))


def test_waiting_ends_after_its_time(hand: Hand) -> None:
    """Not before, and without an error."""
    began = time.monotonic()
    hand.backend.wait(["q"], 0.02)
    assert time.monotonic() - began >= 0.02


def test_waiting_ends_when_work_comes(adapter: MemoryAdapter) -> None:
    """From another connection, by every way that makes a job ready."""
    waiter, other = (Hand(adapter.backend(setup())) for _ in range(2))
    thread = asleep(waiter)
    other.put("a")
    join(thread)
    (token,) = other.take()
    thread = asleep(waiter)
    other.settle(Verb.RELEASE, token)
    join(thread)
    (token,) = other.take()
    thread = asleep(waiter)
    other.settle(Verb.DEAD_LETTER, token)
    assert thread.is_alive()
    other.backend.redrive("q", None)
    join(thread)


def test_waiting_ends_when_a_job_becomes_due(hand: Hand) -> None:
    """Also one that came after the wait began, or a lease that ends by then."""
    hand.put("later", delay=0.01)
    join(asleep(hand))
    hand.take()
    thread = asleep(hand)
    hand.put("sooner", delay=0.01)
    join(thread)
    hand.take()
    hand.put("held")
    thread = asleep(hand)
    join(thread)
    hand.take(lease=0.01)
    join(asleep(hand))


def test_each_job_wakes_one_of_many(adapter: MemoryAdapter) -> None:
    """A thousand sleepers are not woken to fight for one job."""
    waiter = Hand(adapter.backend(setup()))
    threads = [asleep(waiter) for _ in range(5)]
    waiter.put("a", "b")
    eventually(lambda: sum(thread.is_alive() for thread in threads) == 3)
    assert waiter.backend.sleepers("q") == 3
    waiter.backend.interrupt()
    join(*threads)


def test_the_first_to_come_is_the_first_to_be_woken(hand: Hand) -> None:
    """Nobody starves."""
    threads = [asleep(hand) for _ in range(3)]
    for number, thread in enumerate(threads):
        hand.put(f"j{number}")
        join(thread)
        assert len(hand.take()) == 1


def test_a_signal_given_to_one_who_left_is_made_up_for(hand: Hand) -> None:
    """By the next thing that happens in the queue."""
    first, second = asleep(hand), asleep(hand)
    hand.put("a")
    join(first)
    assert second.is_alive()
    hand.backend.stats("q")
    join(second)


def test_sleepers_of_other_queues_sleep_on(hand: Hand) -> None:
    """They are not concerned."""
    thread = asleep(hand, queue="other")
    for number in range(10):
        hand.put(f"j{number}")
    assert thread.is_alive()
    hand.put("a", queue="other")
    join(thread)


def test_interrupting_wakes_the_waiters_of_one_connection(adapter: MemoryAdapter) -> None:
    """And only those."""
    mine, yours = (Hand(adapter.backend(setup())) for _ in range(2))
    first, second = asleep(mine), asleep(yours)
    mine.backend.interrupt()
    join(first)
    assert second.is_alive()
    yours.backend.interrupt()
    join(second)


def test_nobody_is_left_in_the_books_who_woke(hand: Hand) -> None:
    """By time, by work or by interruption."""
    hand.backend.wait(["q", "r"], 0.001)
    thread = asleep(hand)
    hand.backend.interrupt()
    join(thread)
    assert (hand.backend.sleepers("q"), hand.backend.sleepers("r")) == (0, 0)


def test_threads_share_a_connection_without_losing_jobs(hand: Hand) -> None:
    """Each job is acked by one of them."""
    everything = [f"j{number}" for number in range(400)]

    def work(start: int) -> list[str]:
        mine = Hand(hand.backend)
        lane = f"lane{start}"
        done: list[str] = []
        for number in range(1000):
            request = TakeRequest(3, 30_000)
            jobs = mine.backend.take("q", request, Flush(lane, number + 1)).jobs
            steps = [Settle(job.token, Verb.ACK) for job in jobs]
            flush = Flush(f"{lane}.settle", number + 1)
            assert all(mine.backend.settle("q", steps, flush))
            done += [job.id for job in jobs]
        return done

    hand.put(*everything)
    with ThreadPoolExecutor(4) as pool:
        done = [one for part in pool.map(work, range(4)) for one in part]
    assert sorted(done) == sorted(everything)
    assert hand.backend.stats("q").acked == 400


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_begins_with_an_empty_store() -> None:
    """The jobs are the parent's, which would be worked on twice otherwise."""
    with qcore.connect("memory://family") as connection:
        queue = connection.queue("q")
        queue.enqueue(b"the parent's")

        def work() -> str:
            before = queue.stats().ready
            queue.enqueue(b"the child's")
            delivery = queue.reserve(timeout=0)
            return f"{before} {delivery and delivery.job.body.decode()}"

        assert in_child(work) == "0 the child's"
        assert queue.stats().ready == 1


def test_the_adapter_says_what_it_is(adapter: MemoryAdapter) -> None:
    """Every capability is claimed or refused with a reason."""
    backend = adapter.backend(setup())
    promises = backend.open()
    assert promises == adapter.promises()
    assert {*promises.claims, *promises.refusals} == set(KNOWN)
    assert backend.health() == {"latency": 0.0}
    assert backend.native(object) is None
    assert backend.classify(ValueError()) is None
