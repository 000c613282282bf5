from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore.clock import ManualClock, SystemClock
from qcore.errors import Unavailable
from qcore_redis.embedded.locks import Deadline, Lock


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    """The descriptor of an empty directory."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_a_deadline_counts_down_to_nothing() -> None:
    """What is left shrinks with time and is never negative."""
    clock = ManualClock()
    deadline = Deadline(2.0, clock)
    clock.advance(0.5)
    assert deadline.left() == 1.5
    clock.advance(5.0)
    assert deadline.left() == 0.0


def test_one_holder_excludes_others_until_it_releases(directory: int) -> None:
    """An exclusive lock is held once, a shared one by many."""
    first, second, third = (Lock(directory, "a.lock") for _ in range(3))
    assert first.attempt()
    assert not second.attempt()
    assert not second.attempt(shared=True)
    first.release()
    assert second.attempt(shared=True)
    assert third.attempt(shared=True)
    second.release()
    third.release()


def test_waiting_for_a_lock_ends_at_the_deadline(directory: int) -> None:
    """The error names the lock that somebody else did not give back."""
    holder, waiter = Lock(directory, "a.lock"), Lock(directory, "a.lock")
    holder.acquire(Deadline(0.0, ManualClock()))
    with pytest.raises(Unavailable, match=r"a\.lock"):
        waiter.acquire(Deadline(0.01, SystemClock()))
    holder.release()
    waiter.acquire(Deadline(0.0, ManualClock()))
    waiter.release()


def test_a_lock_is_not_inherited_by_programs(directory: int) -> None:
    """A program that a user started does not keep the server alive after the user."""
    lock, other = Lock(directory, "a.lock"), Lock(directory, "a.lock")
    assert lock.attempt()
    program = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, close_fds=False):  # noqa: S603 - constant
        lock.forget()
        # The program may still be about to replace its copy of this process.
        other.acquire(Deadline(5.0, SystemClock()))
    other.release()
