"""The model of one queue: hears what was asked and answered, and objects to what is not allowed.

It is told when each call began and ended, since what happens by itself happens by a clock that
nobody sees. Every answer narrows what it takes for possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

import qcore

from .drafts import Draft
from .entries import FRESH, Entry, Place, Span
from .ledger import Differs, Ledger, check
from .order import Rank
from .turns import ANEW, count_turn, disturb

__all__ = ["Hand", "QueueModel"]


@attrs.frozen(eq=False)
class Hand:
    """One delivery, and which jobs are to follow it in which queues."""

    entry: Entry
    delivery: qcore.Delivery
    further: list[tuple[int, Draft]] = attrs.field(factory=list[tuple[int, Draft]])


@attrs.define(eq=False)
class QueueModel(Ledger):
    """All that may be true of one queue, and what may be answered to those who change it.

    Attributes:
        named: The ids that callers gave.
    """

    named: list[str] = attrs.field(factory=list[str])
    _known: dict[str, str] = attrs.field(factory=dict[str, str])
    _asked: dict[str, set[str]] = attrs.field(factory=dict[str, set[str]])

    def may_bury(self, span: Span) -> bool:
        """Whether a job may become dead by itself in this time."""
        return any(
            one.place is not Place.DEAD and Place.DEAD in one.places(span, self.terms)
            for one in self.entries()
        )

    def coming(self, by: float) -> float | None:
        """When to look for a job that comes by then at the latest; ``None`` if none does."""
        waiting = [one for one in self.entries() if not one.doubtful]
        if any(one.place is Place.READY and self.room(one) > 0 for one in waiting):
            return 0.0
        turns = [
            one.turn for one in waiting if one.turn and one.destinies(self.terms) == {Place.READY}
        ]
        return min((turn.end for turn in turns if turn.begin < by), default=None)

    def enqueued(self, drafts: Sequence[Draft], ids: Sequence[qcore.JobId], span: Span) -> None:
        """Hear that jobs were enqueued."""
        check(len(ids) == len(drafts), f"{len(drafts)} jobs were given {len(ids)} ids")
        self.watch(span)
        for draft, job_id in zip(drafts, ids, strict=True):
            self._enqueued(draft, job_id, span)

    def followed(self, drafts: Sequence[Draft], span: Span) -> None:
        """Hear that an ack enqueued jobs that have ids of the caller's; nobody said what came."""
        self.watch(span)
        for draft in drafts:
            is_new = self._first(draft) is None and self._is_complete(draft)
            self._enqueued(draft, qcore.JobId(draft.id or "", created=is_new), span)

    def _enqueued(self, draft: Draft, job_id: qcore.JobId, span: Span) -> None:
        first, key = self._first(draft), _key(draft)
        if first is not None:
            check(not job_id.created, f"{key} was known and was stored again")
            check(job_id == first, f"{key} was known as {first}, and is now {job_id}")
            return
        check(draft.id in (None, job_id), f"{draft.id} was given the id {job_id}")
        if draft.join is not None:
            is_complete = self._is_complete(draft)
            self._asked.setdefault(job_id, set()).add(draft.join.member)
            check(job_id.created == is_complete, f"the last for {key} is {is_complete}, not so")
            if not is_complete:
                return
            del self._asked[job_id]
        check(job_id.created, f"{key} is new and was not stored")
        check(job_id not in self.jobs, f"{job_id} was given twice")
        if key:
            self._known[key] = job_id
        if draft.id is not None:
            self.named.append(draft.id)
        self._store(draft, job_id, span)

    def _first(self, draft: Draft) -> str | None:
        return self._known.get(_key(draft))

    def _is_complete(self, draft: Draft) -> bool:
        """Whether all have asked for a job, if this one does."""
        asked = self._asked.get(draft.id or "", set())
        return draft.join is None or len(asked | {draft.join.member}) >= draft.join.of

    def _store(self, draft: Draft, job_id: str, span: Span) -> None:
        self.fair = self.fair or bool(draft.tenant)
        entry = Entry(job_id, draft, Place.READY, self.line.new(), flow=draft.tenant)
        if draft.delay:
            entry.place, entry.turn = Place.DELAYED, span.after(draft.delay)
            entry.flow = entry.due_flow
        elif self.fair and draft.gate is None:
            entry.patience = ANEW
        self.jobs[job_id] = entry

    def took(
        self,
        found: Sequence[qcore.Delivery],
        span: Span,
        *,
        limit: int,
        lease: float | None,
        begun: bool = True,
    ) -> list[Hand]:
        """Hear what a take gave, and whether work on it has begun for sure."""
        self.watch(span)
        check(len(found) <= limit, f"{len(found)} came where {limit} were asked for")
        check(not (found and self.paused), "jobs came, though the queue is paused")
        hands = [self._came(delivery, span, ahead=not begun) for delivery in found]
        if not found and not self.paused:
            due = [str(one) for one in self.entries() if self.must_come(one, span)]
            check(not due, f"nothing came, though {due} must")
        alone = [str(hand.entry) for hand in hands if self._crashed(hand.entry)]
        check(not alone or len(found) == 1, f"{alone} came with others, though a holder was lost")
        for hand in hands:
            hand.entry.turn = None if lease is None else span.after(lease)
            hand.entry.begun = begun
        return hands

    def _crashed(self, entry: Entry) -> bool:
        return self.terms.attempts and all(crashes for _, crashes in entry.counts)

    def _came(self, delivery: qcore.Delivery, span: Span, *, ahead: bool) -> Hand:
        entry = self.jobs.get(delivery.job.id)
        if entry is None:
            raise Differs(f"{delivery.job.id} came, which was never enqueued here")
        check(entry.may_come(span, self.terms), f"{entry} came, which is {entry.place}")
        check(delivery.job.body == entry.body, f"{entry} came with {delivery.job.body!r}")
        check(self.may_pass(entry, span), f"{entry} came, though its gate is full")
        self._in_turn(entry, span, ahead=ahead)
        if entry.place is not Place.READY:
            entry.turned(Place.READY, self.terms)
        if self.terms.attempts:
            self._counts(entry, delivery)
        hand = Hand(entry, delivery)
        entry.move(Place.HELD)
        entry.hand, entry.ghost, entry.doubtful = hand, None, False
        entry.flow = entry.patience = None
        return hand

    def _in_turn(self, entry: Entry, span: Span, *, ahead: bool) -> None:
        """See whether nothing had to come before a job, which may have been taken a while ago."""
        others = [one for one in self.entries() if one is not entry]
        must = [
            one
            for one in others
            # Its gate may have been full when the job was taken.
            if self.must_come(one, span) and not (ahead and one.gate is not None)
        ]
        sooner = [str(one) for one in must if self.before(one, entry)]
        check(not sooner, f"{entry} came before {sooner}")
        if self.fair:
            count_turn(entry, [one for one in others if one.may_come(span, self.terms)], must)

    def _counts(self, entry: Entry, delivery: qcore.Delivery) -> None:
        number, least, most = delivery.number, entry.least + 1, entry.most + 1
        check(least <= number <= most, f"{entry} has number {number}, not {least} … {most}")
        self.narrow(entry, delivery.attempt, delivery.crashes)
        entry.least = entry.most = number

    def taken_ahead(self, span: Span) -> None:
        """Hear that a consumer may have taken any job ahead, and gave back what it had."""
        self.watch(span)
        place = self.line.returned()
        for entry in self.entries():
            if entry.may_come(span, self.terms):
                entry.ghost = place if entry.ghost is None else place.hull(entry.ghost)
                entry.most += 1

    def settled(
        self,
        steps: Sequence[tuple[Hand, qcore.Settlement]],
        held: Sequence[bool],
        span: Span,
    ) -> None:
        """Hear what a flush of settles came to."""
        check(len(steps) == len(held), f"{len(steps)} settles got {len(held)} answers")
        self.watch(span)
        given_back = self.line.returned()
        for (hand, settlement), done in zip(steps, held, strict=True):
            entry, turn = hand.entry, hand.entry.turn
            mine = entry.hand is hand
            may = mine and (turn is None or span.begin < turn.end)
            must = mine and (turn is None or span.end < turn.begin)
            check(may or not done, f"{settlement.verb} took {entry}, which was lost")
            check(done or not must, f"{settlement.verb} lost {entry}, which was held")
            if done:
                self._end(entry, settlement, given_back, span)

    def _end(
        self, entry: Entry, settlement: qcore.Settlement, given_back: Rank, span: Span
    ) -> None:
        verb = settlement.verb
        if verb is qcore.Verb.EXTEND:
            entry.turn, entry.mark = span.after(settlement.seconds), None
            return
        entry.outcomes[entry.least] = str(verb)
        if verb is qcore.Verb.ACK:
            entry.move(Place.GONE)
            entry.done, entry.result = True, settlement.result
            self.acked += 1
        elif verb is qcore.Verb.RELEASE:
            entry.move(Place.READY)
            entry.rank = given_back
        elif verb is qcore.Verb.RETRY:
            entry.move(Place.DELAYED)
            entry.counts = frozenset((attempt + 1, crashes) for attempt, crashes in entry.counts)
            entry.turn, entry.flow = span.after(settlement.seconds), entry.due_flow
        else:
            entry.move(Place.DEAD)
            entry.note = settlement.note

    def purged(self, place: Place, count: int, span: Span) -> None:
        """Hear that a state was dropped."""
        self.watch(span)
        self.dropped += count
        there = [one for one in self.entries() if place in one.places(span, self.terms)]
        sure = [one for one in there if len(one.places(span, self.terms)) == 1]
        check(len(sure) <= count <= len(there), f"{count} were dropped, not {len(sure)}")
        for entry in sure:
            entry.move(Place.GONE)
        for entry in there:
            entry.doubtful = entry.place is not Place.GONE
            disturb(entry.tenant, self.entries())

    def cancelled(self, job_id: str, state: str | None, span: Span) -> None:
        """Hear where a job was when it was cancelled, if it was there."""
        self.watch(span)
        entry = self.jobs[job_id]
        place = Place.GONE if state is None else Place(state)
        allowed = entry.places(span, self.terms)
        check(place in allowed, f"{entry} was {place}, not {' or '.join(sorted(allowed))}")
        if place is not Place.GONE:
            self.dropped += 1
        if place is not entry.place:
            entry.turned(place, self.terms)
        elif place is Place.HELD:
            entry.outcomes[entry.least] = "cancel"
        entry.move(Place.GONE)
        entry.doubtful = False
        disturb(entry.tenant, self.entries())

    def redriven(self, ids: Iterable[str], count: int, span: Span) -> None:
        """Hear that dead jobs were sent back; nothing may be unsettled."""
        self.watch(span)
        chosen, place = self._dead(ids), self.line.redriven()
        check(count == len(chosen), f"{count} were redriven, not {len(chosen)}")
        for entry in chosen:
            entry.rank = self.returning(entry, place)
            entry.flow = None if self.fair else entry.tenant
            entry.move(Place.READY)
            entry.counts, entry.note = FRESH, None

    def removed(self, ids: Iterable[str], count: int) -> None:
        """Hear that dead jobs were dropped; nothing may be unsettled."""
        chosen = self._dead(ids)
        check(count == len(chosen), f"{count} were removed, not {len(chosen)}")
        self.dropped += count
        for entry in chosen:
            entry.move(Place.GONE)

    def _dead(self, ids: Iterable[str]) -> list[Entry]:
        wanted = set(ids)
        return [one for one in self.entries(Place.DEAD) if one.id in wanted]


def _key(draft: Draft) -> str:
    """Under what a job is known; empty if under nothing."""
    if draft.id is not None:
        return f"id {draft.id}"
    return "" if draft.dedup is None else f"key {draft.dedup}"
