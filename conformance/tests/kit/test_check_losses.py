"""Lost, unexpected and recovered jobs."""

from __future__ import annotations

import pytest

from conformance.tests.kit.tape import Tape
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Delivery, Durability, Guarantees, Order
from qcore_conformance.verdicts import Verdict

AT_MOST_ONCE = Guarantees(delivery=Delivery.AT_MOST_ONCE)


def done(tape: Tape | None = None, job: str = "p-1", at: float = 0.0) -> Tape:
    """One job that lives as it should."""
    tape = tape or Tape()
    return tape.do("enqueue", at, job=job).do("reserve", at + 1, job=job).do("ack", at + 2, job=job)


def test_a_job_that_was_enqueued_is_expected() -> None:
    """A delivery of what was sent is in order."""
    assert done().result("unexpected").verdict is Verdict.PASS


def test_a_job_that_nobody_enqueued_is_unexpected() -> None:
    """A broker may not invent jobs."""
    result = Tape().do("reserve", 1).result("unexpected")
    assert result.verdict is Verdict.FAIL
    assert result.failures[0].why == "reserve of a job that nobody enqueued"


def test_a_job_that_was_delivered_before_its_enqueue_began_is_unexpected() -> None:
    """The future explains nothing."""
    tape = Tape().do("reserve", 1).do("enqueue", 2)
    assert tape.result("unexpected").verdict is Verdict.FAIL


@pytest.mark.parametrize(("end", "verdict"), [("fail", Verdict.FAIL), ("info", Verdict.PASS)])
def test_not_applied_has_to_be_true(end: str, verdict: Verdict) -> None:
    """A job whose enqueue claimed not to have been applied may not turn up."""
    tape = Tape().do("enqueue", 0, end=end).do("reserve", 1)
    assert tape.result("unexpected").verdict is verdict


def test_other_bytes_are_unexpected() -> None:
    """A body has to arrive as it was sent."""
    tape = Tape().do("enqueue", 0, sha="a").do("reserve", 1, sha="b")
    assert tape.result("unexpected").verdict is Verdict.FAIL
    same = Tape().do("enqueue", 0, sha="a").do("reserve", 1, sha="a")
    assert same.result("unexpected").verdict is Verdict.PASS


def test_a_job_out_of_another_queue_is_unexpected() -> None:
    """Queues do not leak into each other."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, queue="other")
    assert tape.result("unexpected").verdict is Verdict.FAIL


def test_a_dead_letter_that_nobody_enqueued_is_unexpected() -> None:
    """What is found among the dead letters has to have been sent, too."""
    assert Tape().fact("dead", 1).result("unexpected").verdict is Verdict.FAIL


def test_an_acked_job_is_not_lost() -> None:
    """An ack is the end of a job."""
    assert done().drained().result("lost").verdict is Verdict.PASS


@pytest.mark.parametrize("end", ["ack", "dead", "drop", "drain"])
def test_each_good_end_counts(end: str) -> None:
    """Dead letters, drops for good reason and what the drain finds are no losses."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do(end, 2).drained()
    assert tape.result("lost").verdict is Verdict.PASS


def test_a_job_that_is_never_seen_again_is_lost() -> None:
    """An enqueue that returned is a promise."""
    result = Tape().do("enqueue", 0).drained().result("lost")
    assert result.verdict is Verdict.FAIL
    assert result.failures[0].why == "lost with all that p enqueued"


@pytest.mark.parametrize("settle", ["release", "retry"])
def test_a_job_that_was_given_back_stays_expected(settle: str) -> None:
    """A released or retried job that then vanishes is lost."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do(settle, 2).drained()
    assert tape.result("lost").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("gone", "where"), [(1, "at the start"), (2, "in the middle"), (3, "at the end")]
)
def test_a_loss_is_placed_in_its_producers_run(gone: int, where: str) -> None:
    """Whether the start, the middle or the end is missing tells a lot about the cause."""
    tape = Tape()
    for number in (1, 2, 3):
        if number == gone:
            tape.do("enqueue", number, job=f"p-{number}")
        else:
            done(tape, f"p-{number}", at=number)
    (failure,) = tape.drained().result("lost").failures
    assert where in failure.why


def test_an_ack_that_ended_unknown_may_explain_the_absence() -> None:
    """Nobody can tell such a job from an acked one."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("ack", 2, end="info").drained()
    assert tape.result("lost").verdict is Verdict.PASS


def test_a_refused_ack_ends_nothing() -> None:
    """A job whose only ack failed is still expected."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("ack", 2, end="fail").drained()
    assert tape.result("lost").verdict is Verdict.FAIL


def test_a_dead_job_that_was_redriven_is_expected_again() -> None:
    """A redrive takes the dead letter back, so it is no end any more."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("dead", 2).do("redrive", 3)
    assert tape.drained().result("lost").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("fault", "durability", "verdict"),
    [
        (FaultKind.KILL_SERVER, Durability.NONE, Verdict.PASS),
        (FaultKind.KILL_SERVER, Durability.PROCESS, Verdict.FAIL),
        (FaultKind.POWER_LOSS, Durability.PROCESS, Verdict.PASS),
        (FaultKind.POWER_LOSS, Durability.POWER, Verdict.FAIL),
        (FaultKind.FAILOVER, Durability.POWER, Verdict.PASS),
        (FaultKind.FAILOVER, Durability.REPLICATED, Verdict.FAIL),
        (FaultKind.KILL_WORKER, Durability.NONE, Verdict.FAIL),
    ],
)
def test_durability_says_which_faults_may_lose_jobs(
    fault: FaultKind, durability: Durability, verdict: Verdict
) -> None:
    """A loss is allowed, and counted, only where the promise ends."""
    tape = Tape().do("enqueue", 0).fault(fault, 1).drained()
    result = tape.result("lost", Guarantees(durability=durability))
    assert result.verdict is verdict
    assert len(result.counted) == (verdict is Verdict.PASS)


