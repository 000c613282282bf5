"""Jobs delivered more than once, with and without a reason, and jobs that came back to life."""

from __future__ import annotations

import pytest

from conformance.tests.kit.tape import OPEN, Tape
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Delivery, Durability, Guarantees
from qcore_conformance.verdicts import Verdict

LEASED = Guarantees(lease=10.0)
AT_MOST_ONCE = Guarantees(delivery=Delivery.AT_MOST_ONCE)


def twice(tape: Tape, at: float = 5.0) -> Tape:
    """Deliver the job for the second time, to somebody else."""
    return tape.do("reserve", at, by="v", receipt="second")


def held() -> Tape:
    """A job in the hands of its first holder."""
    return Tape().do("enqueue", 0).do("reserve", 1, receipt="first")


def reason(tape: Tape, promised: Guarantees = LEASED) -> str:
    """Why the job was delivered again, in the words of the check."""
    assert tape.result("duplicate unexplained", promised).verdict is Verdict.PASS
    (counted,) = tape.result("duplicate explained", promised).counted
    return counted.why.removeprefix("delivered again: ")


@pytest.mark.parametrize(("verb", "why"), [("release", "released"), ("retry", "retried")])
@pytest.mark.parametrize("end", ["ok", "info", OPEN])
def test_a_job_that_was_given_back_may_come_again(verb: str, why: str, end: str) -> None:
    """Also if nobody knows whether giving it back worked."""
    assert reason(twice(held().do(verb, 2, receipt="first", end=end))) == why


def test_a_refused_release_explains_nothing() -> None:
    """The job has stayed where it was."""
    tape = twice(held().do("release", 2, receipt="first", end="fail"))
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.FAIL


def test_a_job_may_come_again_when_its_lease_is_over() -> None:
    """And not before."""
    assert reason(twice(held(), at=11.5)) == "lease over"
    assert twice(held(), at=8).result("duplicate unexplained", LEASED).verdict is Verdict.FAIL


def test_a_holder_that_stood_still_may_have_missed_its_beats() -> None:
    """Where nobody told how long the lease was; else that decides."""
    kept = Guarantees()
    frozen = held().fault(FaultKind.PAUSE_WORKER, 2, target="w", took=4)
    assert reason(twice(frozen, at=5), kept) == "holder stood still"
    assert twice(frozen, at=5).result("duplicate unexplained", LEASED).verdict is Verdict.FAIL
    other = held().fault(FaultKind.PAUSE_WORKER, 2, target="v", took=4)
    assert twice(other, at=5).result("duplicate unexplained", kept).verdict is Verdict.FAIL
    assert twice(held(), at=5).result("duplicate unexplained", kept).verdict is Verdict.FAIL


def test_an_extended_lease_is_over_later() -> None:
    """An extend that returned counts from its own begin."""
    tape = twice(held().do("extend", 9, receipt="first"), at=15)
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.FAIL
    assert reason(twice(held().do("extend", 9, receipt="first"), at=20)) == "lease over"


def test_the_lease_that_a_reserve_tells_goes_before_the_promised_one() -> None:
    """A job may be leased for longer or shorter than usual."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, lease=1.0)
    assert reason(twice(tape)) == "lease over"


@pytest.mark.parametrize("fault", [FaultKind.KILL_WORKER, FaultKind.CUT])
def test_a_crash_of_the_holder_explains_a_duplicate(fault: FaultKind) -> None:
    """A broker may notice the death of a holder before the lease is over."""
    assert reason(twice(held().fault(fault, 3, target="w"))) == "crash"


def test_a_crash_of_somebody_else_explains_nothing() -> None:
    """A fault excuses only whom it struck."""
    tape = twice(held().fault(FaultKind.KILL_WORKER, 3, target="x"))
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.FAIL


def test_a_pause_explains_nothing() -> None:
    """A frozen holder keeps its lease."""
    tape = twice(held().fault(FaultKind.PAUSE_WORKER, 3, target="w"))
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.FAIL


def test_a_settle_whose_reply_was_lost_explains_a_duplicate() -> None:
    """It may not have arrived."""
    assert reason(twice(held().do("ack", 2, receipt="first", end="info"))) == "lost reply"


@pytest.mark.parametrize("verb", ["ack", "release"])
def test_a_settle_after_the_duplicate_explains_nothing(verb: str) -> None:
    """A cause comes before its effect."""
    tape = twice(held()).do(verb, 6, receipt="first", end="info")
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.FAIL


def test_an_enqueue_repeated_after_a_lost_reply_may_make_two() -> None:
    """Unless the adapter promises that an id counts once."""
    tape = Tape().do("enqueue", 0, end="info").do("enqueue", 0.5).do("reserve", 1)
    assert reason(twice(tape)) == "lost reply"
    idempotent = Guarantees(lease=10.0, idempotent=True)
    assert twice(tape).result("duplicate unexplained", idempotent).verdict is Verdict.FAIL


def test_a_redrive_explains_a_duplicate() -> None:
    """A dead job was brought back on purpose."""
    tape = held().do("dead", 2, receipt="first").do("redrive", 3)
    assert reason(twice(tape)) == "redriven"


def test_concurrent_deliveries_may_have_come_in_either_order() -> None:
    """A late reply does not turn an explained duplicate into a scandal."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, took=14, by="w").do("reserve", 12, by="v")
    assert reason(tape) == "lease over"


