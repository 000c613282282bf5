"""Order within a queue, within a key, and between levels of priority."""

from __future__ import annotations

import pytest

from conformance.tests.kit.tape import OPEN, Tape
from qcore_conformance.guarantees import Guarantees, Order
from qcore_conformance.verdicts import Verdict

FIFO = Guarantees(order=Order.FIFO)
SINGLE = Guarantees(order=Order.FIFO_SINGLE)
BY_KEY = Guarantees(order=Order.FIFO_KEY)
BY_LEVEL = Guarantees(priority=True)


def sent(*jobs: str) -> Tape:
    """Jobs enqueued one after the other."""
    tape = Tape()
    for at, job in enumerate(jobs):
        tape.do("enqueue", at, job=job)
    return tape


@pytest.mark.parametrize("promised", [FIFO, SINGLE])
def test_first_in_first_out(promised: Guarantees) -> None:
    """The order of delivery is that of the enqueues."""
    right = sent("a", "b").do("reserve", 5, job="a").do("reserve", 6, job="b")
    wrong = sent("a", "b").do("reserve", 5, job="b").do("reserve", 6, job="a")
    assert right.result("order", promised).verdict is Verdict.PASS
    assert wrong.result("order", promised).verdict is Verdict.FAIL
    assert wrong.result("order").verdict is Verdict.NOT_CLAIMED


def test_concurrent_enqueues_have_no_order() -> None:
    """Either may have come first."""
    tape = Tape().do("enqueue", 0, took=2, job="a").do("enqueue", 1, job="b")
    tape.do("reserve", 5, job="b").do("reserve", 6, job="a")
    assert tape.result("order", FIFO).verdict is Verdict.PASS


def test_concurrent_reserves_have_no_order() -> None:
    """The reply of the first may have come later."""
    tape = sent("a", "b").do("reserve", 5, took=3, job="a").do("reserve", 6, by="v", job="b")
    assert tape.result("order", FIFO).verdict is Verdict.PASS


def test_several_consumers_are_no_matter_of_the_single_promise() -> None:
    """It speaks of one producer and one consumer only."""
    tape = sent("a", "b").do("reserve", 5, job="b").do("reserve", 6, by="v", job="a")
    assert tape.result("order", SINGLE).verdict is Verdict.PASS
    assert tape.result("order", FIFO).verdict is Verdict.FAIL


def test_a_job_that_was_taken_unseen_has_no_place_in_the_order() -> None:
    """A ghost may have had it first."""
    tape = sent("a", "b").do("reserve", 4, by="x", end=OPEN)
    tape.do("reserve", 5, job="b").do("reserve", 30, job="a")
    assert tape.result("order", FIFO).verdict is Verdict.PASS


def test_a_number_tells_a_first_delivery_from_a_later_one() -> None:
    """So that ghosts do not blind the check."""
    for number, verdict in [(1, Verdict.FAIL), (2, Verdict.PASS)]:
        tape = sent("a", "b").do("reserve", 4, by="x", end=OPEN)
        tape.do("reserve", 5, job="b", number=1).do("reserve", 30, job="a", number=number)
        assert tape.result("order", FIFO).verdict is verdict


def test_delayed_jobs_have_no_place_in_the_order() -> None:
    """They come when they are due."""
    tape = Tape().do("enqueue", 0, job="a", delay=5.0).do("enqueue", 1, job="b")
    tape.do("reserve", 2, job="b").do("reserve", 6, job="a")
    assert tape.result("order", FIFO).verdict is Verdict.PASS


def test_each_level_and_each_queue_has_an_order_of_its_own() -> None:
    """A less urgent job may come later."""
    tape = Tape().do("enqueue", 0, job="a").do("enqueue", 1, job="b", priority=1)
    tape.do("enqueue", 1, job="c", queue="other")
    tape.do("reserve", 2, job="c", queue="other").do("reserve", 3, job="b")
    tape.do("reserve", 4, job="a")
    assert tape.result("order", FIFO).verdict is Verdict.PASS


def keyed() -> Tape:
    """Two jobs of one key, and one of another."""
    tape = Tape().do("enqueue", 0, job="a", key="k").do("enqueue", 1, job="b", key="k")
    return tape.do("enqueue", 2, job="c", key="l").do("enqueue", 3, job="d")


def test_a_key_waits_for_its_earlier_jobs() -> None:
    """A job is delivered when all earlier ones of its key are settled."""
    right = keyed().do("reserve", 4, job="a").do("ack", 5, job="a").do("reserve", 6, job="b")
    wrong = keyed().do("reserve", 4, job="a").do("reserve", 6, job="b").do("ack", 7, job="a")
    assert right.result("order", BY_KEY).verdict is Verdict.PASS
    assert wrong.result("order", BY_KEY).verdict is Verdict.FAIL


def test_other_keys_do_not_wait() -> None:
    """Neither do jobs without a key."""
    tape = keyed().do("reserve", 4, job="a").do("reserve", 5, job="c").do("reserve", 6, job="d")
    assert tape.result("order", BY_KEY).verdict is Verdict.PASS


def levels() -> Tape:
    """A job, and a more urgent one after it."""
    return Tape().do("enqueue", 0, job="low").do("enqueue", 1, job="high", priority=2)


def test_the_more_urgent_job_goes_first() -> None:
    """Of what is ready before a reserve begins."""
    right = levels().do("reserve", 5, job="high").do("reserve", 6, job="low")
    wrong = levels().do("reserve", 5, job="low").do("reserve", 6, job="high")
    assert right.result("priority", BY_LEVEL).verdict is Verdict.PASS
    assert wrong.result("priority", BY_LEVEL).verdict is Verdict.FAIL
    assert wrong.result("priority").verdict is Verdict.NOT_CLAIMED


def test_a_reserve_that_had_begun_may_miss_a_more_urgent_job() -> None:
    """It was not ready when the reserve looked."""
    tape = Tape().do("enqueue", 0, job="low").do("reserve", 0.5, took=2, job="low")
    tape.do("enqueue", 1, job="high", priority=2).do("reserve", 5, job="high")
    assert tape.result("priority", BY_LEVEL).verdict is Verdict.PASS
