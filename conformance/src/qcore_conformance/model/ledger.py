"""All that the model knows of one queue, and how it objects."""

from __future__ import annotations

import attrs

from .entries import Entry, Place, Span, Terms
from .order import Line, Rank

__all__ = ["Differs", "Ledger", "check"]


class Differs(AssertionError):
    """An answer that the model does not allow."""


def check(allowed: object, objection: str) -> None:
    """Object to an answer unless it is allowed.

    Raises:
        Differs: If it is not.
    """
    if not allowed:
        raise Differs(objection)


@attrs.define(eq=False)
class Ledger:
    """The jobs of one queue.

    Attributes:
        terms: What the adapter promises.
        acked: How many jobs are done.
        dropped: How many were dropped.
        paused: Whether it gives nothing out.
        line: Gives out places among the ready.
        jobs: Each job that was ever enqueued, by its id.
    """

    terms: Terms
    acked: int = 0
    dropped: int = 0
    paused: bool = False
    jobs: dict[str, Entry] = attrs.field(factory=dict[str, Entry])
    line: Line = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.line = Line(self.terms.reentry, ordered=self.terms.order == "fifo")

    def entries(self, *places: Place) -> list[Entry]:
        """The jobs that were last known to be there; everywhere if none is named."""
        found = self.jobs.values()
        return [one for one in found if not places or one.place in places]

    def unsettled(self, span: Span) -> bool:
        """Whether a job may have left the place where it was last known to be."""
        return any(len(one.places(span, self.terms)) > 1 for one in self.entries())

    def watch(self, span: Span) -> None:
        """Note for what may happen by itself by now how long the line is before it does."""
        for entry in self.entries():
            if entry.mark is None and entry.may_turn(span):
                entry.mark = self.line.mark()

    def narrow(self, entry: Entry, attempt: int, crashes: int) -> None:
        """Hear how often a job was tried and crashed."""
        found, expected = (attempt, crashes), sorted(entry.counts)
        check(
            found in entry.counts,
            f"{entry} has attempt and crashes {found}, not {' or '.join(map(str, expected))}",
        )
        entry.counts = frozenset({found})

    def before(self, one: Entry, other: Entry) -> bool:
        """Whether a ready job must be handed out before another."""
        if one.priority != other.priority:
            return one.priority > other.priority
        return self._standing(one).before(self._standing(other))

    def _standing(self, entry: Entry) -> Rank:
        rank = entry.rank
        if entry.place is not Place.READY and entry.mark is not None:
            rank = self.line.returning(entry.mark)
        return rank if entry.ghost is None else rank.hull(entry.ghost)
