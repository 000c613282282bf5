"""The ids and dedup keys that callers gave, which a queue in memory knows for a while."""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from qcore.backend import Enqueue

__all__ = ["Known"]


@attrs.define
class _Join:
    """Who has asked for a job so far, and until when that is known."""

    members: set[str] = attrs.field(factory=set[str])
    until: float = 0.0


@attrs.define
class Known:
    """For which job each key stands, and until when; and whose jobs went to another queue."""

    _keys: dict[str, tuple[str, float]] = attrs.field(factory=dict[str, tuple[str, float]])
    _left: set[str] = attrs.field(factory=set[str])
    _joins: dict[str, _Join] = attrs.field(factory=dict[str, _Join])
    _look_at: float = math.inf
    """Nobody who asked is forgotten before this moment."""

    def forget(self, now: float) -> None:
        """Drop what is known no longer."""
        if self._look_at <= now:
            self._joins = {name: one for name, one in self._joins.items() if one.until > now}
            self._look_at = min((one.until for one in self._joins.values()), default=math.inf)
        # Keys are known for one window, so the oldest come first.
        while self._keys:
            oldest = next(iter(self._keys))
            if self._keys[oldest][1] > now:
                break
            del self._keys[oldest]
            self._left.discard(oldest)

    def first(self, keys: Iterable[str]) -> str | None:
        """The job for which the first of these keys stands that is known."""
        return next((self._keys[key][0] for key in keys if key in self._keys), None)

    def waits_for_others(self, job: Enqueue, now: float) -> bool:
        """Note who asks for a job; whether others have to ask for it as well."""
        if job.join is None:
            return False
        join = self._joins.setdefault(job.id, _Join())
        join.members.add(job.join.member)
        join.until = now + job.join.within_ms / 1000
        self._look_at = min(self._look_at, join.until)
        if len(join.members) < job.join.of:
            return True
        del self._joins[job.id]
        return False

    def add(self, key: str, job_id: str, until: float) -> None:
        """Know a key, for as long as all others or longer."""
        self._keys[key] = (job_id, until)

    def ids(self) -> set[str]:
        """The ids that callers gave, but for those whose jobs left."""
        return {key[3:] for key in self._keys.keys() - self._left if key.startswith("id ")}

    def part_with(self, job_id: str) -> float | None:
        """Note that a job leaves; until when its id is known, if a caller gave it."""
        key = f"id {job_id}"
        if key not in self._keys:
            return None
        self._left.add(key)
        return self._keys[key][1]

    def welcome(self, job_id: str, until: float | None) -> None:
        """Note that a job came, and until when its id is known, if a caller gave it."""
        self._left.discard(f"id {job_id}")
        if until is not None:
            self.add(f"id {job_id}", job_id, until)
            self._keys = dict(sorted(self._keys.items(), key=lambda item: item[1][1]))
