from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qcore.backend import Enqueue, Flush, QueueStats, Settle, Taken, TakenJob, Verb
from qcore.states import INSPECTABLE, State
from tests.unit.qcore.memory.lines import LEASE, Line


def test_jobs_come_in_the_order_in_which_they_went_in() -> None:
    """Within one level."""
    line = Line()
    line.put("a", "b", "c")
    assert line.ids(2) == ["a", "b"]
    assert line.ids() == ["c"]
    assert line.ids() == []


def test_urgent_jobs_come_first() -> None:
    """In order within each level, and only as many as asked for."""
    line = Line()
    line.put("low", priority=-4)
    line.put("a", "b")
    line.put("high", priority=4)
    assert line.ids(3) == ["high", "a", "b"]
    assert line.ids() == ["low"]


def test_an_answer_says_what_is_left() -> None:
    """Whether more is there, and when the next one is due."""
    line = Line()
    line.put("a", "b")
    assert line.look(1).more
    assert not line.look(1).more
    assert line.look().next_due == pytest.approx(LEASE)
    line.put("later", delay=3.0)
    assert line.look().next_due == pytest.approx(3.0)
    assert Line().look() == Taken([], more=False, next_due=None)


def test_a_delayed_job_is_due_at_its_time_and_before_new_ones() -> None:
    """Not a moment earlier."""
    line = Line()
    line.put("later", delay=5.0)
    line.put("sooner", delay=2.0)
    assert line.ids() == []
    assert line.peek(State.DELAYED) == ["sooner", "later"]
    line.clock.advance(1.999)
    assert line.ids() == []
    line.clock.advance(3.001)
    line.put("new")
    assert line.queue.available(line.clock.time()) == 3
    assert line.ids() == ["sooner", "later", "new"]


def test_a_moment_in_the_past_is_now() -> None:
    """And one in the future is judged by the clock of the queue."""
    line = Line()
    now = round(line.clock.time() * 1000)
    jobs = [Enqueue("past", b"", at_ms=now - 5000), Enqueue("future", b"", at_ms=now + 5000)]
    line.queue.enqueue(jobs, line.clock.time())
    assert line.ids() == ["past"]
    line.clock.advance(5.0)
    assert line.ids() == ["future"]


def test_delivery_numbers_grow_and_fence_each_other() -> None:
    """A settle with an old token changes nothing."""
    line = Line()
    line.put("a")
    (first,) = line.take()
    line.settle(Verb.RELEASE, first)
    (second,) = line.take()
    assert (first.number, second.number) == (1, 2)
    for verb in Verb:
        assert line.settle(verb, first) == [False]
    assert line.settle(Verb.ACK, second) == [True]
    assert line.settle(Verb.ACK, second) == [False]


def test_a_batch_of_settles_reports_each() -> None:
    """Verbs may be mixed, and an unknown token harms no other."""
    line = Line()
    line.put("a", "b")
    a, b = line.take()
    steps = [Settle("x|1|y", Verb.ACK), Settle(a.token, Verb.ACK), Settle(b.token, Verb.RETRY, 0)]
    assert line.queue.settle(steps, line.clock.time()) == [False, True, True]
    assert line.ids() == ["b"]


def test_released_jobs_come_back_at_the_head_in_their_order() -> None:
    """At once, and not counted."""
    line = Line()
    line.put("a", "b", "c")
    a, b = line.take(2)
    assert line.settle(Verb.RELEASE, a, b) == [True, True]
    again = line.take()
    assert [job.id for job in again] == ["a", "b", "c"]
    assert {(job.attempt, job.crashes, job.alone) for job in again} == {(1, 0, False)}


def test_retried_jobs_come_back_after_their_delay_with_one_more_attempt() -> None:
    """And what went wrong is kept."""
    line = Line()
    line.put("a", "b")
    a, _ = line.take()
    line.settle(Verb.RETRY, a, millis=2000, note="no network")
    assert line.ids() == []
    assert line.queue.peek(State.DELAYED, 1, 0, line.clock.time())[0].note == "no network"
    line.clock.advance(2.0)
    (again,) = line.take()
    assert (again.id, again.attempt, again.crashes) == ("a", 2, 0)


def test_a_lease_hides_a_job_until_it_ends() -> None:
    """Then it goes to somebody else, who is told of the crash."""
    line = Line()
    line.put("a")
    (first,) = line.take()
    line.clock.advance(LEASE - 0.001)
    assert line.ids() == []
    line.clock.advance(0.001)
    assert line.settle(Verb.ACK, first) == [False]
    (second,) = line.take(owner="other")
    assert (second.number, second.attempt, second.crashes, second.alone) == (2, 2, 1, True)


