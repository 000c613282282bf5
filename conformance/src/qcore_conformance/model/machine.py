"""Any sequence of calls on the queues of an adapter that stores, against the model.

What is drawn has always the same form, and only then is brought down to what there is: a sequence
that is played again draws the same, though jobs may have come in another order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import hypothesis.strategies as st
from hypothesis.stateful import initialize

import qcore
from qcore_conformance.scenes import pass_time

from .drafts import FAR, JOBS, WAITS, JobPlan
from .entries import Place, Span
from .play import step
from .queue import Hand
from .table import (
    AT_ONCE,
    CONNECTIONS,
    QUEUES,
    SettlePlan,
    Table,
    shown,
)

__all__ = ["Counting", "Storing"]

_lines = st.integers(0, QUEUES - 1)
_ways = st.integers(0, CONNECTIONS - 1)
_few = st.integers(1, 4)
_choices = st.integers(0, 7)
_verbs = st.sampled_from(("ack", "release", "retry", "dead_letter", "extend"))
_states = st.sampled_from(("ready", "delayed", "dead"))
_cares = st.sampled_from(("purge", "all", "one", "remove", "cancel", "cancel", "pause"))
_some_jobs = st.lists(JOBS, min_size=1, max_size=5)
_followers = st.lists(JOBS, min_size=1, max_size=2)
_settles = st.tuples(_choices, _verbs, WAITS)


class Storing(Table):
    """Several queues, each seen through several connections."""

    # Producing.

    @initialize(plans=_some_jobs)
    def fill(self, plans: list[JobPlan]) -> None:
        """Begin with some jobs."""
        self.guarded(partial(self._enqueue, 0, 0, plans))

    @step(line=_lines, way=_ways, plans=_some_jobs)
    def enqueue(self, line: int, way: int, plans: list[JobPlan]) -> None:
        """One job, or several in one call, some of them perhaps twice."""
        self._enqueue(line, way, plans)

    def _enqueue(self, line: int, way: int, plans: list[JobPlan]) -> None:
        drafts = self.drafts(line, plans)
        self.tell(f"queue {line}, connection {way}: enqueue {', '.join(map(str, drafts))}")
        new, queue = [draft.job for draft in drafts], self.queue(line, way)
        ids, span = self.called(partial(queue.enqueue_many, new))
        self.answer(self.stored(line, ids))
        self.models[line].enqueued(drafts, ids, span)

    # Taking.

    @step(line=_lines, way=_ways, limit=_few, single=st.booleans(), short=st.booleans())
    def reserve(self, line: int, way: int, limit: int, *, single: bool, short: bool) -> None:
        """Take what there is; rather from a queue that has something."""
        line = self.busy(line, self.models[line].jobs)
        self.take(line, way, 1 if single else limit, short=short, single=single)

    @step(line=_lines, way=_ways, plans=st.lists(_settles, min_size=1, max_size=4))
    def consume(self, line: int, way: int, plans: list[SettlePlan]) -> None:
        """Take through a consumer, which may take more ahead, end each, and close it."""
        line = self.busy(line, self.models[line].entries(Place.READY))
        model = self.models[line]
        plans = plans[: model.passable()]
        if not plans or model.paused:
            return
        lease = FAR if self.bed.claims("lease") else None
        begin = time.monotonic()
        with self.queue(line, way).consume(lease=lease) as consumer:
            for _, verb, seconds in plans:
                self.tell(f"queue {line}, connection {way}: consume")
                delivery = self.next_of(consumer)
                self.answer(shown(delivery))
                span = Span(begin, time.monotonic())
                hands = model.took([delivery], span, limit=1, lease=lease, begun=False)
                self.keep(line, way, hands)
                # What is given back would come again, and what is kept short is kept for longer.
                ended = "ack" if verb == "release" else verb
                self.settle_alone(line, hands[0], ended, FAR if verb == "extend" else seconds)
        model.taken_ahead(Span(begin, time.monotonic()))

    # Ending.

    @step(line=_lines, way=_ways, plans=st.lists(_settles, min_size=1, max_size=5))
    def settle(self, line: int, way: int, plans: list[SettlePlan]) -> None:
        """One delivery, or several in one call, each in its own way, some over, some twice."""
        line = self.busy(line, self.hands[line])
        if not self.hands[line]:
            return
        if len(plans) == 1:
            choice, verb, seconds = plans[0]
            self.settle_alone(line, self.choose(line, choice), verb, seconds)
            return
        steps: list[tuple[Hand, qcore.Settlement]] = []
        for choice, verb, seconds in plans:
            hand = self.choose(line, choice)
            steps.append((hand, self.settlement(hand, verb, seconds)))
        self.settle_together(line, way, steps)

    @step(line=_lines, into=_lines, plan=_settles, jobs=_followers)
    def follow(self, line: int, into: int, plan: SettlePlan, jobs: list[JobPlan]) -> None:
        """Say what follows a delivery, and settle it: only an ack brings that, now or later."""
        line = self.busy(line, self.hands[line])
        if not self.hands[line] or not self.bed.claims("then", "idempotent_id"):
            return
        choice, verb, seconds = plan
        hand = self.choose(line, choice)
        if self.is_open(hand):
            self.let_follow(line, hand, into, jobs)
            self.settle_alone(line, hand, verb, seconds)

    # Caring.

    @step(line=_lines, way=_ways, place=_states, how=_cares, choice=_choices)
    def care(self, line: int, way: int, place: str, how: str, choice: int) -> None:
        """Drop a state, see to the dead, cancel a job, stop the queue or let it go on."""
        if how == "purge" and self.has(Place(place)) and self.bed.claims("purge"):
            self.tell(f"queue {line}, connection {way}: purge {place}")
            count, span = self.called(partial(self.queue(line, way).purge, place))
            self.answer(count)
            self.models[line].purged(Place(place), count, span)
        elif how == "cancel" and self.bed.claims("cancel"):
            self._cancel(line, way, choice)
        elif how == "pause" and self.bed.claims("pause"):
            self.pause(line, way, paused=not self.models[line].paused)
        elif how == "remove" or (how in ("all", "one") and self.bed.claims("redrive")):
            self._see_to_the_dead(line, way, how, choice)

    def _cancel(self, line: int, way: int, choice: int) -> None:
        """Cancel one of the last jobs, wherever it is."""
        line = self.busy(line, self.models[line].jobs)
        model = self.models[line]
        if model.jobs:
            chosen = list(model.jobs)[-1 - choice % len(model.jobs)]
            self.tell(f"queue {line}, connection {way}: cancel {self.named(line, [chosen])}")
            state, span = self.called(partial(self.queue(line, way).cancel, chosen))
            self.answer(state)
            model.cancelled(chosen, state, span)

    def _see_to_the_dead(self, line: int, way: int, how: str, choice: int) -> None:
        """Send them back, all or one, or drop one; and try that with one that is not dead."""
        line = self.busy(line, self.models[line].entries(Place.DEAD))
        model, queue = self.models[line], self.queue(line, way)
        if self.hands[line] and not model.entries(Place.DEAD):
            self.settle_alone(line, self.choose(line, choice), "dead_letter", 0.0)
        if not self.has(Place.DEAD) or model.may_bury(_soon()) or not model.jobs:
            return
        known = [one.id for one in model.entries()]
        dead = [one.id for one in model.entries(Place.DEAD)] or known
        chosen = dead if how == "all" else [dead[choice % len(dead)], known[choice % len(known)]]
        calls: dict[str, Callable[[], int]] = {
            "all": queue.redrive,
            "one": partial(queue.redrive, chosen),
            "remove": partial(queue.remove, chosen),
        }
        verb = "remove" if how == "remove" else "redrive"
        self.tell(f"queue {line}, connection {way}: {verb} {self.named(line, chosen)}")
        count, span = self.called(calls[how])
        self.answer(count)
        if how == "remove":
            model.removed(chosen, count)
        else:
            model.redriven(chosen, count, span)

    # Time, and connections.

    @step()
    def advance(self) -> None:
        """Let pass what ends soon; what comes of it is for others to find."""
        soon = time.monotonic() + AT_ONCE
        turns = [one.turn for model in self.models for one in model.entries() if one.turn]
        if ends := [turn.end for turn in turns if turn.end < soon]:
            self.tell(f"let {len(ends)} delays and leases end")
            pass_time(max(ends))

    @step(way=_ways)
    def reopen(self, way: int) -> None:
        """Close a connection and open another one; what it held stays held."""
        self.tell(f"connection {way}: close, and open another")
        self.connections[way].close()
        self.connections[way] = self.bed.connect()


class Counting(Storing):
    """The same, looked at by nothing but its counts."""

    def see(self, line: int) -> None:
        """Count."""
        self.count(line)


def _soon() -> Span:
    """The time of a call that is to be made."""
    return Span(time.monotonic(), time.monotonic() + 30.0)
