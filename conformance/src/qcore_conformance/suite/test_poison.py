"""Poison: stored bytes that nobody can read stand in nobody's way, and are kept to be looked at."""

from __future__ import annotations

import logging

import pytest

from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotRun
from qcore_conformance.scenes import drained, quiet

_UNREADABLE = {
    "nothing": b"",
    "garbage": bytes(range(256)),
    "newer": b'9{"t":0}\nbody',
    "cut-off": b'1{"t":0}',
    "no-json": b"1{not json\nbody",
    "no-object": b"1[]\nbody",
    "wrong-field": b'1{"h":7}\nbody',
}


@invariant("Q-POISON-01")
@pytest.mark.parametrize("kind", _UNREADABLE)
def test_bytes_that_are_no_job_block_no_other_job(
    bed: Bed, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They are reported, and set aside with their bytes where there are dead letters."""
    caplog.set_level(logging.WARNING)
    queue, raw = bed.queue(), _UNREADABLE[kind]
    queue.subscribe()
    before = queue.enqueue(b"before")
    if not bed.harness.plant(bed.namespace, "q", raw):
        raise NotRun("the harness cannot store what is no job")
    after = queue.enqueue(b"after")

    found = [delivery.job.id for delivery in drained(queue)]

    assert sorted(found) == sorted([before, after])
    assert any(record.name.startswith("qcore") for record in caplog.records)
    if bed.claims("dead_letter", "peek"):
        (dead,) = queue.peek("dead")
        assert (dead.raw, dead.job) == (raw, None)
        assert dead.note


@invariant("Q-POISON-01")
def test_many_unreadable_jobs_block_no_other_job(bed: Bed) -> None:
    """More of them than are taken at once."""
    queue = bed.queue()
    queue.subscribe()
    for number in range(30):
        if not bed.harness.plant(bed.namespace, "q", b"poison %d" % number):
            raise NotRun("the harness cannot store what is no job")
    job_id = queue.enqueue(b"")

    assert [delivery.job.id for delivery in drained(queue)] == [job_id]
    assert quiet(queue)
