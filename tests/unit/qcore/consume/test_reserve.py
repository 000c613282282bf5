from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from qcore.backend import Settle, Taken, TakenJob, Verb
from qcore.clock import ManualClock
from qcore.consume.commit import Pause
from qcore.consume.reserve import (
    LONGEST_WAIT,
    Discard,
    Found,
    Take,
    Wait,
    reserving,
    shares,
)
from qcore.errors import Closed, Indeterminate, Rejected, Unavailable

NOTHING = Taken([])
AWAY = Unavailable("away")


def job(name: str) -> TakenJob:
    """A job that was taken; those whose name begins with ``bad`` are not fit."""
    return TakenJob(token=f"{name}|1|me", id=name, envelope=b"")


def admit(found: Found) -> tuple[list[str], list[Settle]]:
    """Sort by name."""
    names = [one.id for one in found.taken.jobs]
    bad = [Settle(f"{name}|1|me", Verb.DEAD_LETTER) for name in names if name.startswith("bad")]
    return [name for name in names if not name.startswith("bad")], bad


class Search:
    """A reserve loop, driven by hand; waits and pauses pass on a manual clock."""

    def __init__(self, timeout: float | None) -> None:
        self.clock = ManualClock()
        self.result: list[str] | None = None
        program = reserving(timeout, self.clock.monotonic, admit)
        self._program: Generator[Any, Any, list[str]] = program
        self.step: Any = next(program)

    def reply(self, value: object = None) -> None:
        """Answer the step; those that take time let it pass first."""
        if isinstance(self.step, Wait | Pause):
            self.clock.advance(self.step.seconds)
        try:
            self.step = self._program.send(value)
        except StopIteration as end:
            self.step, self.result = None, end.value

    def found(self, taken: Taken) -> None:
        """Answer a take."""
        assert isinstance(self.step, Take)
        self.reply(Found(taken, self.clock.monotonic()))

    def fail(self, error: Exception) -> None:
        """Let the step fail."""
        self.step = self._program.throw(error)

    def fail_for_ever(self, error: Exception) -> None:
        """Let every step fail."""
        while True:
            self.fail(error)
            self.pause()

    def wait(self) -> float:
        """Let the wait end; its seconds."""
        assert isinstance(self.step, Wait)
        seconds = self.step.seconds
        self.reply()
        return seconds

    def pause(self) -> float:
        """Let the pause end, with the word to go on; its seconds."""
        assert isinstance(self.step, Pause)
        seconds = self.step.seconds
        self.reply(value=True)
        return seconds


def test_what_is_there_is_given_at_once() -> None:
    """Nothing is waited for, and no more is asked for."""
    search = Search(timeout=5.0)
    search.found(Taken([job("a"), job("b")], more=True))
    assert search.result == ["a", "b"]


def test_nothing_within_no_time_is_no_error() -> None:
    """A timeout of 0 looks once."""
    search = Search(timeout=0)
    search.found(NOTHING)
    assert search.result == []


def test_a_search_waits_as_long_as_told_and_looks_once_more() -> None:
    """In naps that are never longer than the longest."""
    search = Search(timeout=LONGEST_WAIT * 2.5)
    naps: list[float] = []
    while search.result is None:
        search.found(NOTHING)
        if search.result is None:
            naps.append(search.wait())
    assert naps == [LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT / 2]
    assert search.result == []


def test_a_search_without_end_goes_on() -> None:
    """Until something comes."""
    search = Search(timeout=None)
    for _ in range(1000):
        search.found(NOTHING)
        assert search.wait() == LONGEST_WAIT
    search.found(Taken([job("a")]))
    assert search.result == ["a"]


def test_a_nap_ends_when_the_next_job_is_due() -> None:
    """Whether it is delayed or held by one who died."""
    search = Search(timeout=None)
    search.found(Taken([], next_due=0.25))
    assert search.wait() == 0.25
    search.found(Taken([], next_due=LONGEST_WAIT * 3))
    assert search.wait() == LONGEST_WAIT


@pytest.mark.parametrize("taken", [Taken([], more=True), Taken([], next_due=0.0)])
def test_work_that_was_left_is_looked_for_at_once(taken: Taken) -> None:
    """As after a take whose jobs went to callers that had asked before."""
    search = Search(timeout=1.0)
    search.found(taken)
    search.found(Taken([job("a")]))
    assert search.result == ["a"]


