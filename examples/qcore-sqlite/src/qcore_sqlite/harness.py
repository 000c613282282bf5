"""How the conformance suite reaches this adapter. Needs the package ``qcore-conformance``."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from qcore.url import parse_url
from qcore_conformance.harness import UrlHarness

__all__ = ["SqliteHarness"]

_ROWS = """
    SELECT 'job ' || id FROM jobs WHERE queue GLOB :queues
    UNION ALL SELECT 'known ' || word FROM known WHERE queue GLOB :queues
    UNION ALL SELECT 'counter ' || name FROM counters WHERE queue GLOB :queues
"""
_PLANT = """
    INSERT INTO jobs (queue, id, envelope, level, place, state, until, keep, enqueued, changed)
    VALUES (?, 'planted', ?, 4, 0, 'ready', 0, '{}', 0, 0)
"""


class SqliteHarness(UrlHarness):
    """A file that the processes of this machine share; there is no server to stop."""

    exclusive = True

    def url(self, namespace: str) -> str:
        """The file with a namespace of its own and a short lease."""
        return f"{super().url(namespace)}&lease=2s"

    def leftovers(self, namespace: str) -> Sequence[str]:
        """Every row of a namespace."""
        with closing(self._file()) as db:
            return [row[0] for row in db.execute(_ROWS, {"queues": f"{namespace}/*"})]

    def residue(self) -> Sequence[str]:
        """What came and went, and the names that callers gave, until their window is over."""
        return ["counter *", "known *"]

    def plant(self, namespace: str, queue: str, raw: bytes) -> bool:
        """Store a job whose envelope is ``raw``."""
        with closing(self._file()) as db, db:
            db.execute(_PLANT, (f"{namespace}/{queue}", raw))
        return True

    def _file(self) -> sqlite3.Connection:
        return sqlite3.connect(parse_url(self.url("any")).path)
