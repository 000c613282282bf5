"""Signals that strike the SQLite adapter at the edges of a transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

import qcore


class _Struck:
    """A connection whose user is struck by a signal as soon as a statement is done."""

    def __init__(self, db: sqlite3.Connection, statement: str) -> None:
        self._db = db
        self._statement = statement

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def execute(self, statement: str, *args: Any) -> sqlite3.Cursor:
        """Execute it; the handler of the signal raises."""
        done = self._db.execute(statement, *args)
        if statement == self._statement:
            self._statement = ""
            raise KeyboardInterrupt
        return done


@pytest.mark.parametrize(
    ("statement", "stored"), [("BEGIN IMMEDIATE", []), ("COMMIT", [b"struck"])]
)
def test_a_signal_at_the_edge_of_a_transaction_leaves_none_open(
    tmp_path: Path, statement: str, stored: list[bytes]
) -> None:
    """Whoever goes on behind it can; what was done is done, and the rest is not."""
    with qcore.connect(f"sqlite://{tmp_path}/jobs.db") as connection:
        queue = connection.queue("q")
        backend: Any = queue.session.backend
        backend._db = _Struck(backend._db, statement)  # noqa: SLF001  (where signals strike)

        with pytest.raises(KeyboardInterrupt):
            queue.enqueue(b"struck")

        queue.enqueue(b"after")
        bodies = [job.job.body for job in queue.peek() if job.job]
        assert bodies == [*stored, b"after"]
