"""All that the model knows of one queue, and how it objects."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import attrs

from .entries import Entry, Place, Span, Terms
from .order import ANYWHERE, Line, Rank

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
        fair: Whether a job of a tenant came, so that tenants take turns.
        line: Gives out places among the ready.
        jobs: Each job that was ever enqueued, by its id.
    """

    terms: Terms
    acked: int = 0
    dropped: int = 0
    paused: bool = False
    fair: bool = False
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

    def must_come(self, entry: Entry, span: Span) -> bool:
        """Whether a take of this time must give a job, or another one before it."""
        return entry.must_come(span, self.terms) and self.room(entry) > 0

    def room(self, entry: Entry) -> float:
        """How many jobs like this one may surely be taken, as far as its gate goes."""
        return self._room(entry, self.entries(Place.HELD))

    def may_pass(self, entry: Entry, span: Span) -> bool:
        """Whether its gate may let a job go on."""
        return self._room(entry, self._surely_held(span)) > 0

    def passable(self) -> int:
        """How many jobs a consumer gets for sure, even if it gives none of them back."""
        ready = [one for one in self.entries(Place.READY) if not one.doubtful]
        waiting = Counter(one.gate for one in ready)
        room = {one.gate: max(0, self.room(one)) for one in ready}
        return int(sum(min(count, room[gate]) for gate, count in waiting.items()))

    def _surely_held(self, span: Span) -> list[Entry]:
        return [one for one in self.entries(Place.HELD) if not one.may_turn(span)]

    def _room(self, entry: Entry, held: Iterable[Entry]) -> float:
        if entry.gate is None or entry.gate.concurrency is None:
            return math.inf
        inside = sum(one.gate == entry.gate for one in held if one is not entry)
        return entry.gate.concurrency - inside

    def before(self, one: Entry, other: Entry) -> bool:
        """Whether a ready job must be handed out before another."""
        if one.priority != other.priority:
            return one.priority > other.priority
        return self._in_one_line(one, other) and self._standing(one).before(self._standing(other))

    def _in_one_line(self, one: Entry, other: Entry) -> bool:
        """Whether two jobs of a level wait for each other; what comes out of hands goes first."""
        flows = {one.flow, other.flow}
        return one.gate == other.gate and (not self.fair or None in flows or len(flows) == 1)

    def _standing(self, entry: Entry) -> Rank:
        rank = entry.rank
        if entry.place is not Place.READY and entry.mark is not None:
            rank = self.returning(entry, self.line.returning(entry.mark))
        return rank if entry.ghost is None else rank.hull(entry.ghost)

    def returning(self, entry: Entry, rank: Rank) -> Rank:
        """Where a job comes back: with a gate or among tenants only what was in hand is first."""
        is_loose = entry.place is not Place.HELD and (self.fair or entry.gate is not None)
        return ANYWHERE if is_loose else rank