def test_an_extended_lease_counts_from_now() -> None:
    """And may be made shorter."""
    line = Line()
    line.put("a", "b")
    a, b = line.take()
    line.clock.advance(8.0)
    assert line.settle(Verb.EXTEND, a, millis=10_000) == [True]
    assert line.settle(Verb.EXTEND, b, millis=1000) == [True]
    line.clock.advance(1.0)
    assert line.ids() == ["b"]
    line.clock.advance(8.999)
    assert line.ids() == []
    line.clock.advance(0.001)
    assert line.settle(Verb.EXTEND, a, millis=10_000) == [False]


def test_the_end_of_a_lease_that_had_not_started_costs_no_attempt() -> None:
    """Unless the start was marked."""
    line = Line()
    line.put("a", "b")
    _, b = line.take(started=False)
    assert line.settle(Verb.START, b) == [True]
    line.expire()
    again = [*line.take(), *line.take()]
    assert [(job.id, job.attempt, job.crashes) for job in again] == [("a", 1, 0), ("b", 2, 1)]


def test_a_job_that_was_in_dying_hands_goes_out_alone() -> None:
    """In front of others and behind them."""
    line = Line()
    line.put("bad")
    line.take()
    line.expire()
    line.put("urgent", priority=1)
    line.put("good")
    assert [line.ids(), line.ids(), line.ids()] == [["urgent"], ["bad"], ["good"]]


def test_a_job_that_kills_its_workers_is_set_aside() -> None:
    """After as many crashes as allowed, with the reason."""
    line = Line(crash_limit=3)
    line.put("bad")
    for crashes in range(3):
        (job,) = line.take()
        assert (job.crashes, job.attempt) == (crashes, crashes + 1)
        line.expire()
    assert line.ids() == []
    (row,) = line.queue.peek(State.DEAD, 1, 0, line.clock.time())
    assert row.note == "its worker died 3 times"


def test_a_job_whose_deliveries_are_lost_is_set_aside() -> None:
    """After many, though nobody says that it had started."""
    line = Line(crash_limit=100, delivery_cap=4)
    line.put("bad")
    for _ in range(4):
        assert line.ids() == ["bad"]
        line.expire()
    assert line.ids() == []
    (row,) = line.queue.peek(State.DEAD, 1, 0, line.clock.time())
    assert row.note == "4 deliveries were lost"


def test_dead_jobs_come_back_when_told_with_a_clean_record() -> None:
    """All or some; the delivery number goes on."""
    line = Line()
    line.put("a", "b", "c")
    jobs = line.take()
    line.settle(Verb.DEAD_LETTER, *jobs, note="no such user")
    assert line.queue.redrive(["b", "unknown"]) == 1
    assert line.queue.redrive(None) == 2
    again = line.take()
    assert [job.id for job in again] == ["b", "a", "c"]
    assert {(job.number, job.attempt, job.crashes) for job in again} == {(2, 1, 0)}


def test_dead_jobs_can_be_removed_by_name() -> None:
    """And are counted as dropped."""
    line = Line()
    line.put("a", "b")
    line.settle(Verb.DEAD_LETTER, *line.take())
    assert line.queue.remove(["a", "a", "x"]) == 1
    assert line.peek(State.DEAD) == ["b"]
    assert line.queue.stats() == QueueStats(dead=1, enqueued=2, dropped=1)


@pytest.mark.parametrize("state", [State.READY, State.DELAYED, State.DEAD])
def test_purging_drops_one_state_only(state: State) -> None:
    """And says how many jobs there were."""
    line = Line()
    line.put("dead")
    line.settle(Verb.DEAD_LETTER, *line.take())
    line.put("held")
    line.take()
    line.put("ready", priority=2)
    line.put("delayed", delay=5.0)
    assert line.queue.purge(state) == 1
    assert line.peek(state) == []
    others = {State.READY, State.DELAYED, State.HELD, State.DEAD} - {state}
    assert {other: line.peek(other) for other in others} == {
        other: [other.value] for other in others
    }


def test_looking_changes_nothing() -> None:
    """Pages are cut from the order in which jobs would come."""
    line = Line()
    line.put("a", "b", "c", "d")
    line.put("first", priority=1)
    before = line.queue.stats()
    page = line.queue.peek(State.READY, 2, 1, line.clock.time())
    assert [(row.id, row.stored, row.due_in) for row in page] == [
        ("a", b"a", None),
        ("b", b"b", None),
    ]
    assert line.queue.stats() == before
    assert line.ids() == ["first", "a", "b", "c", "d"]
    (held, *_) = line.queue.peek(State.HELD, 10, 0, line.clock.time())
    assert held.due_in == pytest.approx(LEASE)


