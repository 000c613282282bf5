from __future__ import annotations

import attrs
import pytest

from qcore.clock import ManualClock
from qcore.consume.commit import Pause
from qcore.consume.ending import LONGEST_WAIT, Await, Recall, ending
from qcore.errors import Unavailable
from qcore.record import Record
from qcore.sansio import run
from qcore.states import State

AWAY = Unavailable("away")
WAITING = Record("a", State.HELD, 1.0, 1.0)
OVER = attrs.evolve(WAITING, state=State.DONE)


class Script:
    """Answers looks as written down; waits and pauses pass on a manual clock."""

    def __init__(self, *answers: Record | Exception | None) -> None:
        self.clock = ManualClock()
        self._answers = list(answers)
        self.waits: list[float] = []
        self.pauses: list[float] = []

    def perform(self, step: Recall | Await | Pause) -> object:
        """Take a step of the program."""
        if isinstance(step, Recall):
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        (self.waits if isinstance(step, Await) else self.pauses).append(step.seconds)
        self.clock.advance(step.seconds)
        return True

    def result(self, timeout: float | None) -> Record | None:
        """What the wait comes to."""
        return run(ending(timeout, self.clock.time), self.perform)


def test_what_has_ended_is_not_waited_for() -> None:
    """Nor what has no record."""
    for answer in (OVER, None):
        script = Script(answer)
        assert script.result(None) is answer
        assert script.waits == []


def test_an_end_is_awaited_in_parts_that_are_not_too_long() -> None:
    """So that a word that was lost costs seconds."""
    script = Script(WAITING, WAITING, OVER)
    assert script.result(None) is OVER
    assert script.waits == [LONGEST_WAIT, LONGEST_WAIT]


def test_when_the_time_is_over_the_record_is_given_as_it_is() -> None:
    """After one more look."""
    script = Script(WAITING, WAITING, WAITING)
    assert script.result(LONGEST_WAIT + 1) is WAITING
    assert script.waits == pytest.approx([LONGEST_WAIT, 1.0])


def test_one_who_looks_once_does_not_wait() -> None:
    """Whatever it finds."""
    script = Script(WAITING)
    assert script.result(0.0) is WAITING
    assert script.waits == []


def test_a_broker_that_comes_back_in_time_was_never_away() -> None:
    """With pauses in between."""
    script = Script(AWAY, AWAY, OVER)
    assert script.result(10.0) is OVER
    assert len(script.pauses) == 2


def test_a_broker_that_stays_away_is_an_error_when_the_time_is_over() -> None:
    """Not before it was tried twice."""
    script = Script(AWAY, AWAY)
    with pytest.raises(Unavailable):
        script.result(0.0)
    assert script.pauses == [0.0]
