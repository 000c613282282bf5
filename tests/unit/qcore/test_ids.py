from __future__ import annotations

import os
import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, strategies as st

from qcore.clock import ManualClock
from qcore.ids import IdSource, new_nonce
from tests.unit.qcore.forking import in_child


def test_an_id_is_a_uuid_of_version_seven() -> None:
    """As 32 hexadecimal digits that begin with the milliseconds."""
    clock = ManualClock(start=1_767_225_600.0)
    made = IdSource(clock).new()

    assert re.fullmatch("[0-9a-f]{32}", made)
    parsed = uuid.UUID(made)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert int(made[:12], 16) == 1_767_225_600_000


@given(st.lists(st.sampled_from([0.0, 0.0001, 0.001, 5.0]), max_size=50))
def test_ids_of_one_source_sort_as_they_were_made(steps: list[float]) -> None:
    """Whether time stands still or passes."""
    clock = ManualClock()
    source = IdSource(clock)
    made = [source.new()]
    for step in steps:
        clock.advance(step)
        made.append(source.new())

    assert made == sorted(set(made))


def test_ids_go_on_when_the_clock_is_set_back() -> None:
    """By an hour, as clocks are."""
    clocks = iter([1000.0, 1000.0, 500.0, 500.0, 1000.001])

    class Jumping(ManualClock):
        def time(self) -> float:
            """The next of the given times."""
            return next(clocks)

    source = IdSource(Jumping())
    made = [source.new() for _ in range(5)]
    assert made == sorted(set(made))


def test_ids_go_on_when_a_millisecond_is_full() -> None:
    """The next one is begun early rather than a tail used twice."""

    def giant_steps(octets: int) -> bytes:
        return b"\xff" * max(octets, 9)

    source = IdSource(ManualClock(), entropy=giant_steps)
    made = [source.new() for _ in range(20)]

    assert made == sorted(set(made))
    assert made[0][:12] < made[-1][:12]


def test_threads_never_get_the_same_id() -> None:
    """One source serves all threads of a process."""
    source = IdSource(ManualClock())

    def make(_: int) -> list[str]:
        return [source.new() for _ in range(2000)]

    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(make, range(8)))

    assert len({one for made in lists for one in made}) == 16_000
    assert all(made == sorted(made) for made in lists)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_parent_and_child_never_make_the_same_id() -> None:
    """The child starts from fresh randomness, and from a lock that nobody holds."""
    parent = os.getpid()
    inside, may_go_on = threading.Event(), threading.Event()

    def entropy(octets: int) -> bytes:
        if os.getpid() == parent and threading.current_thread() is holder:
            inside.set()
            may_go_on.wait()
        return b"\x55" * octets if os.getpid() == parent else b"\xaa" * octets

    source = IdSource(ManualClock(), entropy)
    holder = threading.Thread(target=source.new)
    holder.start()
    inside.wait()
    said = in_child(lambda: " ".join(source.new() for _ in range(100)))
    may_go_on.set()
    holder.join()

    theirs = set(said.split())
    assert len(theirs) == 100
    assert theirs.isdisjoint({source.new() for _ in range(100)})


def test_a_nonce_is_never_used_again() -> None:
    """16 hexadecimal digits of randomness."""
    nonces = {new_nonce() for _ in range(1000)}
    assert len(nonces) == 1000
    assert all(re.fullmatch("[0-9a-f]{16}", nonce) for nonce in nonces)