def test_jobs_that_are_not_fit_are_set_aside_and_the_search_goes_on() -> None:
    """They are no result."""
    search = Search(timeout=1.0)
    search.found(Taken([job("bad1"), job("bad2")]))
    assert isinstance(search.step, Discard)
    assert [one.token for one in search.step.unfit] == ["bad1|1|me", "bad2|1|me"]
    assert search.step.fit == []
    search.reply()
    search.found(Taken([job("a")]))
    assert search.result == ["a"]


def test_one_who_looks_once_looks_on_while_work_was_left_behind() -> None:
    """As behind many jobs that came too late: one step of the broker drops only so many."""
    search = Search(timeout=0)
    search.found(Taken([], more=True))
    search.found(Taken([], more=True))
    search.found(Taken([job("a")]))
    assert search.result == ["a"]


def test_one_who_looks_once_looks_behind_what_nobody_can_read() -> None:
    """An unreadable job is no answer, however little time there is."""
    search = Search(timeout=0)
    search.found(Taken([job("bad")]))
    search.reply()
    search.found(Taken([job("bad")]))
    search.reply()
    search.found(Taken([job("a")]))
    assert search.result == ["a"]


@pytest.mark.parametrize("error", [None, AWAY, Indeterminate("lost"), Rejected("no"), Closed("x")])
def test_jobs_that_came_with_unfit_ones_are_given_whatever_happens(error: Exception | None) -> None:
    """They are in hand, and would be counted as crashes if they were lost."""
    search = Search(timeout=1.0)
    search.found(Taken([job("a"), job("bad")]))
    assert isinstance(search.step, Discard)
    assert search.step.fit == ["a|1|me"]
    if error is None:
        search.reply()
    else:
        with pytest.raises(StopIteration) as end:
            search.fail(error)
        search.result = end.value.value
    assert search.result == ["a"]


def test_a_broker_that_is_away_is_tried_again_with_growing_pauses() -> None:
    """And served as before when it is back."""
    search = Search(timeout=None)
    pauses: list[float] = []
    for _ in range(10):
        search.fail(AWAY)
        pauses.append(search.pause())
    assert max(pauses) <= 2.0
    assert pauses[-1] > pauses[0]
    search.found(NOTHING)
    assert search.wait() == LONGEST_WAIT
    search.fail(AWAY)
    assert search.pause() < 0.2


@pytest.mark.parametrize("error", [AWAY, Indeterminate("lost")])
def test_a_broker_that_stays_away_is_an_error_when_the_time_is_over(error: Exception) -> None:
    """Not before, and hardly later."""
    search = Search(timeout=3.0)
    with pytest.raises(type(error)):
        search.fail_for_ever(error)
    assert search.clock.monotonic() == pytest.approx(3.0)


def test_a_connection_that_died_while_idle_is_tried_once_more() -> None:
    """Even by a search without any time."""
    search = Search(timeout=0)
    search.fail(AWAY)
    assert search.pause() == 0.0
    search.found(Taken([job("a")]))
    assert search.result == ["a"]

    search = Search(timeout=0)
    search.fail(AWAY)
    search.pause()
    with pytest.raises(Unavailable):
        search.fail(AWAY)


def test_a_wait_may_fail_as_well() -> None:
    """It is tried again like a take."""
    search = Search(timeout=None)
    search.found(NOTHING)
    assert isinstance(search.step, Wait)
    search.fail(AWAY)
    search.pause()
    search.found(Taken([job("a")]))
    assert search.result == ["a"]


@pytest.mark.parametrize("error", [Rejected("no"), Closed("x"), ValueError("a bug")])
def test_what_will_not_pass_goes_up_at_once(error: Exception) -> None:
    """Trying again would not help."""
    with pytest.raises(type(error)):
        Search(timeout=None).fail(error)


def test_one_take_is_shared_first_come_first_served() -> None:
    """Nobody gets more than asked for, and nothing is left over."""
    taken = Taken([job("a"), job("b"), job("c")], more=True, next_due=1.0)
    *parts, surplus = shares([1, 3, 5], Found(taken, 7.0))
    assert [[one.id for one in part.taken.jobs] for part in parts] == [["a"], ["b", "c"], []]
    assert {(part.taken.more, part.taken.next_due) for part in parts} == {(True, 1.0)}
    assert {part.asked_at for part in parts} == {7.0}
    assert surplus.taken.jobs == []


def test_what_an_old_answer_brings_beyond_the_limits_is_left() -> None:
    """Whoever asks for less than was asked for before must not lose the rest."""
    *parts, surplus = shares([1], Found(Taken([job("a"), job("b"), job("c")]), 7.0))
    assert [[one.id for one in part.taken.jobs] for part in parts] == [["a"]]
    assert [one.id for one in surplus.taken.jobs] == ["b", "c"]
