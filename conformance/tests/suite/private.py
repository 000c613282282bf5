"""Brokers of one's own, in a folder that goes with the test session."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from qcore_conformance.harnesses import RedisHarness
from qcore_sqlite.harness import SqliteHarness

__all__ = ["PrivateRedis", "PrivateSqlite"]


class PrivateRedis(RedisHarness):
    """An adapter on a private server.

    Args:
        scheme: The scheme of the adapter, without a topology.
    """

    def __init__(self, scheme: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="qcore-"))
        super().__init__(f"{scheme}+embedded://{self._folder}")

    def stop(self) -> None:
        """Remove what the server kept."""
        shutil.rmtree(self._folder, ignore_errors=True)


class PrivateSqlite(SqliteHarness):
    """The SQLite adapter on a file of one's own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="qcore-"))
        super().__init__(f"sqlite://{self._folder}/jobs.db")

    def stop(self) -> None:
        """Remove the file."""
        shutil.rmtree(self._folder, ignore_errors=True)
