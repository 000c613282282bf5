"""Where jobs of one level stand: as far as that is promised, and no further.

A place is an interval of ranks. One job must come before another only if its whole interval lies
before the other's; so what an adapter leaves open is open here too.
"""

from __future__ import annotations

import math

import attrs

__all__ = ["ANYWHERE", "Line", "Mark", "Rank"]


@attrs.frozen
class Rank:
    """Between which two points a job stands; smaller comes first."""

    low: float
    high: float

    def before(self, other: Rank) -> bool:
        """Whether it must come before the other."""
        return self.high < other.low

    def hull(self, other: Rank) -> Rank:
        """Here or there."""
        return Rank(min(self.low, other.low), max(self.high, other.high))


ANYWHERE = Rank(-math.inf, math.inf)
_RETURNED = Rank(-math.inf, 0.0)
"""Somewhere among what came back, before all that is new."""


@attrs.frozen
class Mark:
    """Both ends of a line at one moment."""

    front: int
    back: int


@attrs.define
class Line:
    """Gives out places as the capabilities ``order`` and ``reentry`` promise them.

    Args:
        reentry: Where jobs come back: ``head``, ``tail``, ``before_new``; otherwise anywhere.
        ordered: Whether new jobs are handed out in the order in which they came.
    """

    reentry: str
    ordered: bool
    _front: int = 0
    _back: int = 0

    def mark(self) -> Mark:
        """The ends as they are now."""
        return Mark(self._front, self._back)

    def new(self) -> Rank:
        """The place of a new job: behind all others."""
        if not self.ordered:
            return ANYWHERE
        self._back += 1
        return Rank(self._back, self._back)

    def returned(self) -> Rank:
        """The place of what comes back now; what comes back together shares it."""
        if self.ordered and self.reentry == "head":
            self._front -= 1
            return Rank(self._front, self._front)
        if self.ordered and self.reentry == "tail":
            return self.new()
        return self._somewhere()

    def redriven(self) -> Rank:
        """The place of what is redriven now."""
        if self.ordered and self.reentry in ("head", "tail"):
            return self.new()
        return self._somewhere()

    def returning(self, since: Mark) -> Rank:
        """The place of what may have come back by itself at any time since a moment."""
        if self.ordered and self.reentry == "head":
            return Rank(-math.inf, since.front - 0.5)
        if self.ordered and self.reentry == "tail":
            return Rank(since.back + 0.5, math.inf)
        return self._somewhere()

    def back_since(self, since: Mark) -> Rank:
        """The place of what has been seen to have come back by itself since a moment."""
        found = self.returning(since)
        if self.ordered and self.reentry == "head":
            self._front -= 1
            return Rank(self._front, found.high)
        if self.ordered and self.reentry == "tail":
            self._back += 1
            return Rank(found.low, self._back)
        return found

    def _somewhere(self) -> Rank:
        return _RETURNED if self.ordered and self.reentry == "before_new" else ANYWHERE