def test_a_slow_reply_does_not_hide_the_reason() -> None:
    """The second reserve had begun before the first one returned, and waited for the release."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, took=2, receipt="first")
    tape.do("reserve", 2, took=7, by="v").do("release", 4, receipt="first")
    assert reason(tape) == "released"


def test_explained_duplicates_may_be_bounded() -> None:
    """So that at-least-once has a price."""
    tape = twice(held(), at=12)
    bounded = Guarantees(lease=10.0, duplicates=0)
    assert tape.result("duplicate explained", bounded).verdict is Verdict.FAIL
    assert tape.result("duplicate explained", LEASED).verdict is Verdict.PASS


def test_the_bound_itself_is_allowed() -> None:
    """And stands in the report."""
    for bound, note in [(1, "1 of at most 1"), (None, "1 of at most any")]:
        result = twice(held(), at=12).result(
            "duplicate explained", Guarantees(lease=10.0, duplicates=bound)
        )
        assert (result.verdict, result.note) == (Verdict.PASS, note)


def test_clocks_may_differ_by_the_slack() -> None:
    """A lease may seem to last a little longer than it did."""
    tape = twice(held(), at=10.5)
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.FAIL
    assert reason(tape, Guarantees(lease=10.0, slack=1.0)) == "lease over"


def test_an_enqueue_that_failed_makes_no_copy() -> None:
    """So the only copy has ended with its ack."""
    tape = Tape().do("enqueue", 0, end="fail").do("enqueue", 0.5).do("reserve", 1).do("ack", 2)
    assert twice(tape).result("resurrected").verdict is Verdict.FAIL


def test_at_most_once_allows_no_duplicate_at_all() -> None:
    """Not even one with a reason."""
    tape = twice(held().fault(FaultKind.CUT, 3))
    assert tape.result("duplicate explained", AT_MOST_ONCE).verdict is Verdict.FAIL
    assert twice(held()).result("duplicate unexplained", AT_MOST_ONCE).verdict is Verdict.FAIL
    assert held().result("duplicate explained", AT_MOST_ONCE).verdict is Verdict.PASS


def test_two_groups_do_not_make_a_duplicate() -> None:
    """Each group gets the job once."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, group="a").do("reserve", 2, group="b")
    assert tape.result("duplicate unexplained").verdict is Verdict.PASS


@pytest.mark.parametrize("verb", ["ack", "dead", "drop"])
def test_an_ended_job_may_not_come_back(verb: str) -> None:
    """A reserve that begins after the end has returned must not find it."""
    tape = twice(held().do(verb, 2, receipt="first"), at=20)
    assert tape.result("resurrected", LEASED).verdict is Verdict.FAIL
    assert tape.result("duplicate unexplained", LEASED).verdict is Verdict.PASS


def test_a_job_that_was_found_dead_may_not_come_back() -> None:
    """An end counts also if it was only found to have happened."""
    assert twice(held().fact("dead", 2)).result("resurrected", LEASED).verdict is Verdict.FAIL


@pytest.mark.parametrize("end", ["info", OPEN, "fail"])
def test_a_job_whose_ack_did_not_return_may_come_back(end: str) -> None:
    """Only an ack that returned is a promise."""
    tape = twice(held().do("ack", 2, receipt="first", end=end), at=20)
    assert tape.result("resurrected", LEASED).verdict is Verdict.PASS


def test_a_reserve_under_way_at_the_ack_proves_nothing() -> None:
    """It may have taken the job before."""
    tape = held().do("reserve", 10, took=8, by="v").do("ack", 12, receipt="first")
    assert tape.result("resurrected", LEASED).verdict is Verdict.PASS


def test_a_redriven_job_has_not_come_back_by_itself() -> None:
    """A redrive is the one way back from the dead."""
    tape = twice(held().do("dead", 2, receipt="first").do("redrive", 3))
    assert tape.result("resurrected", LEASED).verdict is Verdict.PASS


def test_the_second_copy_of_a_job_has_a_life_of_its_own() -> None:
    """Two enqueues that may both have worked owe two acks."""
    tape = Tape().do("enqueue", 0, end="info").do("enqueue", 0.5)
    tape = twice(tape.do("reserve", 1).do("ack", 2), at=3)
    assert tape.result("resurrected").verdict is Verdict.PASS
    once = Guarantees(idempotent=True)
    assert tape.result("resurrected", once).verdict is Verdict.FAIL
    tape.do("ack", 6, by="v", receipt="second").do("reserve", 7)
    assert tape.result("resurrected").verdict is Verdict.FAIL


def test_a_broker_that_may_forget_may_bring_jobs_back() -> None:
    """Then the return is counted, not failed."""
    tape = twice(held().do("ack", 2, receipt="first").fault(FaultKind.FAILOVER, 3))
    result = tape.result("resurrected", LEASED)
    assert (result.verdict, len(result.counted)) == (Verdict.PASS, 1)
    safe = Guarantees(lease=10.0, durability=Durability.REPLICATED)
    assert tape.result("resurrected", safe).verdict is Verdict.FAIL
