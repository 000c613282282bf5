from __future__ import annotations

from qcore.cli.demo.events import Counted, Event, Holds, Ready, Started, line_of, read_event
from qcore.cli.demo.ledger import Ledger, Outcome

DEAD, ALIVE = 0, 1


def ledger(*events: tuple[int, Event]) -> Ledger:
    """The accounts of three jobs of ten words each, after some events."""
    one = Ledger()
    for job in ("a", "b", "c"):
        one.enqueued(job, 10)
    for consumer, event in events:
        one.note(consumer, event)
    return one


def test_events_cross_a_pipe_unchanged() -> None:
    """What a consumer tells is what the director reads."""
    for event in (Ready(), Holds(("a", "b"), 1.5), Started("a", 2.5), Counted("a", 7)):
        assert read_event(line_of(event)) == event


def test_a_run_without_trouble_adds_up() -> None:
    """Every job once, every word."""
    started = [(ALIVE, Started(job, 1.0)) for job in "abc"]
    assert not ledger(*started).complete
    one = ledger(*started, *((ALIVE, Counted(job, 10)) for job in "abc"))
    assert one.complete
    assert one.outcome() == Outcome(3, 3, 0, 0, 0, 30, 30, None)
    assert one.outcome().whole


def test_a_job_that_somebody_else_starts_again_was_redelivered() -> None:
    """Recovery counts from the kill to the start of the last one that came back."""
    one = ledger((DEAD, Holds(("a", "b"), 1.0)))
    assert one.held == ("a", "b")
    one.killed(2.0)
    for job, at in (("c", 2.1), ("a", 4.0), ("b", 4.5)):
        one.note(ALIVE, Started(job, at))
        one.note(ALIVE, Counted(job, 10))
    outcome = one.outcome()
    assert (outcome.redelivered, outcome.recovery, outcome.lost) == (2, 2.5, 0)
    assert outcome.whole


def test_a_job_that_nobody_did_is_lost() -> None:
    """And the words that are missing prove it."""
    one = ledger((DEAD, Holds(("a",), 1.0)), (ALIVE, Counted("b", 10)), (ALIVE, Counted("c", 10)))
    one.killed(2.0)
    outcome = one.outcome()
    assert (outcome.done, outcome.lost, outcome.redelivered) == (2, 1, 0)
    assert (outcome.words_expected, outcome.words_counted) == (30, 20)
    assert outcome.recovery is None
    assert not outcome.whole


def test_a_job_done_twice_counts_once() -> None:
    """At least once means that it may happen; the words must not be counted twice for it."""
    one = ledger(*((ALIVE, Counted(job, 10)) for job in "aabbc"))
    outcome = one.outcome()
    assert (outcome.done, outcome.twice, outcome.words_counted) == (3, 2, 30)


def test_wrong_words_are_not_whole() -> None:
    """A job that came back changed is as bad as one that did not come back."""
    one = ledger(*((ALIVE, Counted(job, 9)) for job in "abc"))
    assert one.outcome().lost == 0
    assert not one.outcome().whole
