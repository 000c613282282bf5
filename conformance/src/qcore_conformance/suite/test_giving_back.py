"""Giving jobs back: released at once and uncounted, retried later and counted, lost never."""

from __future__ import annotations

import random
import threading
import time

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import CLOCKS, LONG, drained, quiet, taken
from qcore_conformance.waiting import scaled

_ENDLESS = qcore.RetryPolicy(max_attempts=None, first_delay=0.0)


@invariant("Q-REL-01")
def test_a_released_job_can_be_taken_at_once(bed: Bed) -> None:
    """By anybody, though its lease would have gone on for long, and unchanged."""
    queue, other = bed.queue(), bed.connect().queue("q")
    job_id = queue.enqueue(b"\x00body", headers={"k": "v"})
    for giver, getter in ((queue, other), (other, queue), (queue, queue)):
        delivery = taken(giver, LONG)
        before = time.monotonic()

        delivery.release()

        again = taken(getter, LONG)
        assert time.monotonic() - before < scaled(5.0)
        assert (again.job.id, again.job.body) == (job_id, b"\x00body")
        assert dict(again.job.headers) == {"k": "v"}
        again.release()


@invariant("Q-REL-01")
def test_a_release_wakes_whoever_waits(bed: Bed) -> None:
    """A consumer that sleeps gets the job, without waiting for the lease."""
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue(b"")
    delivery = taken(queue, LONG)
    found: list[tuple[float, qcore.Delivery]] = []

    def wait() -> None:
        arrived = taken(other, LONG)
        found.append((time.monotonic(), arrived))

    sleeper = threading.Thread(target=wait)
    sleeper.start()
    time.sleep(scaled(0.2))
    before = time.monotonic()
    delivery.release()
    sleeper.join()

    woken, again = found[0]
    bed.figure("wake after release", (woken - before) * 1000, "ms")
    assert woken - before < scaled(2.0)
    again.ack()


@invariant("Q-REL-02")
def test_release_is_not_counted_and_retry_is(bed: Bed) -> None:
    """As an attempt; each counts as a delivery."""
    if not bed.claims("retry", "attempts"):
        raise NotApplicable("attempts are not counted")
    queue = bed.queue()
    queue.enqueue(b"")

    seen: list[tuple[int, int]] = []
    for give_back in ("release", "retry", "release", "release", "retry", "ack"):
        delivery = taken(queue, LONG)
        seen.append((delivery.number, delivery.attempt))
        queue.settle_many([qcore.Settlement(delivery, qcore.Verb(give_back))])

    assert seen == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3)]
    assert quiet(queue)


@invariant("Q-RETRY-01")
@pytest.mark.parametrize("patience", [5.0, 0.0], ids=["asleep", "asking"])
def test_a_retried_job_comes_back_when_it_is_due(bed: Bed, patience: float) -> None:
    """Neither before nor much later, to one who sleeps as to one who asks again and again."""
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue(b"")
    delivery = taken(queue, LONG)
    delay = scaled(0.5)

    asked = time.monotonic()
    delivery.retry(delay, "later")
    told = time.monotonic()
    again = None
    while again is None and time.monotonic() < told + delay + scaled(10.0):
        again = other.reserve(timeout=scaled(patience), lease=LONG)
    came = time.monotonic()

    assert again is not None
    bed.figure("retry came late by", (came - told - delay) * 1000, "ms")
    assert came - asked >= delay - CLOCKS
    assert came - told <= delay + bed.slack
    again.ack()


@invariant("Q-REL-04")
def test_jobs_given_back_are_never_lost(bed: Bed) -> None:
    """Released, retried and failed in turn, each is acked in the end, once."""
    verbs = [verb for verb in ("release", "retry") if bed.claims(verb)]
    if not verbs:
        raise NotApplicable("no job can be given back")
    # Without an end of attempts, since chance knows none.
    queue = bed.queue(retry=_ENDLESS) if bed.claims("retry") else bed.queue()
    expected = sorted(queue.enqueue_many([b"%d" % number for number in range(50)]))
    chance, acked = random.Random(11), list[str]()

    while len(acked) < len(expected):
        delivery = taken(queue, LONG)
        verb = chance.choice([*verbs, "ack"])
        assert queue.settle_many([qcore.Settlement(delivery, qcore.Verb(verb))]) == [True]
        if verb == "ack":
            acked.append(delivery.job.id)

    assert sorted(acked) == expected
    assert quiet(queue)
    if bed.claims("stats"):
        stats = queue.stats()
        assert (stats.enqueued, stats.acked) == (50, 50)
        assert stats.ready == stats.delayed == stats.held == stats.dead == 0


@invariant("Q-REL-04")
def test_a_job_whose_work_failed_comes_back(bed: Bed) -> None:
    """An exception retries it and an interruption releases it; both go on as they were."""
    if not bed.claims("retry", "release"):
        raise NotApplicable("no job can be given back")
    queue = bed.queue(retry=_ENDLESS)
    job_id = queue.enqueue(b"")

    for error in (ZeroDivisionError, SystemExit, KeyError, GeneratorExit):
        with pytest.raises(error), taken(queue, LONG):
            raise error

    assert [delivery.job.id for delivery in drained(queue)] == [job_id]
