"""Sums that have to be right, and runs that prove nothing."""

from __future__ import annotations

import pytest

from conformance.tests.kit.tape import Tape
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Delivery, Guarantees, Minimum
from qcore_conformance.verdicts import Verdict

FENCED = Guarantees(fenced=True)


def done() -> Tape:
    """One job that lived as it should, in a run that ended as it should."""
    return Tape().do("enqueue", 0).do("reserve", 1).do("ack", 2).drained()


def test_the_balance_is_told() -> None:
    """Where the jobs went stands in the report."""
    tape = done().do("enqueue", 3, job="p-2").do("enqueue", 4, job="p-3")
    tape.do("drain", 99, job="p-3")
    result = tape.result("conservation")
    assert result.verdict is Verdict.PASS
    assert result.note == "3 jobs = 1 ack + 1 drain + 1 nowhere"


def test_a_job_ends_in_one_way() -> None:
    """Acked and dead at once is one too many."""
    tape = done().fact("dead", 50)
    assert tape.result("conservation", FENCED).verdict is Verdict.FAIL
    assert tape.result("conservation").verdict is Verdict.PASS


def test_a_job_ends_once() -> None:
    """Two acks that both returned ended two jobs, or broke the fence."""
    tape = done().do("ack", 5)
    (failure,) = tape.result("conservation", FENCED).failures
    assert failure.why == "2 calls ended it"


def test_two_copies_may_end_twice() -> None:
    """Where a repeated enqueue may have made two."""
    tape = Tape().do("enqueue", 0, end="info").do("enqueue", 0.5).do("reserve", 1).do("ack", 2)
    tape.do("reserve", 3).do("ack", 4).drained()
    assert tape.result("conservation", FENCED).verdict is Verdict.PASS


def test_a_dead_letter_that_was_found_later_is_no_second_end() -> None:
    """A call put it there, and a look found it."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("dead", 2).fact("dead", 3).drained()
    assert tape.result("conservation", FENCED).verdict is Verdict.PASS


def test_a_redriven_job_may_end_again() -> None:
    """It was brought back for that."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("dead", 2).do("redrive", 3)
    tape.do("reserve", 4).do("ack", 5).drained()
    assert tape.result("conservation", FENCED).verdict is Verdict.PASS


def test_without_a_drain_the_sums_are_open() -> None:
    """Nobody knows what is still there."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("ack", 2)
    assert tape.result("conservation").verdict is Verdict.UNKNOWN


def counts(enqueued: int = 1, acked: int = 1) -> dict[str, int]:
    """Statistics of a queue after its only job was acked."""
    parts = {"ready": 0, "delayed": 0, "held": 0, "dead": 0, "dropped": 0}
    return {"enqueued": enqueued, "acked": acked, **parts}


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (counts(), Verdict.PASS),
        (counts(enqueued=2, acked=2), Verdict.FAIL),
        (counts(enqueued=1, acked=0), Verdict.FAIL),
        ({"acked": 1}, Verdict.PASS),
        ({"acked": 2}, Verdict.FAIL),
    ],
)
def test_the_statistics_agree_with_the_history(told: dict[str, int], verdict: Verdict) -> None:
    """Both the parts with the whole, and the numbers with the calls."""
    tape = done().do("stats", 200, counts=told)
    assert tape.result("conservation").verdict is verdict


def test_statistics_may_be_declared_approximate() -> None:
    """By so much and no more."""
    tape = done().do("stats", 200, counts=counts(enqueued=2, acked=2))
    assert tape.result("conservation", Guarantees(stats_error=1)).verdict is Verdict.PASS
    tape = done().do("stats", 200, counts=counts(enqueued=0, acked=0))
    assert tape.result("conservation", Guarantees(stats_error=1)).verdict is Verdict.PASS
    tape = done().do("stats", 200, counts=counts(enqueued=3, acked=3))
    assert tape.result("conservation", Guarantees(stats_error=1)).verdict is Verdict.FAIL


def test_statistics_that_failed_are_not_judged() -> None:
    """They told nothing."""
    tape = done().do("stats", 200, end="fail", counts=counts(enqueued=9))
    assert tape.result("conservation").verdict is Verdict.PASS


def test_calls_during_the_statistics_may_or_may_not_count() -> None:
    """They are under way."""
    for enqueued in (1, 2):
        tape = done().do("stats", 200, took=3, counts={"enqueued": enqueued})
        tape.do("enqueue", 201, job="p-2")
        assert tape.result("conservation").verdict is Verdict.PASS


def test_statistics_count_what_may_have_happened_as_possible() -> None:
    """An enqueue that ended unknown may be among them."""
    tape = done().do("enqueue", 5, job="p-2", end="info")
    for enqueued in (1, 2):
        tape.do("stats", 200, counts={"enqueued": enqueued})
    assert tape.result("conservation").verdict is Verdict.PASS
    tape.do("stats", 200, counts={"enqueued": 3})
    assert tape.result("conservation").verdict is Verdict.FAIL


def test_at_most_once_is_held_to_its_statistics_only() -> None:
    """A drain is not needed for that."""
    promised = Guarantees(delivery=Delivery.AT_MOST_ONCE)
    assert Tape().do("enqueue", 0).result("conservation", promised).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "least",
    [Minimum(calls=6), Minimum(kills=1), Minimum(redeliveries=1), Minimum(faults=1)],
)
def test_a_run_in_which_too_little_happened_is_vacuous(least: Minimum) -> None:
    """It is unknown, never passed."""
    result = done().result("vacuous", Guarantees(minimum=least))
    assert result.verdict is Verdict.UNKNOWN
    assert "of at least" in result.note


def test_a_run_in_which_enough_happened_counts() -> None:
    """A kill counts if it struck a worker that held a job."""
    tape = Tape().do("enqueue", 0).do("reserve", 1)
    tape.fault(FaultKind.KILL_WORKER, 2, target="w").do("reserve", 20, by="v").do("ack", 21, by="v")
    least = Minimum(calls=4, kills=1, redeliveries=1, faults=1)
    promised = Guarantees(lease=10.0, minimum=least)
    assert tape.result("vacuous", promised).verdict is Verdict.PASS


def test_only_calls_that_returned_count() -> None:
    """Not those that failed, nor faults."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, end="fail").fault(FaultKind.CUT, 2)
    result = tape.result("vacuous", Guarantees(minimum=Minimum(calls=2)))
    assert result.note == "1 calls that returned of at least 2"


def test_a_kill_after_the_ack_struck_no_holder() -> None:
    """Although the lease would have gone on."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("ack", 2)
    tape.fault(FaultKind.KILL_WORKER, 3, target="w")
    promised = Guarantees(lease=10.0, minimum=Minimum(kills=1))
    assert tape.result("vacuous", promised).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("at", "target"), [(0.5, "w"), (2, "v"), (30, "w")])
def test_a_kill_that_struck_no_holder_does_not_count(at: float, target: str) -> None:
    """Too early, somebody else, or after the lease was over."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).fault(FaultKind.KILL_WORKER, at, target=target)
    promised = Guarantees(lease=10.0, minimum=Minimum(kills=1))
    assert tape.result("vacuous", promised).verdict is Verdict.UNKNOWN


def test_an_empty_history_proves_nothing() -> None:
    """Not even that nothing went wrong."""
    assert Tape().result("vacuous").verdict is Verdict.UNKNOWN
