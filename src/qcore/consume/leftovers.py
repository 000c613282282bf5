"""Jobs that came for a caller who has gone, where they cannot be given back to the broker.

An adapter whose settlement is automatic has forgotten a job as soon as it was taken, so the
connection keeps it for whoever takes next.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from qcore.backend import Taken, TakenJob

__all__ = ["Leftovers"]


class Leftovers:
    """Jobs by queue, in the order in which they came."""

    def __init__(self) -> None:
        self._jobs: defaultdict[str, deque[TakenJob]] = defaultdict(deque)

    def keep(self, queue: str, parts: Sequence[Taken]) -> None:
        """Keep the jobs of a take for the next one."""
        self._jobs[queue].extend(job for part in parts for job in part.jobs)

    def take(self, queue: str, limit: int) -> Taken | None:
        """Up to ``limit`` kept jobs; ``None`` if there are none."""
        kept = self._jobs[queue]
        jobs: list[TakenJob] = []
        while kept and len(jobs) < limit:
            jobs.append(kept.popleft())
        return Taken(jobs, more=True) if jobs else None
