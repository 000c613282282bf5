from __future__ import annotations

from qcore.backend import Enqueue, QueueStats, Verb
from qcore.memory.rounds import Rounds
from qcore.states import State
from tests.unit.qcore.memory.lines import Line


def move(source: Line, target: Line, state: State, limit: int | None = None) -> int:
    """Move jobs, by the clock of the source."""
    return source.queue.move_to(target.queue, state, limit, source.clock.time())


def test_what_is_ready_goes_behind_what_waits() -> None:
    """In order, as many as asked for, and each queue counts what it has."""
    source, target = Line(), Line()
    target.put("there")
    source.put("a", "b", "c")
    source.put("urgent", priority=1)
    assert move(source, target, State.READY, 3) == 3
    assert target.peek(State.READY) == ["urgent", "there", "a", "b"]
    assert source.queue.stats() == QueueStats(ready=1, enqueued=1)
    assert target.queue.stats() == QueueStats(ready=4, enqueued=4)


def test_what_is_delayed_or_dead_goes_as_well() -> None:
    """The one is due when it was, the other is ready, and what is in hand stays."""
    source, target = Line(), Line()
    source.put("later", delay=5.0)
    source.put("dead", "held")
    dead, _ = source.take(2)
    source.settle(Verb.DEAD_LETTER, dead)
    assert [move(source, target, state) for state in (State.DELAYED, State.DEAD)] == [1, 1]
    (again,) = target.take()
    assert (again.id, again.number, again.attempt) == ("dead", 2, 1)
    target.clock.advance(5.0)
    assert target.ids() == ["later"]
    assert source.queue.stats() == QueueStats(held=1, enqueued=1)


def test_one_that_is_known_there_stays_and_one_that_left_may_come_back() -> None:
    """Its id is known in both queues, as long as it was."""
    source, target = Line(window=60.0), Line(window=60.0)
    jobs = [Enqueue(one, b"", unique=True) for one in ("a", "b")]
    source.queue.enqueue(jobs, source.clock.time())
    target.queue.enqueue(jobs[:1], target.clock.time())
    assert target.ids() == ["a"]
    assert move(source, target, State.READY) == 1
    assert source.peek(State.READY) == ["a"]
    for line in (source, target):
        assert not line.queue.enqueue(jobs[1:], line.clock.time())[0].created
    assert move(target, source, State.READY) == 1
    assert move(source, target, State.READY) == 1
    target.clock.advance(60.0)
    assert target.queue.enqueue(jobs[1:], target.clock.time())[0].created


def test_rounds_forget_those_who_left_together() -> None:
    """Nobody owes for what was taken out, and nothing is left behind the last."""
    rounds = Rounds[str]()
    items = [f"a{number}" for number in range(4)]
    for item in items:
        rounds.append("a", item)
    rounds.append("b", "b0")
    rounds.remove_all(set(items[1:]))
    rounds.append("a", "anew")
    assert [rounds.popleft() for _ in range(3)] == ["a0", "b0", "anew"]
    rounds.append("a", "last")
    rounds.remove_all({"last"})
    assert rounds == Rounds[str]()