def outcomes(line: Line, *jobs: Enqueue) -> list[tuple[str, bool]]:
    """What became of jobs."""
    return [(one.id, one.created) for one in line.queue.enqueue(jobs, line.clock.time())]


def test_an_id_is_known_for_a_window() -> None:
    """Also when its job is done; ids that were not chosen are not checked."""
    line = Line(window=60.0)
    job = Enqueue("mine", b"", unique=True)
    assert outcomes(line, job, job) == [("mine", True), ("mine", False)]
    line.settle(Verb.ACK, *line.take())
    line.clock.advance(59.9)
    assert outcomes(line, job) == [("mine", False)]
    line.clock.advance(0.1)
    assert outcomes(line, job) == [("mine", True)]
    anybody = Enqueue("same", b"")
    assert outcomes(line, anybody, anybody) == [("same", True), ("same", True)]


def test_a_dedup_key_gives_the_first_id() -> None:
    """Ids and keys do not meet, though they be the same text."""
    line = Line()
    assert outcomes(line, Enqueue("a", b"", dedup="k"), Enqueue("b", b"", dedup="k")) == [
        ("a", True),
        ("a", False),
    ]
    assert outcomes(line, Enqueue("k", b"", unique=True)) == [("k", True)]
    assert line.queue.stats().enqueued == 2


def test_a_replayed_flush_gives_the_first_answer() -> None:
    """And changes nothing, for each lane and owner by itself."""
    line = Line()
    calls: list[int] = []

    def act() -> int:
        calls.append(1)
        return len(calls)

    def once(owner: str, lane: str, number: int) -> int:
        return line.queue.once(owner, Flush(lane, number), act)

    assert [once("me", "take", 1), once("me", "take", 1), once("me", "take", 2)] == [1, 1, 2]
    assert [once("me", "settle", 2), once("you", "take", 2), once("me", "take", 2)] == [3, 4, 2]
    line.queue.forget_owner("me")
    assert [once("me", "take", 2), once("you", "take", 2)] == [5, 4]


