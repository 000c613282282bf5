"""Jobs that come before their time, and jobs that are not there when they should be."""

from __future__ import annotations

import pytest

from conformance.tests.kit.tape import OPEN, Tape
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.verdicts import Verdict

DELAYS = Guarantees(delays=True)
PROMPT = Guarantees(late=1.0, recovery=2.0, lease=10.0)


@pytest.mark.parametrize(("at", "verdict"), [(4.5, Verdict.FAIL), (5.0, Verdict.PASS)])
def test_a_delayed_job_is_not_early(at: float, verdict: Verdict) -> None:
    """The delay counts from the begin of the enqueue."""
    tape = Tape().do("enqueue", 0, delay=5.0).do("reserve", at)
    assert tape.result("early", DELAYS).verdict is verdict
    assert tape.result("early").verdict is Verdict.NOT_CLAIMED


@pytest.mark.parametrize(("at", "verdict"), [(6.0, Verdict.FAIL), (7.0, Verdict.PASS)])
def test_a_retried_job_is_not_early(at: float, verdict: Verdict) -> None:
    """The delay of a retry counts from the begin of the retry."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("retry", 2, delay=5.0).do("reserve", at)
    assert tape.result("early", DELAYS).verdict is verdict


def test_a_retry_of_which_nobody_knows_delays_nothing_for_certain() -> None:
    """The job may come back by another way."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("retry", 2, delay=5.0, end="info")
    assert tape.do("reserve", 3).result("early", DELAYS).verdict is Verdict.PASS


def test_the_earliest_of_several_causes_counts() -> None:
    """Of two enqueues, or of two retries, either may have been the one that worked."""
    tape = Tape().do("enqueue", 0, delay=5.0, end="info").do("enqueue", 1).do("reserve", 2)
    assert tape.result("early", DELAYS).verdict is Verdict.PASS
    for at, verdict in [(4, Verdict.FAIL), (7.5, Verdict.PASS)]:
        tape = Tape().do("enqueue", 0).do("reserve", 1).do("retry", 2, delay=5.0, end="info")
        tape.do("retry", 3, delay=5.0).do("reserve", at)
        assert tape.result("early", DELAYS).verdict is verdict


def test_how_early_and_how_late_is_told() -> None:
    """In seconds."""
    (soon,) = (
        Tape().do("enqueue", 0, delay=5.0).do("reserve", 4.49).result("early", DELAYS).failures
    )
    assert soon.why == "0.500 s early"
    (slow,) = Tape().do("enqueue", 0).empty(2.5).result("late", PROMPT).failures
    assert slow.why == "not found 2.500 s after it was due"


@pytest.mark.parametrize(("at", "verdict"), [(2.0, Verdict.FAIL), (1.0, Verdict.PASS)])
def test_a_ready_job_is_found_in_time(at: float, verdict: Verdict) -> None:
    """A reserve that begins after the bound has to find it."""
    tape = Tape().do("enqueue", 0).empty(at).do("reserve", 5)
    assert tape.result("late", PROMPT).verdict is verdict
    assert tape.result("late").verdict is Verdict.NOT_CLAIMED


def test_a_delayed_job_is_found_in_time() -> None:
    """The bound counts from when it is due."""
    tape = Tape().do("enqueue", 0, delay=5.0).empty(4).empty(5.5)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS
    assert tape.empty(6.5).result("late", PROMPT).verdict is Verdict.FAIL


@pytest.mark.parametrize("verb", ["release", "retry"])
def test_a_job_that_was_given_back_is_found_in_time(verb: str) -> None:
    """After its delay, if it has one."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do(verb, 2, delay=3.0).empty(5)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS
    assert tape.empty(6.5).result("late", PROMPT).verdict is Verdict.FAIL


def test_a_job_of_a_dead_holder_is_found_in_time() -> None:
    """Its lease has to run out, and the recovery may take its bound."""
    tape = Tape().do("enqueue", 0).do("reserve", 1)
    assert tape.empty(12).result("late", PROMPT).verdict is Verdict.PASS
    assert tape.empty(14).result("late", PROMPT).verdict is Verdict.FAIL


def test_an_extended_lease_is_recovered_later() -> None:
    """Also if nobody knows whether the extend worked."""
    for end, verdict in [("ok", Verdict.PASS), ("info", Verdict.PASS), ("fail", Verdict.FAIL)]:
        tape = Tape().do("enqueue", 0).do("reserve", 1).do("extend", 9, end=end).empty(15)
        assert tape.result("late", PROMPT).verdict is verdict


def test_a_retry_outlasts_the_lease() -> None:
    """A job that waits for its next attempt is not hidden by the old lease."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("retry", 2, delay=60.0).empty(20)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS


