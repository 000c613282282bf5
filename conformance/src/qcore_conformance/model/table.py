"""Queues, connections and deliveries of one sequence, with the model told of each call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence, Sized
from functools import partial
from typing import TypeVar

import qcore
from qcore_conformance.scenes import endings, pass_time

from .entries import Place, Span, Terms
from .looking import LOOKS, counted, looked
from .play import Machine
from .queue import Draft, Hand, QueueModel

__all__ = [
    "AT_ONCE",
    "CONNECTIONS",
    "FAR",
    "QUEUES",
    "SOON",
    "JobPlan",
    "SettlePlan",
    "Table",
    "shown",
]

T = TypeVar("T")

FAR = 600.0
"""Seconds of a lease or a delay that does not end during a sequence."""
SOON = 0.05
"""Seconds of a delay that is waited for."""
QUEUES = 2
CONNECTIONS = 2
AT_ONCE = 1.0
"""Seconds within which something ends that is waited for."""
_PAGE = 500
_MUCH = 100
_MOST_CHOICES = 6
_NEVER_GIVE_UP = qcore.RetryPolicy(max_attempts=None)

JobPlan = tuple[int, float, str, int]
"""Priority, delay, how it is named, and a choice of a name that is known."""
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
        self._bodies = 0
        self._touched = 0
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
        self._touched = line
        name = f"{self.game.name}-{self.number}-{line}"
        return self.connections[way].queue(name, retry=self._policy)

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

    def draft(self, plan: JobPlan, known: Sequence[str]) -> Draft:
        """The job that was drawn, as far as the adapter has such jobs."""
        priority, delay, naming, choice = plan
        self._bodies += 1
        number = self._bodies
        job_id = dedup = None
        if self.bed.claims("idempotent_id") and naming in ("id", "known id"):
            again = naming == "known id" and known
            job_id = known[choice % len(known)] if again else f"j{number}"
        if self.bed.claims("dedup") and naming == "key":
            dedup = f"d{choice % 3}"
        return Draft(
            b"%d" % number,
            priority if self.bed.claims("priority") else 0,
            delay if self.bed.claims("delay") else 0.0,
            job_id,
            dedup,
        )

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

    def settlement(self, receipt: qcore.Receipt, verb: str, seconds: float) -> qcore.Settlement:
        """How a delivery is settled; an ack where the adapter has no such way."""
        ways = [*endings(self.bed), *([qcore.Verb.EXTEND] * self.bed.claims("extend"))]
        chosen = qcore.Verb(verb) if verb in ways else qcore.Verb.ACK
        if chosen is qcore.Verb.EXTEND:
            return qcore.Settlement(receipt, chosen, self._short if seconds == SOON else FAR)
        delay = seconds if chosen is qcore.Verb.RETRY else 0.0
        self._bodies += 1
        noted = chosen in (qcore.Verb.RETRY, qcore.Verb.DEAD_LETTER)
        return qcore.Settlement(receipt, chosen, delay, f"note {self._bodies}" if noted else "")

    def choose(self, line: int, choice: int) -> Hand:
        """One of the last deliveries: as a rule one that is not over."""
        every = self.hands[line]
        held = [one for one in every if one.entry.hand is one]
        chosen = held if held and choice < _MOST_CHOICES else every
        return chosen[-1 - choice % len(chosen)]

    def settle_alone(self, line: int, hand: Hand, verb: str, seconds: float) -> None:
        """Settle one delivery by its own method, if its connection is still open."""
        self._touched = line
        settlement = self.settlement(hand.delivery.receipt, verb, seconds)
        if self._origins[hand] not in self.connections:
            self.settle_together(line, 0, [(hand, settlement)])
            return
        self.tell(f"queue {line}: {_meant(settlement)} {hand.entry}")
        done, span = self.called(partial(_done, hand.delivery, settlement))
        self.answer(done)
        self.models[line].settled([(hand, settlement)], [done], span)

    def settle_together(
        self, line: int, way: int, steps: list[tuple[Hand, qcore.Settlement]]
    ) -> None:
        """Settle several in one call."""
        meant = ", ".join(f"{_meant(one)} {hand.entry}" for hand, one in steps)
        self.tell(f"queue {line}, connection {way}: {meant}")
        queue = self.queue(line, way)
        held, span = self.called(partial(queue.settle_many, [one for _, one in steps]))
        self.answer(held)
        self.models[line].settled(steps, held, span)

    def pause(self, line: int, way: int, *, paused: bool) -> None:
        """Stop a queue, or let it go on."""
        queue = self.queue(line, way)
        self.tell(f"queue {line}, connection {way}: {'pause' if paused else 'resume'}")
        (queue.pause if paused else queue.resume)()
        self.models[line].paused = paused

    def look(self) -> None:
        """See whether all that can be seen is allowed."""
        queue, model = self.queue(self._touched, 0), self.models[self._touched]
        if self.bed.claims("peek"):
            limit = min(_PAGE, self.bed.capabilities.limits.batch)
            places = [place for place in LOOKS if self.has(place)]
            seen, span = self.called(
                lambda: {place: queue.peek(str(place), limit=limit) for place in places}
            )
            looked(model, {place: seen.get(place, []) for place in LOOKS}, span)
        self.count()

    def has(self, place: Place) -> bool:
        """Whether the adapter has such a state."""
        needed = {Place.DELAYED: "delay", Place.DEAD: "dead_letter"}.get(place)
        return needed is None or self.bed.claims(needed)

    def count(self) -> None:
        """See whether the counts are allowed."""
        if self.bed.claims("stats"):
            queue, model = self.queue(self._touched, 0), self.models[self._touched]
            stats, span = self.called(queue.stats)
            counted(model, stats, span)

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
            receipts = [hand.delivery.receipt for hand in hands]
            self.settle_together(
                line, 0, [(h, qcore.Settlement(r)) for h, r in zip(hands, receipts, strict=True)]
            )


def _done(delivery: qcore.Delivery, settlement: qcore.Settlement) -> bool:
    """Settle by the delivery's own method; whether it was still held."""
    seconds, note = settlement.seconds, settlement.note
    ways: dict[qcore.Verb, Callable[[], None]] = {
        qcore.Verb.ACK: delivery.ack,
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
