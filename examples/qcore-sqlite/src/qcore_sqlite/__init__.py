"""``sqlite:///path/jobs.db``: queues in one file, shared by the processes of one machine."""

from __future__ import annotations

from qcore_sqlite.adapter import SqliteAdapter

__all__ = ["adapter"]

adapter = SqliteAdapter()
