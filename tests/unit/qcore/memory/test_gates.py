from __future__ import annotations

import pytest

from qcore.backend import Enqueue, GateLimits, QueueStats, Verb
from qcore.states import State
from tests.unit.qcore.memory.lines import Line

TWO = GateLimits("acme", concurrency=2)
OFTEN = GateLimits("smtp", rate=2, window_ms=1000)


def put(line: Line, gate: GateLimits | None, *ids: str, priority: int = 0) -> None:
    """Store jobs that share a gate."""
    line.queue.enqueue([Enqueue(one, b"", priority, gate=gate) for one in ids], line.clock.time())


def test_no_more_are_in_hand_than_the_gate_lets_through() -> None:
    """Others pass, and what waits is ready, in its order, behind what may go out."""
    line = Line()
    put(line, TWO, "a", "b", "c", "d")
    put(line, None, "plain")
    assert line.ids() == ["a", "b", "plain"]
    assert line.look().more is False
    assert line.peek(State.READY) == ["c", "d"]
    assert line.queue.available(line.clock.time()) == 0
    assert line.queue.stats() == QueueStats(ready=2, held=3, enqueued=5)


def test_a_narrow_job_holds_back_the_less_urgent_of_its_gate() -> None:
    """It would wait for as long as wider ones come; nobody is woken for these either."""
    line = Line()
    put(line, TWO, "a", "b", "c")
    first, second = line.take()
    put(line, GateLimits("acme", concurrency=1), "narrow", priority=2)
    put(line, GateLimits("bolt", concurrency=1), "other")
    assert line.ids() == ["other"]
    line.settle(Verb.ACK, first)
    assert line.queue.available(line.clock.time()) == 0
    assert line.look().more is False
    line.settle(Verb.ACK, second)
    assert line.queue.available(line.clock.time()) == 2
    assert line.ids() == ["narrow", "c"]


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.RETRY, Verb.DEAD_LETTER])
def test_each_ending_lets_one_more_through(verb: Verb) -> None:
    """Once, though it is settled twice."""
    line = Line()
    put(line, TWO, "a", "b", "c", "d")
    first, _ = line.take()
    assert line.settle(verb, first, millis=99_000) == [True]
    assert line.settle(verb, first) == [False]
    assert line.queue.available(line.clock.time()) == 1
    assert line.ids() == ["c"]


def test_what_comes_out_of_hands_goes_before_those_that_wait() -> None:
    """Released or lost, the slots of the lost are free."""
    line = Line()
    put(line, TWO, "a", "b", "c")
    _, second = line.take()
    line.settle(Verb.RELEASE, second)
    assert line.ids() == ["b"]
    line.expire()
    assert line.ids() == ["a"]
    assert line.ids() == ["b"]
    assert line.ids() == []


def test_a_window_lets_so_many_through() -> None:
    """And says when the next one begins, for which sleepers wait."""
    line = Line()
    line.clock.advance(0.25)
    put(line, OFTEN, *"abcde")
    taken = line.look()
    assert [job.id for job in taken.jobs] == ["a", "b"]
    assert taken.next_due == pytest.approx(1.0 - line.clock.time() % 1.0, abs=0.001)
    line.settle(Verb.ACK, *taken.jobs)
    assert line.ids() == []
    line.clock.advance(1.0)
    assert line.ids() == ["c", "d"]
    line.clock.advance(5.0)
    assert line.ids() == ["e"]


def test_a_job_that_waits_is_cancelled_and_purged() -> None:
    """And leaves no slot behind."""
    line = Line()
    put(line, TWO, "a", "b", "c", "d", "e")
    line.take()
    assert line.queue.cancel("c") is State.READY
    assert line.queue.cancel("a") is State.HELD
    assert line.ids() == ["d"]
    assert line.queue.purge(State.READY) == 1
    assert line.queue.stats() == QueueStats(held=2, enqueued=5, dropped=3)