def test_a_run_that_was_never_drained_cannot_tell() -> None:
    """A job that nobody looked for is not lost yet."""
    result = Tape().do("enqueue", 0).empty(1).result("lost")
    assert (result.verdict, result.note) == (Verdict.UNKNOWN, "queue 'q' was never drained")


def test_a_drain_that_crashed_cannot_tell() -> None:
    """Whatever it had taken is gone from the history."""
    tape = done().do("drain", 50, end="info").drained()
    assert tape.result("lost").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(("apart", "verdict"), [(5.0, Verdict.PASS), (2.0, Verdict.UNKNOWN)])
def test_a_drain_has_to_last_a_lease_and_its_recovery(apart: float, verdict: Verdict) -> None:
    """Two looks too close together may both miss a job that somebody holds."""
    promised = Guarantees(lease=3.0, recovery=1.0)
    assert done().drained(apart=apart).result("lost", promised).verdict is verdict


def test_a_drain_before_the_last_fault_was_mended_cannot_tell() -> None:
    """What was cut off may come back after the mending."""
    tape = done().drained(10, apart=30).fault(FaultKind.CUT, 5, took=20)
    assert tape.result("lost").verdict is Verdict.UNKNOWN


def test_looks_at_an_empty_queue_count_from_the_last_job_on() -> None:
    """What came in between may have come after something else."""
    tape = done().empty(20, verb="drain").do("drain", 30, job="p-1").empty(40, verb="drain")
    assert tape.result("lost").verdict is Verdict.UNKNOWN
    tape = done().do("drain", 10, job="p-1").empty(20, verb="drain")
    tape.do("drain", 30, job="p-1").empty(40, verb="drain")
    assert tape.result("lost").verdict is Verdict.UNKNOWN


def test_looks_at_an_empty_queue_count_from_the_last_fault_on() -> None:
    """And not from the first."""
    tape = done().fault(FaultKind.CUT, 5).empty(10, verb="drain").fault(FaultKind.CUT, 20)
    assert tape.empty(30, verb="drain").result("lost").verdict is Verdict.UNKNOWN


def test_a_queue_that_nobody_read_cannot_tell() -> None:
    """Without any reader there is no evidence."""
    result = Tape().do("enqueue", 0).result("lost")
    assert (result.verdict, result.note) == (Verdict.UNKNOWN, "nobody ever read queue 'q'")


def test_at_most_once_may_lose_within_a_fault() -> None:
    """The loss is counted."""
    tape = Tape().do("enqueue", 1).fault(FaultKind.CUT, 0.5, took=2).drained()
    result = tape.result("lost", AT_MOST_ONCE)
    assert (result.verdict, len(result.counted)) == (Verdict.PASS, 1)


def test_at_most_once_may_not_lose_without_a_fault() -> None:
    """At most once is no excuse for a quiet day."""
    tape = Tape().do("enqueue", 1).fault(FaultKind.CUT, 5).drained()
    tape.do("enqueue", 2, job="p-2").do("reserve", 3, job="p-2")
    ordered = Guarantees(delivery=Delivery.AT_MOST_ONCE, order=Order.FIFO)
    assert tape.result("lost", ordered).verdict is Verdict.FAIL


def test_at_most_once_owes_nothing_to_later_subscribers() -> None:
    """A job from before the subscription is not expected; one from after it is."""
    tape = Tape().do("enqueue", 0).do("subscribe", 1).drained()
    assert tape.result("lost", AT_MOST_ONCE).verdict is Verdict.PASS
    tape.do("enqueue", 2, job="p-2")
    assert tape.result("lost", AT_MOST_ONCE).verdict is Verdict.FAIL


def test_at_most_once_owes_each_job_to_whoever_had_subscribed() -> None:
    """Subscribing once more changes nothing about that."""
    tape = Tape().do("subscribe", 0).do("enqueue", 1).do("subscribe", 2).drained()
    assert tape.result("lost", AT_MOST_ONCE).verdict is Verdict.FAIL


def test_each_group_has_to_get_each_job() -> None:
    """What one group acked may still be lost to another."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, group="a").do("ack", 2, group="a")
    tape.drained(group="a").drained(group="b")
    (failure,) = tape.result("lost").failures
    assert failure.story is not None
    assert failure.story.group == "b"


def test_an_enqueue_that_ended_unknown_may_turn_out_to_have_worked() -> None:
    """Such jobs are counted and owe nothing."""
    tape = Tape().do("enqueue", 0, end="info").do("reserve", 1).do("ack", 2).drained()
    assert len(tape.result("recovered").counted) == 1
    assert Tape().do("enqueue", 0, end="info").drained().result("lost").verdict is Verdict.PASS
    assert not done().result("recovered").counted
    tape = Tape().do("enqueue", 0, end="fail").do("enqueue", 1, end="info").do("reserve", 2)
    assert len(tape.result("recovered").counted) == 1