def test_an_act_that_fails_leaves_no_answer() -> None:
    """It was not done, so that it is done when it comes again."""
    line = Line()
    with pytest.raises(ZeroDivisionError):
        line.queue.once("me", Flush("take", 1), lambda: 1 // 0)
    assert line.queue.once("me", Flush("take", 1), lambda: 7) == 7


class Conservation(RuleBasedStateMachine):
    """Whatever is done to a queue, its jobs are somewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.line = Line(crash_limit=2, delivery_cap=3)
        self.held: list[TakenJob] = []
        self.count = 0

    @rule(
        priority=st.integers(-4, 4), delay=st.sampled_from([0.0, 0.0, 3.0]), many=st.integers(1, 4)
    )
    def put(self, priority: int, delay: float, many: int) -> None:
        """Store jobs."""
        ids = [f"j{self.count + number}" for number in range(many)]
        self.count += many
        self.line.put(*ids, priority=priority, delay=delay)

    @rule(limit=st.integers(1, 5), started=st.booleans())
    def take(self, limit: int, *, started: bool) -> None:
        """Take jobs; no more than the queue says are there."""
        available = self.line.queue.available(self.line.clock.time())
        taken = self.line.look(limit, started=started)
        assert len(taken.jobs) <= min(limit, available)
        assert taken.more == bool(self.line.queue.stats().ready)
        self.held += taken.jobs

    @precondition(lambda self: self.held)
    @rule(data=st.data(), verb=st.sampled_from(Verb), millis=st.sampled_from([0, 2000]))
    def settle(self, data: st.DataObject, verb: Verb, millis: int) -> None:
        """Settle some of what was ever taken, in hand or not."""
        jobs: Sequence[TakenJob] = data.draw(st.lists(st.sampled_from(self.held), max_size=3))
        self.line.settle(verb, *jobs, millis=millis)

    @rule(seconds=st.sampled_from([0.5, 3.0, LEASE]))
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.line.clock.advance(seconds)

    @rule(state=st.sampled_from([State.READY, State.DELAYED, State.DEAD]))
    def purge(self, state: State) -> None:
        """Drop jobs."""
        self.line.queue.purge(state)

    @rule()
    def redrive(self) -> None:
        """Bring dead jobs back."""
        self.line.queue.redrive(None)

    @invariant()
    def all_jobs_are_somewhere(self) -> None:
        """Counted once each, and peek shows what stats count."""
        stats = self.line.queue.stats()
        waiting = stats.ready + stats.delayed + stats.held + stats.dead
        assert stats.enqueued == self.count == waiting + stats.acked + stats.dropped
        shown = {state: self.line.queue.peek(state, 1000, 0, 0.0) for state in INSPECTABLE}
        counts = [len(shown[state]) for state in INSPECTABLE]
        assert counts == [stats.ready, stats.delayed, stats.held, stats.dead]
        assert len({row.id for rows in shown.values() for row in rows}) == waiting


TestConservation = Conservation.TestCase
TestConservation.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_a_paused_queue_is_as_if_nobody_asked() -> None:
    """Nothing is taken, recovered or promoted; all of it happens at the first take afterwards."""
    line = Line()
    line.put("a", "b")
    (held,) = line.take(1)
    line.put("c", delay=1.0)
    line.queue.pause()
    line.expire()
    assert line.look() == Taken([])
    assert line.queue.available(line.clock.time()) == 0
    assert line.queue.next_due(line.clock.time()) is None
    assert line.settle(Verb.ACK, held) == [False]
    assert line.queue.stats() == QueueStats(ready=1, delayed=1, held=1, enqueued=3, paused=True)
    line.queue.resume()
    assert line.queue.available(line.clock.time()) == 3


def test_a_job_is_cancelled_wherever_it_is() -> None:
    """Once, counted, and with its state as the answer."""
    line = Line()
    line.put("held", "dead")
    held, dead = line.take()
    line.settle(Verb.DEAD_LETTER, dead)
    line.put("ready", "other")
    line.put("delayed", delay=5.0)
    for name in ("ready", "delayed", "held", "dead"):
        assert line.queue.cancel(name) is State(name)
        assert line.queue.cancel(name) is None
    assert line.settle(Verb.ACK, held) == [False]
    assert line.queue.stats() == QueueStats(ready=1, enqueued=5, dropped=4)


def test_tenants_take_turns_and_what_was_in_hand_goes_first() -> None:
    """Whatever became due waits neither behind its tenant nor before the others."""
    line = Line()
    line.put("plain")
    jobs = [Enqueue(f"a{number}", b"", tenant="a") for number in range(3)]
    due = [Enqueue(f"late{number}", b"", delay_ms=1000, tenant="a") for number in range(2)]
    line.queue.enqueue([*jobs, *due, Enqueue("b0", b"", tenant="b")], line.clock.time())
    line.put("nobody0", "nobody1")
    assert line.peek(State.READY) == ["plain", "a0", "b0", "nobody0", "a1", "nobody1", "a2"]
    plain, first = line.take(2)
    line.settle(Verb.RELEASE, first)
    line.settle(Verb.DEAD_LETTER, plain)
    line.clock.advance(1.0)
    assert line.queue.redrive(None) == 1
    assert line.ids(1) == ["a0"]
    expected = ["b0", "nobody0", "late0", "a1", "nobody1", "late1", "a2", "plain"]
    assert line.ids() == expected
    assert line.queue.stats().ready == 0


def test_a_job_that_nobody_takes_in_time_is_dropped() -> None:
    """Counted from when it is due, until it was taken for the first time."""
    line = Line()
    jobs = [
        Enqueue("kept", b"", ttl_ms=1000),
        Enqueue("late", b"", ttl_ms=1000),
        Enqueue("due", b"", delay_ms=2000, ttl_ms=1000),
        Enqueue("plain", b""),
    ]
    line.queue.enqueue(jobs, line.clock.time())
    (kept,) = line.take(1)
    line.clock.advance(1.0)
    line.settle(Verb.RELEASE, kept)
    assert line.ids(2) == ["kept", "plain"]
    line.clock.advance(1.5)
    assert line.ids() == ["due"]
    assert line.queue.stats() == QueueStats(held=3, enqueued=4, dropped=1)


def test_a_delayed_job_is_rescheduled() -> None:
    """With the time that it has once it is due; others are left alone."""
    line = Line()
    line.put("ready")
    jobs = [Enqueue("a", b"", delay_ms=9000, ttl_ms=1000), Enqueue("b", b"", delay_ms=5000)]
    line.queue.enqueue(jobs, line.clock.time())
    now = line.clock.time()
    assert line.queue.reschedule("a", now + 3.0, now)
    assert not line.queue.reschedule("ready", now + 3.0, now)
    assert not line.queue.reschedule("unknown", now + 3.0, now)
    assert line.peek(State.DELAYED) == ["a", "b"]
    assert line.ids() == ["ready"]
    line.clock.advance(3.5)
    assert line.ids() == ["a"]
