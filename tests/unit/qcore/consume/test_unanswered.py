from __future__ import annotations

from qcore.backend import Flush, TakeRequest
from qcore.consume.unanswered import Unanswered

FIRST, SECOND, THIRD = Flush("take", 1), Flush("take", 2), Flush("take", 3)
ONE = TakeRequest(limit=1, lease_ms=1000)
MANY = TakeRequest(limit=50, lease_ms=1000)
AHEAD = TakeRequest(limit=50, lease_ms=1000, started=False)


def test_each_take_has_its_number_while_answers_come() -> None:
    """Nothing is asked for twice."""
    takes = Unanswered()
    assert takes.numbered("q", ONE, FIRST) == FIRST
    takes.answered("q")
    assert takes.numbered("q", ONE, SECOND) == SECOND


def test_a_take_after_an_unanswered_one_asks_for_the_same_answer() -> None:
    """Until it comes, whatever the limits are meanwhile."""
    takes = Unanswered()
    takes.numbered("q", MANY, FIRST)
    assert takes.numbered("q", ONE, SECOND) == FIRST
    assert takes.numbered("q", MANY, THIRD) == FIRST
    takes.answered("q")
    assert takes.numbered("q", MANY, THIRD) == THIRD


def test_a_take_of_another_kind_does_not_ask_for_the_answer() -> None:
    """Jobs taken ahead are not those that somebody starts at once."""
    takes = Unanswered()
    takes.numbered("q", AHEAD, FIRST)
    assert takes.numbered("q", MANY, SECOND) == SECOND


def test_each_queue_waits_for_its_own_answer() -> None:
    """An answer of one says nothing of the other."""
    takes = Unanswered()
    takes.numbered("q", ONE, FIRST)
    takes.numbered("other", ONE, FIRST)
    takes.answered("other")
    assert takes.numbered("q", ONE, SECOND) == FIRST
    assert takes.numbered("other", ONE, SECOND) == SECOND
