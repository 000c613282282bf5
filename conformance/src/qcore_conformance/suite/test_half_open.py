"""Sleepers that the broker believes to be there, and that nobody hears any more."""

from __future__ import annotations

import time

import pytest

from qcore_conformance.acts import sleeping
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.pipes import Stage
from qcore_conformance.scenes import LONG, pass_time
from qcore_conformance.suite.aftermath import FRESH, collect


@pytest.mark.parametrize("leases", [0.0, 1.3], ids=["at-once", "after-a-lease"])
@invariant("Q-REC-05")
def test_a_job_that_is_handed_to_a_ghost_is_recovered(bed: Bed, leases: float) -> None:
    """The line of a sleeper went dead without a word; another one sleeps beside it."""
    if not bed.claims("lease", "stats"):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim 'lease' and 'stats'")
    server = bed.server()
    proxy = bed.proxy(server)
    ghost = bed.act(sleeping.sleep_until_a_job_comes, bed.url_at(proxy.address), bed.lease)
    ghost.heard("sleeps")
    bed.until(lambda: any(one.stage is Stage.SENT for one in proxy.log), "somebody sleeps")
    proxy.half_open()
    other = bed.act(sleeping.sleep_until_a_job_comes, bed.url_at(server.address), bed.lease)
    other.heard("sleeps")
    pass_time(time.monotonic() + leases * bed.lease)
    queue = bed.connect(bed.url_at(server.address)).queue("q")
    given = time.monotonic()
    job = queue.enqueue(b"0")

    # A ghost that was not asleep yet comes back by a new line, and may be the first.
    said = bed.until(
        lambda: [*other.all_heard("came"), *ghost.all_heard("came")], "the job came", LONG
    )
    came = said[0]

    assert time.monotonic() - given <= bed.lease + bed.recovery + bed.slack
    assert came[0] == job
    assert not bed.claims("attempts") or came[1:] == FRESH
    bed.until(lambda: counts(queue) == {"acked": 1}, "it is done once")


@invariant("Q-REC-05")
def test_a_job_that_is_handed_to_a_frozen_sleeper_is_recovered(bed: Bed) -> None:
    """Its reply lies in the socket of a process that stands still, and that wakes to nothing."""
    if not bed.claims("lease"):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim 'lease'")
    queue = bed.queue()
    sleeper = bed.act(sleeping.sleep_until_a_job_comes, "", bed.lease)
    sleeper.heard("sleeps")
    pass_time(time.monotonic() + 0.3)
    sleeper.pause()
    job = queue.enqueue(b"0")

    (came,) = collect(bed, queue, 1)

    assert came.delivery.job.id == job
    assert not bed.claims("attempts") or (came.delivery.attempt, came.delivery.crashes) == FRESH
    sleeper.resume()
    second = queue.enqueue(b"1")
    assert sleeper.heard("came", within=LONG)[0] == second
