"""The SQLite adapter where other processes write all the time."""

from __future__ import annotations

import importlib
import sqlite3
import threading
import time
from pathlib import Path

import pytest

import qcore
from qcore_conformance.waiting import scaled

_HELD, _FREE = 0.04, 0.004
"""Seconds for which the file is locked by others, over and over, and free in between."""


class _Crowd(threading.Thread):
    """Others that write over and over, with short gaps."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.writing, self.over = threading.Event(), threading.Event()
        self._path = path

    def run(self) -> None:
        db = sqlite3.connect(self._path, timeout=0.0, isolation_level=None)
        while not self.over.wait(_FREE):
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                continue
            self.writing.set()
            time.sleep(_HELD)
            self.writing.clear()
            db.execute("ROLLBACK")
        db.close()


def test_a_call_has_its_turn_however_short_the_gaps_are(tmp_path: Path) -> None:
    """Or the lease of what it acks runs out meanwhile."""
    path, waits = tmp_path / "jobs.db", list[float]()
    crowd = _Crowd(path)
    with qcore.connect(f"sqlite://{path}") as connection:
        queue = connection.queue("q")
        crowd.start()
        for _ in range(20):
            assert crowd.writing.wait(scaled(10.0))
            began = time.monotonic()
            queue.enqueue(b"")
            waits.append(time.monotonic() - began)
        crowd.over.set()
        crowd.join()
    assert max(waits) < scaled(0.5)


def test_a_file_that_stays_locked_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a while, and nothing is lost: the caller still has the job."""
    monkeypatch.setattr(importlib.import_module("qcore_sqlite.adapter"), "_BUSY", 0.2)
    path = tmp_path / "jobs.db"
    with qcore.connect(f"sqlite://{path}?patience=100ms") as connection:
        queue = connection.queue("q")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(qcore.Unavailable, match="locked"):
            queue.enqueue(b"")
        other.close()
        queue.enqueue(b"")
        assert queue.stats().ready == 1


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_a_wait_knows_of_what_came_since_the_last_look(tmp_path: Path, delay: float) -> None:
    """Another process may have enqueued it between the take and the wait."""
    with qcore.connect(f"sqlite://{tmp_path}/jobs.db") as connection:
        queue = connection.queue("q")
        assert queue.reserve(timeout=0.0) is None
        with qcore.connect(f"sqlite://{tmp_path}/jobs.db") as other:
            other.queue("q").enqueue(b"", delay=delay)
        began = time.monotonic()
        queue.session.backend.wait(["q"], scaled(5.0))
    assert time.monotonic() - began < scaled(1.0)
