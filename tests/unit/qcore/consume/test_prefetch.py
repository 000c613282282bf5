from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from qcore.clock import ManualClock
from qcore.consume.prefetch import Buffer


def work(buffer: Buffer[int], clock: ManualClock, jobs: int, seconds: float) -> list[int]:
    """Work on jobs that each take so long; how many were taken each time."""
    limits: list[int] = []
    done = 0
    while done < jobs:
        if not buffer:
            limits.append(buffer.limit())
            buffer.fill(list(range(limits[-1])))
        assert buffer.next() is not None
        clock.advance(seconds)
        done += 1
    return limits


def test_the_first_is_taken_alone() -> None:
    """Nobody knows yet how long it takes."""
    clock = ManualClock()
    assert Buffer[int](50, clock.monotonic).limit() == 1


def test_short_jobs_are_taken_many_at_a_time() -> None:
    """As many as start within 50 ms, within the bound."""
    clock = ManualClock()
    assert work(Buffer[int](50, clock.monotonic), clock, 100, 0.0001)[1] == 50
    assert work(Buffer[int](50, clock.monotonic), clock, 100, 0.009)[1] == 5


def test_long_jobs_are_taken_one_by_one() -> None:
    """None is stranded behind another."""
    clock = ManualClock()
    assert set(work(Buffer[int](50, clock.monotonic), clock, 20, 1.0)) == {1}


def test_a_change_is_followed_within_few_jobs() -> None:
    """From short to long."""
    clock = ManualClock()
    buffer = Buffer[int](50, clock.monotonic)
    work(buffer, clock, 51, 0.0001)
    assert work(buffer, clock, 52, 1.0)[-1] == 1


def test_waiting_for_jobs_is_not_taken_for_work() -> None:
    """An idle hour does not make jobs look long."""
    clock = ManualClock()
    buffer = Buffer[int](50, clock.monotonic)
    work(buffer, clock, 51, 0.0001)
    assert buffer.limit() == 50
    clock.advance(3600.0)
    buffer.fill([1])
    buffer.next()
    clock.advance(0.0001)
    assert buffer.limit() == 50


def test_what_is_drained_is_not_handed_on() -> None:
    """And an empty buffer says so."""
    buffer = Buffer[int](50, ManualClock().monotonic)
    buffer.fill([1, 2, 3])
    assert (buffer.next(), len(buffer)) == (1, 2)
    assert buffer.drain() == [2, 3]
    assert (buffer.next(), buffer.drain(), len(buffer)) == (None, [], 0)


def test_each_item_goes_to_one_only() -> None:
    """While several threads hand on and one drains."""
    for _ in range(50):
        buffer = Buffer[int](50, ManualClock().monotonic)
        buffer.fill(list(range(300)))
        start = threading.Barrier(4)

        def hand_on(buffer: Buffer[int] = buffer, start: threading.Barrier = start) -> list[int]:
            start.wait()
            seen: list[int] = []
            while (item := buffer.next()) is not None:
                seen.append(item)
            return seen

        def drain(buffer: Buffer[int] = buffer, start: threading.Barrier = start) -> list[int]:
            start.wait()
            return buffer.drain()

        with ThreadPoolExecutor(4) as pool:
            parts = [pool.submit(one) for one in (hand_on, hand_on, hand_on, drain)]
            everything = [item for part in parts for item in part.result()]
        assert sorted(everything) == list(range(300))
