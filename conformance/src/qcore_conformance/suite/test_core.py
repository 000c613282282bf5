"""Capability honesty and core: what goes in comes out, and closed is closed."""

from __future__ import annotations

import threading
import time

import pytest
import qcore

from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant


@invariant("Q-CORE-01")
def test_a_job_comes_out_as_it_went_in(bed: Bed) -> None:
    """Id, bytes, headers and time of the enqueue survive the journey."""
    queue = bed.queue()
    queue.subscribe()
    before = time.time()

    job_id = queue.enqueue(b"\x00body\xff", headers={"k": "v", "ü": ""})

    delivery = queue.reserve(timeout=5.0)
    assert delivery is not None
    assert (job_id, b"\x00body\xff", {"k": "v", "ü": ""}) == (
        delivery.job.id,
        delivery.job.body,
        dict(delivery.job.headers),
    )
    assert before - 0.01 <= delivery.job.enqueued_at <= time.time() + 0.01
    delivery.ack()


@invariant("Q-CORE-02")
@pytest.mark.parametrize("timeout", [0.0, 0.3])
def test_an_empty_queue_gives_nothing_when_the_time_is_over(bed: Bed, timeout: float) -> None:
    """Emptiness is no error, and is reported neither early nor much too late."""
    queue = bed.queue()
    queue.subscribe()
    began = time.monotonic()

    delivery = queue.reserve(timeout=timeout)

    took = time.monotonic() - began
    assert delivery is None
    assert timeout - 0.01 <= took <= timeout + bed.slack


@invariant("Q-CORE-06")
def test_close_wakes_a_blocked_reserve(bed: Bed) -> None:
    """A reserve without end ends with ``Closed`` when its connection is closed."""
    connection = bed.connect()
    queue = connection.queue("q")
    queue.subscribe()
    outcome: list[BaseException | None] = []

    def block() -> None:
        try:
            queue.reserve(timeout=None)
        except qcore.QcoreError as error:
            outcome.append(error)

    thread = threading.Thread(target=block)
    thread.start()
    time.sleep(0.1)
    connection.close()
    thread.join(timeout=5.0)

    assert not thread.is_alive()
    assert isinstance(outcome[0], qcore.Closed)
    connection.close()