def test_a_job_in_somebodys_hands_need_not_be_found() -> None:
    """It is gone from its first delivery on."""
    tape = Tape().do("enqueue", 0).do("reserve", 0.5).empty(3).do("ack", 4)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS


@pytest.mark.parametrize("end", ["ok", "info", OPEN])
def test_a_job_that_may_have_ended_need_not_be_found(end: str) -> None:
    """An ack may have worked."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("ack", 2, end=end).empty(50)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS


def test_a_job_that_was_found_dead_may_have_died_long_ago() -> None:
    """Nobody knows when, so nobody can complain."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).empty(50).fact("dead", 60)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS


def test_a_reserve_that_ended_while_another_took_the_job_proves_nothing() -> None:
    """Somebody else may have been quicker."""
    tape = Tape().do("enqueue", 0).empty(4.9, took=0.2).do("reserve", 5, by="v")
    assert tape.result("late", PROMPT).verdict is Verdict.PASS


def test_the_bound_begins_anew_after_a_fault() -> None:
    """A broken line excuses the time in which it was broken."""
    tape = Tape().do("enqueue", 0).fault(FaultKind.CUT, 1, took=4).empty(5.5)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS
    assert tape.empty(6.5).result("late", PROMPT).verdict is Verdict.FAIL


def test_the_last_of_several_faults_counts() -> None:
    """An earlier one is no reason to begin earlier."""
    tape = Tape().do("enqueue", 0).fault(FaultKind.CUT, 0.5).fault(FaultKind.CUT, 4, took=1)
    assert tape.empty(5.2).result("late", PROMPT).verdict is Verdict.PASS


def test_a_ghost_without_a_lease_may_hold_the_job_for_ever() -> None:
    """Nothing says when it would come back."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, by="x", end="info").empty(50)
    assert tape.result("late", Guarantees(late=1.0)).verdict is Verdict.PASS


def test_a_ghost_may_hold_the_job() -> None:
    """For as long as its lease lasts."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, by="x", end="info").empty(10)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS
    assert tape.empty(15).result("late", PROMPT).verdict is Verdict.FAIL


def test_a_killed_ghost_lets_go_after_its_lease() -> None:
    """Its open call has surely ended with its life."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, by="x", end=OPEN)
    assert tape.empty(15).result("late", PROMPT).verdict is Verdict.PASS
    killed = tape.fault(FaultKind.KILL_WORKER, 2, target="x")
    assert killed.result("late", PROMPT).verdict is Verdict.FAIL


def test_of_several_enqueues_any_may_have_counted() -> None:
    """A repeated enqueue without a delay may have found the job there, delayed."""
    tape = Tape().do("enqueue", 0, delay=5.0, end="info").do("enqueue", 1).empty(4)
    promised = Guarantees(late=1.0, idempotent=True)
    assert tape.result("late", promised).verdict is Verdict.PASS
    assert tape.empty(7).result("late", promised).verdict is Verdict.FAIL


def test_an_enqueue_that_failed_delays_nothing() -> None:
    """It certainly was not the one that counted."""
    tape = Tape().do("enqueue", 0, delay=50.0, end="fail").do("enqueue", 1).empty(5)
    assert tape.result("late", PROMPT).verdict is Verdict.FAIL


def test_of_several_copies_nobody_knows_which_is_where() -> None:
    """So none is judged."""
    tape = Tape().do("enqueue", 0, end="info").do("enqueue", 1).empty(5)
    assert tape.result("late", PROMPT).verdict is Verdict.PASS
