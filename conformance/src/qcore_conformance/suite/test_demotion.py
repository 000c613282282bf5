"""Servers that take no writes for a while: demoted to replicas, or still loading."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.faults import Faults
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, taken
from qcore_conformance.servers import Server
from qcore_conformance.waiting import scaled

_IMPATIENT = 0.3
_PATIENT = 60.0

_WAYS: Mapping[str, Callable[[Faults, Server], AbstractContextManager[None]]] = {
    "demoted": lambda faults, server: faults.demoted(server),
    "loading": lambda faults, server: faults.loading(server),
}
_each_way = pytest.mark.parametrize("way", _WAYS)


def _own(bed: Bed) -> Server:
    bed.need_tier(4)
    server = bed.server()
    connection = bed.connect(bed.url_at(server.address))
    for name in ("durability:process", "stats", "lease"):
        if name not in connection.capabilities:
            raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
    return server


@_each_way
@invariant("Q-REC-14")
def test_a_server_that_takes_no_writes_is_unavailable_and_nothing_was_done(
    bed: Bed, way: str
) -> None:
    """An error that says so, which repeating can help; afterwards all is as it was."""
    server = _own(bed)
    queue = bed.connect(bed.url_at(server.address, patience=_IMPATIENT)).queue("q")
    queue.enqueue_many([b"held", b"ready"])
    held = taken(queue, LONG)

    with _WAYS[way](bed.harness.faults, server):
        errors = at_once(
            partial(_refused, lambda: queue.enqueue(b"never")),
            partial(_refused, lambda: queue.reserve(timeout=_IMPATIENT)),
            partial(_refused, held.ack),
        )

    assert [type(error) for error in errors] == [qcore.Unavailable] * 3
    assert all(error.retryable for error in errors)
    bed.until(lambda: counts(queue) == {"ready": 1, "held": 1}, "all is as it was", 30.0)
    held.ack()
    assert len(drained(queue)) == 1


def _refused(act: Callable[[], object]) -> qcore.QcoreError:
    with pytest.raises(qcore.QcoreError) as told:
        act()
    return told.value


@_each_way
@invariant("Q-REC-14")
def test_who_is_patient_goes_on_when_a_server_takes_writes_again(bed: Bed, way: str) -> None:
    """Calls that were made meanwhile are done once, and who waited for jobs gets one."""
    server = _own(bed)
    url = bed.url_at(server.address, patience=scaled(_PATIENT))
    queue, other = bed.connect(url).queue("q"), bed.connect(url).queue("other")
    queue.enqueue(b"held")
    held = taken(queue, LONG)
    waiting = bed.start(lambda: other.reserve(timeout=None))
    pass_time(time.monotonic() + 0.1)

    with _WAYS[way](bed.harness.faults, server):
        storing = bed.start(lambda: queue.enqueue(b"meanwhile"))
        acking = bed.start(held.ack)
        sending = bed.start(lambda: other.enqueue(b"awaited"))
        pass_time(time.monotonic() + 0.2)

    for one in (storing, acking, sending):
        one.result(scaled(_PATIENT))
    found = waiting.result(scaled(_PATIENT))
    assert found is not None
    found.ack()
    assert [one.job.body for one in drained(queue)] == [b"meanwhile"]
    assert counts(queue) == {"acked": 2}
    assert counts(other) == {"acked": 1}
