"""What the model knows of one job: where it may be, and what it may have done by itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Set as AbstractSet
from enum import StrEnum

import attrs

import qcore
from qcore_conformance.scenes import CLOCKS

from .drafts import Draft
from .order import Mark, Rank

__all__ = ["FRESH", "Counts", "Entry", "Place", "Span", "Terms"]


class Place(StrEnum):
    """Where a job is; the first four are the states that can be looked at."""

    READY = "ready"
    DELAYED = "delayed"
    HELD = "held"
    DEAD = "dead"
    GONE = "gone"


@attrs.frozen
class Span:
    """The time of a call, by the caller's monotonic clock: it took effect somewhere in between."""

    begin: float
    end: float

    def after(self, seconds: float) -> Span:
        """When something ends that began with the call and lasts so long."""
        return Span(self.begin + seconds - CLOCKS, self.end + seconds + CLOCKS)


@attrs.frozen
class Terms:
    """What an adapter promises, as far as the model needs it.

    Attributes:
        order: The capability.
        reentry: The capability.
        attempts: Whether attempts, crashes and deliveries are counted.
        crash_limit: Crashes that make a job dead; ``None`` if nothing does.
        slack: Seconds by which a due job may be late.
        recovery: Seconds by which the job of an ended lease may be late.
    """

    order: str = "fifo"
    reentry: str = "head"
    attempts: bool = True
    crash_limit: int | None = 3
    slack: float = 0.25
    recovery: float = 2.0


Counts = AbstractSet[tuple[int, int]]
"""Attempt and crashes, as far as they are known."""
FRESH: Counts = frozenset({(1, 0)})
"""Those of a job that nobody has worked on."""


@attrs.define(eq=False)
class Entry:
    """One job.

    Attributes:
        id: Its id.
        draft: How it was enqueued.
        place: Where it was when it was last known for sure.
        rank: Its place among the ready.
        turn: When it leaves ``delayed`` or ``held`` by itself.
        mark: The line at the first moment at which it may have done so.
        ghost: Where it stands if somebody took it ahead and gave it back.
        least: Deliveries so far, at least.
        most: Deliveries so far, at most.
        counts: The attempt that is next or under way, and how many crashes there were; nothing if
            it is gone and nobody saw from where.
        begun: Whether work on it has begun for sure since it was handed out.
        doubtful: Whether it may have been dropped.
        hand: What the one who has it got.
        note: The last reason given.
        flow: In whose line it stands where tenants take turns; nobody's, if it comes out of hands.
        patience: How many of each other tenant may pass it; ``None`` where nobody counts.
        passed: How many did, by tenant.
        outcomes: What ended its deliveries, by their number, as far as that was seen.
        done: Whether it was acked.
        result: What its ack said.
    """

    id: str
    draft: Draft
    place: Place
    rank: Rank
    turn: Span | None = None
    mark: Mark | None = None
    ghost: Rank | None = None
    least: int = 0
    most: int = 0
    counts: Counts = FRESH
    begun: bool = True
    doubtful: bool = False
    hand: object = None
    note: str | None = None
    flow: str | None = None
    patience: int | None = None
    passed: Counter[str] = attrs.field(factory=Counter[str])
    outcomes: dict[int, str] = attrs.field(factory=dict[int, str])
    done: bool = False
    result: object = None

    def __str__(self) -> str:
        """Which job it is."""
        return f"job {self.body.decode()}"

    @property
    def body(self) -> bytes:
        """Its body."""
        return self.draft.body

    @property
    def priority(self) -> int:
        """Its level."""
        return self.draft.priority

    @property
    def tenant(self) -> str:
        """On whose behalf it is; empty if on nobody's."""
        return self.draft.tenant

    @property
    def gate(self) -> qcore.Gate | None:
        """How many of its kind may be in hand."""
        return self.draft.gate

    @property
    def due_flow(self) -> str:
        """The line of what becomes due for its tenant."""
        return f"{self.tenant}+"

    def is_of(self, tenant: str) -> bool:
        """Whether it may stand in the line of a tenant, or have stood there before it was taken."""
        return self.tenant == tenant and self.flow != self.due_flow

    def turns_by(self, moment: float) -> bool:
        """Whether its delay or its lease may end before then."""
        return self.turn is not None and self.turn.begin <= moment

    def may_turn(self, span: Span) -> bool:
        """Whether its delay or its lease may have ended before the call did."""
        return self.turns_by(span.end)

    def lost(self) -> Counts:
        """How often it was tried and crashed if its holder is lost: what was begun is counted."""
        counted = frozenset((attempt + 1, crashes + 1) for attempt, crashes in self.counts)
        return counted if self.begun else counted | self.counts

    def destinies(self, terms: Terms) -> AbstractSet[Place]:
        """Where the end of its delay or its lease may bring it."""
        if self.place is not Place.HELD or terms.crash_limit is None:
            return {Place.READY}
        return {_destiny(crashes, terms.crash_limit) for _, crashes in self.lost()}

    def may_come(self, span: Span, terms: Terms) -> bool:
        """Whether a take of this time may give it."""
        if self.place is Place.READY:
            return True
        return self.may_turn(span) and Place.READY in self.destinies(terms)

    def must_come(self, span: Span, terms: Terms) -> bool:
        """Whether a take of this time must give it, or another one before it."""
        if self.doubtful:
            return False
        if self.place is Place.READY:
            return True
        if self.turn is None or self.destinies(terms) != {Place.READY}:
            return False
        late = terms.recovery if self.place is Place.HELD else terms.slack
        return self.turn.end + late <= span.begin

    def places(self, span: Span, terms: Terms) -> AbstractSet[Place]:
        """Where it may be seen."""
        found = {self.place}
        if self.may_turn(span):
            found |= self.destinies(terms)
        if self.doubtful:
            found.add(Place.GONE)
        return found

    def turned(self, place: Place, terms: Terms) -> None:
        """Take note that it went there by itself."""
        if self.place is Place.HELD:
            limit = terms.crash_limit or math.inf
            self.counts = frozenset(one for one in self.lost() if _destiny(one[1], limit) is place)
            self.outcomes[self.least] = "exhaust" if place is Place.DEAD else "expire"
        self.move(place)

    def move(self, place: Place) -> None:
        """Be somewhere else now."""
        self.place = place
        self.turn = self.mark = self.hand = None


def _destiny(crashes: int, limit: float) -> Place:
    return Place.DEAD if crashes >= limit else Place.READY
