"""Queues, connections and deliveries of one sequence, with the model told of each call."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence, Sized
from functools import partial
from typing import TypeVar

import qcore
from qcore_conformance.scenes import endings, pass_time

from .drafts import FAR, SOON, Draft, Drafting, JobPlan
from .entries import Place, Span, Terms
from .looking import LOOKS, counted, looked
from .play import Machine
from .queue import Hand, QueueModel
from .recorded import recorded

__all__ = [
    "AT_ONCE",
    "CONNECTIONS",
    "QUEUES",
    "SettlePlan",
    "Table",
    "shown",
]

T = TypeVar("T")

QUEUES = 2
CONNECTIONS = 2
AT_ONCE = 1.0
"""Seconds within which something ends that is waited for."""
_PAGE = 500
_MUCH = 100
_MOST_CHOICES = 6
_NEVER_GIVE_UP = qcore.RetryPolicy(max_attempts=None)

SettlePlan = tuple[int, str, float]
"""A choice of a delivery, the verb, and its time."""


class Table(Machine):
    """Several queues, each seen through several connections."""

    def begin(self) -> None:
        """Open the connections; no job is there yet."""
        bed = self.bed
        limited = bed.claims("dead_letter", "attempts")
        self._terms = Terms(
            order=str(bed.capabilities.value("order")),
            reentry=str(bed.capabilities.value("reentry")),
            attempts=bed.claims("attempts"),
            crash_limit=3 if limited else None,
            slack=bed.slack + bed.poll,
            recovery=bed.recovery,
        )
        self._short = max(bed.capabilities.limits.lease_min, 2 * SOON)
        self._numbers = itertools.count(1)
        self._drafting = Drafting(bed, self._numbers)
        self._touched: set[int] = set()
        self.models = [QueueModel(self._terms) for _ in range(QUEUES)]
        self.hands: list[list[Hand]] = [[] for _ in range(QUEUES)]
        self._origins: dict[Hand, qcore.Connection] = {}
        self.connections = [bed.connect() for _ in range(CONNECTIONS)]

    def leave(self) -> None:
        """Close them."""
        for connection in self.connections:
            connection.close()

    def queue(self, line: int, way: int) -> qcore.Queue:
        """A queue through a connection; what is done now is done to it."""
        self._touched.add(line)
        return self.connections[way].queue(self._name(line), retry=self._policy)

    def _name(self, line: int) -> str:
        return f"{self.game.name}-{self.number}-{line}"

    @property
    def _policy(self) -> qcore.RetryPolicy | None:
        return _NEVER_GIVE_UP if self.bed.claims("retry") else None

    def busy(self, line: int, has: Sized) -> int:
        """The queue itself if it has such things, or else another one."""
        return line if has else (line + 1) % QUEUES

    def called(self, call: Callable[[], T]) -> tuple[T, Span]:
        """Make a call; gives its answer and its time."""
        begin = time.monotonic()
        answer = call()
        return answer, Span(begin, time.monotonic())

    def drafts(self, line: int, plans: Sequence[JobPlan], *, named: bool = False) -> list[Draft]:
        """The jobs that were drawn, as far as the adapter has such jobs, for a queue.

        The first queue has neither tenants nor gates, so that its order is that of its jobs.
        """
        known = list(self.models[line].named)
        make = partial(self._drafting.draft, known=known, plain=line == 0, named=named)
        return [make(plan) for plan in plans]

    def stored(self, line: int, ids: Sequence[qcore.JobId]) -> str:
        """What an enqueue did, for the record."""
        return ", ".join(
            "stored" if one.created else f"known as {self.named(line, [one])}" for one in ids
        )

    def named(self, line: int, ids: Iterable[str]) -> str:
        """Jobs, for the record."""
        return ", ".join(str(self.models[line].jobs.get(one, one)) for one in ids)

    def take(self, line: int, way: int, limit: int, *, short: bool, single: bool = False) -> int:
        """Look once for jobs; says how many came."""
        lease = (self._short if short else FAR) if self.bed.claims("lease") else None
        queue = self.queue(line, way)
        self.tell(f"queue {line}, connection {way}: reserve {limit} for {lease} s")

        def take() -> list[qcore.Delivery]:
            if single:
                one = queue.reserve(0.0, lease)
                return [] if one is None else [one]
            return queue.reserve_many(limit, 0.0, lease)

        found, span = self.called(take)
        self.answer(", ".join(map(shown, found)) or "nothing")
        self.keep(line, way, self.models[line].took(found, span, limit=limit, lease=lease))
        return len(found)

    def keep(self, line: int, way: int, hands: Sequence[Hand]) -> None:
        """Remember deliveries, to settle them later."""
        self.hands[line] += hands
        self._origins |= dict.fromkeys(hands, self.connections[way])

    def settlement(self, hand: Hand, verb: str, seconds: float) -> qcore.Settlement:
        """How a delivery is settled; an ack where the adapter has no such way."""
        ways = [*endings(self.bed), *([qcore.Verb.EXTEND] * self.bed.claims("extend"))]
        chosen = qcore.Verb(verb) if verb in ways else qcore.Verb.ACK
        result = self._result_of(hand) if chosen is qcore.Verb.ACK else None
        # A receipt knows neither what follows nor how a result is encoded.
        told = hand.further or result is not None
        said = hand.delivery if told else hand.delivery.receipt
        if chosen is qcore.Verb.EXTEND:
            return qcore.Settlement(said, chosen, self._short if seconds == SOON else FAR)
        delay = seconds if chosen is qcore.Verb.RETRY else 0.0
        noted = chosen in (qcore.Verb.RETRY, qcore.Verb.DEAD_LETTER)
        note = f"note {next(self._numbers)}" if noted else ""
        return qcore.Settlement(said, chosen, delay, note, result)

    def _result_of(self, hand: Hand) -> bytes | None:
        """What an ack says came out of a tracked job; nothing of every second delivery."""
        delivery = hand.delivery
        told = self.is_open(hand) and delivery.job.tracked and delivery.number % 2
        return b"result of %b" % delivery.job.body if told else None

    def choose(self, line: int, choice: int) -> Hand:
        """One of the last deliveries: as a rule one that is not over."""
        every = self.hands[line]
        held = [one for one in every if one.entry.hand is one]
        chosen = held if held and choice < _MOST_CHOICES else every
        return chosen[-1 - choice % len(chosen)]

    def settle_alone(self, line: int, hand: Hand, verb: str, seconds: float) -> None:
        """Settle one delivery by its own method, if its connection is still open."""
        self._touched.add(line)
        settlement = self.settlement(hand, verb, seconds)
        if self._origins[hand] not in self.connections:
            self.settle_together(line, 0, [(hand, settlement)])
            return
        self.tell(f"queue {line}: {_meant(settlement)} {hand.entry}")
        done, span = self.called(partial(_done, hand.delivery, settlement))
        self.answer(done)
        self._settled(line, [(hand, settlement)], [done], span)

    def settle_together(
        self, line: int, way: int, steps: list[tuple[Hand, qcore.Settlement]]
    ) -> None:
        """Settle several in one call."""
        meant = ", ".join(f"{_meant(one)} {hand.entry}" for hand, one in steps)
        self.tell(f"queue {line}, connection {way}: {meant}")
        queue = self.queue(line, way)
        held, span = self.called(partial(queue.settle_many, [one for _, one in steps]))
        self.answer(held)
        self._settled(line, steps, held, span)

    def _settled(
        self,
        line: int,
        steps: Sequence[tuple[Hand, qcore.Settlement]],
        held: Sequence[bool],
        span: Span,
    ) -> None:
        """Hear what settles came to; acks bring what follows them."""
        self.models[line].settled(steps, held, span)
        for (hand, settlement), done in zip(steps, held, strict=True):
            if done and settlement.verb is qcore.Verb.ACK:
                for target, draft in hand.further:
                    self._touched.add(target)
                    self.models[target].followed([draft], span)

    def let_follow(self, line: int, hand: Hand, target: int, plans: Sequence[JobPlan]) -> None:
        """Say what is to follow a delivery that has not ended."""
        drafts = self.drafts(target, plans, named=True)
        said = ", ".join(map(str, drafts))
        self.tell(f"queue {line}: let {hand.entry} be followed in queue {target} by {said}")
        hand.delivery.then(self._name(target), *[draft.job for draft in drafts])
        hand.further.extend((target, draft) for draft in drafts)

    def is_open(self, hand: Hand) -> bool:
        """Whether a delivery is not over, nor the connection that took it."""
        return hand.entry.hand is hand and self._origins[hand] in self.connections

    def pause(self, line: int, way: int, *, paused: bool) -> None:
        """Stop a queue, or let it go on."""
        queue = self.queue(line, way)
        self.tell(f"queue {line}, connection {way}: {'pause' if paused else 'resume'}")
        (queue.pause if paused else queue.resume)()
        self.models[line].paused = paused

    def look(self) -> None:
        """See whether all that can be seen of the queues that were touched is allowed."""
        for line in sorted(self._touched):
            self.see(line)
        self._touched.clear()

    def see(self, line: int) -> None:
        """See whether all that can be seen of a queue is allowed."""
        queue, model = self.queue(line, 0), self.models[line]
        if self.bed.claims("peek"):
            limit = min(_PAGE, self.bed.capabilities.limits.batch)
            places = [place for place in LOOKS if self.has(place)]
            seen, span = self.called(
                lambda: {place: queue.peek(str(place), limit=limit) for place in places}
            )
            looked(model, {place: seen.get(place, []) for place in LOOKS}, span)
        if any(entry.draft.keep for entry in model.entries()):
            ids = list(model.jobs)[-self.bed.capabilities.limits.batch :]
            records, span = self.called(partial(queue.get_many, ids))
            recorded(model, dict(zip(ids, records, strict=True)), span)
        self.count(line)

    def has(self, place: Place) -> bool:
        """Whether the adapter has such a state."""
        needed = {Place.DELAYED: ("delay", "retry"), Place.DEAD: ("dead_letter",)}.get(place)
        return needed is None or any(map(self.bed.claims, needed))

    def count(self, line: int) -> None:
        """See whether the counts are allowed."""
        if self.bed.claims("stats"):
            stats, span = self.called(self.queue(line, 0).stats)
            counted(self.models[line], stats, span)

    def end(self) -> None:
        """Take and ack all that is to come: nothing is missing, and nothing is left."""
        for line, model in enumerate(self.models):
            if model.paused:
                self.pause(line, 0, paused=False)
            later = time.monotonic() + AT_ONCE
            held = [one for one in self.hands[line] if one.entry.hand is one]
            self._ack(line, [one for one in held if not one.entry.turns_by(later)])
            while (at := model.coming(time.monotonic() + AT_ONCE)) is not None:
                pass_time(at)
                before = len(self.hands[line])
                self.take(line, 0, _MUCH, short=False)
                self._ack(line, self.hands[line][before:])
            self.look()

    def _ack(self, line: int, hands: Sequence[Hand]) -> None:
        if hands:
            self.settle_together(
                line, 0, [(one, self.settlement(one, "ack", 0.0)) for one in hands]
            )


def _done(delivery: qcore.Delivery, settlement: qcore.Settlement) -> bool:
    """Settle by the delivery's own method; whether it was still held."""
    seconds, note = settlement.seconds, settlement.note
    ways: dict[qcore.Verb, Callable[[], None]] = {
        qcore.Verb.ACK: lambda: delivery.ack(result=settlement.result),
        qcore.Verb.RELEASE: delivery.release,
        qcore.Verb.RETRY: lambda: delivery.retry(seconds, note),
        qcore.Verb.DEAD_LETTER: lambda: delivery.dead_letter(note),
        qcore.Verb.EXTEND: lambda: delivery.extend(seconds),
    }
    try:
        ways[settlement.verb]()
    except qcore.LeaseLost:
        return False
    return True


def _meant(settlement: qcore.Settlement) -> str:
    seconds = f" for {settlement.seconds:g} s" if settlement.seconds else ""
    return f"{settlement.verb}{seconds}"


def shown(delivery: qcore.Delivery) -> str:
    """A delivery in the record, by the body that tells which job it is."""
    number = delivery.job.body.decode()
    return f"job {number} (delivery {delivery.number}, attempt {delivery.attempt})"
