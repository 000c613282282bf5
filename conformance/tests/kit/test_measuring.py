"""The kit tells what a process takes of its machine from what the machine takes from it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from qcore_conformance.measuring import Footprint, starved_seconds

_BURNS = "while True: pass"


def test_a_thread_that_shares_its_processor_knows_how_long_it_was_kept_waiting() -> None:
    """Spinning beside another one, it runs half of the time, and waits the rest."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system pins no process to a processor")
    told: list[float] = []

    def spin(processor: int) -> None:
        os.sched_setaffinity(threading.get_native_id(), {processor})
        began, ran, starved = time.monotonic(), time.thread_time(), starved_seconds()
        while time.thread_time() - ran < 0.2:
            pass
        idle = time.monotonic() - began - (time.thread_time() - ran)
        told.extend((idle, starved_seconds() - starved))

    with subprocess.Popen([sys.executable, "-c", _BURNS]) as burner:  # noqa: S603  (its own words)
        try:
            processor = min(os.sched_getaffinity(0))
            os.sched_setaffinity(burner.pid, {processor})
            thread = threading.Thread(target=spin, args=[processor])
            thread.start()
            thread.join()
        finally:
            burner.kill()

    idle, starved = told
    assert starved > 0.01
    assert starved == pytest.approx(idle, rel=0.2)


def test_a_thread_that_sleeps_is_not_starved() -> None:
    """It asks for nothing."""
    starved = starved_seconds()
    threading.Event().wait(0.5)
    assert starved_seconds() - starved < 0.1


def test_a_footprint_exceeds_another_in_anything() -> None:
    """One more file is more, whatever became of the threads."""
    one = Footprint(threads=3, descriptors=10)
    assert one.plus(2) == Footprint(5, 12)
    assert Footprint(2, 11).exceeds(one)
    assert not one.exceeds(one)
