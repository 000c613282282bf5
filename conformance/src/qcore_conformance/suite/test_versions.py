"""Jobs of writers that are newer than their readers."""

from __future__ import annotations

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotRun
from qcore_conformance.scenes import drained, taken

_NEWER = {"zone": "eu", "nested": {"deep": [1, None]}}
_FIELDS = b'1{"t":1767225600000,"h":{"k":"v"},"zone":"eu","nested":{"deep":[1,null]}}\nbody'
"""An envelope of today with fields that nobody knows yet; its form is part of the data model."""
_FORMAT = b'2{"t":1767225600000}\nbody'
"""An envelope of a form that nobody reads yet."""


def _planted(bed: Bed, raw: bytes) -> qcore.Queue:
    queue = bed.queue()
    queue.subscribe()
    if not bed.harness.plant(bed.namespace, "q", raw):
        raise NotRun("the harness cannot store what a newer writer would")
    return queue


def _is_whole(job: qcore.Job | None) -> bool:
    return job is not None and (job.body, dict(job.headers), dict(job.extra)) == (
        b"body",
        {"k": "v"},
        _NEWER,
    )


@invariant("Q-REC-19")
def test_fields_of_a_newer_writer_are_kept(bed: Bed) -> None:
    """Through everything that can happen to a job, for the newer reader that may come."""
    queue = _planted(bed, _FIELDS)

    delivery = taken(queue)

    assert _is_whole(delivery.job)
    for way in ("release", "retry"):
        if bed.claims(way):
            getattr(delivery, way)()
            delivery = taken(queue)
            assert _is_whole(delivery.job), way
    if bed.claims("dead_letter", "peek", "redrive"):
        delivery.dead_letter("no good")
        assert _is_whole(queue.peek("dead")[0].job)
        queue.redrive()
        delivery = taken(queue)
        assert _is_whole(delivery.job), "redrive"
    delivery.ack()


@invariant("Q-REC-19")
def test_a_job_of_a_form_to_come_waits_for_who_can_read_it(bed: Bed) -> None:
    """It is set aside as it is, as often as it is sent back, and nobody waits behind it."""
    queue = _planted(bed, _FORMAT)
    today = queue.enqueue(b"today")

    assert [delivery.job.id for delivery in drained(queue)] == [today]
    if bed.claims("dead_letter", "peek", "redrive"):
        for _ in range(2):
            (kept,) = queue.peek("dead")
            assert (kept.raw, kept.job) == (_FORMAT, None)
            assert queue.redrive() == 1
            assert drained(queue) == []
        assert [one.raw for one in queue.peek("dead")] == [_FORMAT]
