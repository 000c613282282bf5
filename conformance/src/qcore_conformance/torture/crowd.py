"""What the workers of a torture do: enqueue and consume, and write down each call.

The name of a job stands in its body, before a bar; what follows is noise, so that a body which
changed on its way is seen. A worker stops when it is told to, and ends what it holds first; a
broker that is away is no reason to stop.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import attrs

import qcore
from qcore_conformance.events import Details
from qcore_conformance.history import Call, History
from qcore_conformance.waiting import wait_until
from qcore_conformance.workers import Part

__all__ = ["QUEUE", "Member", "Orders", "consume", "facts_of", "produce", "reserve", "sha_of"]

QUEUE = "q"
_LONG_JOBS = 0.002
_NAMED = 0.2
_TENANTS = ("acme", "b", "c")
_REACHED_WITHIN = 30.0
_SETTLES = (
    (0.05, qcore.Verb.RELEASE, "release"),
    (0.12, qcore.Verb.RETRY, "retry"),
    (0.13, qcore.Verb.DEAD_LETTER, "dead"),
)
_RETRY_DELAY = 0.05


@attrs.frozen
class Orders:
    """What a worker is told.

    Attributes:
        name: Who it is in the history.
        folder: Where the history lies.
        lease: Seconds of a lease.
        seed: What its choices are made from.
        rate: Jobs that a producer enqueues in a second, at most.
        backlog: Ready jobs at which producers wait, so that what comes back is seen soon.
        verbs: What the adapter can do with a delivery, besides ack.
        options: What the adapter can do with a job: ``delay``, ``priority``, ``idempotent_id``,
            ``fair``.
        chains: How many chains there are, where jobs follow each other.
    """

    name: str
    folder: Path
    lease: float
    seed: int
    rate: float
    backlog: int
    verbs: frozenset[str]
    options: frozenset[str]
    chains: int = 0


def sha_of(body: bytes) -> str:
    """A digest of a body."""
    return hashlib.sha256(body).hexdigest()[:16]


def facts_of(delivery: qcore.Delivery, lease: float | None) -> Details:
    """What a reserve says of a job that it returned."""
    body = delivery.job.body
    told = Details(
        job=body.partition(b"|")[0].decode(),
        sha=sha_of(body),
        receipt=delivery.receipt.token,
        number=delivery.number,
        attempt=delivery.attempt,
    )
    if lease is not None:
        told["lease"] = lease
    return told


def _be_quiet() -> None:
    """Print nothing: that a broker is away is what a torture is about, and no news."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _connected(part: Part) -> qcore.Connection:
    """A connection, as soon as its broker can be reached."""

    def reached() -> qcore.Connection | None:
        with suppress(qcore.Unavailable):
            return part.connect()
        return None

    found = wait_until(reached, within=_REACHED_WITHIN, what="the broker can be reached")
    if found is None:
        raise TimeoutError("the broker was never reached")
    return found


class Member:
    """One worker of the crowd: its connection, its history, and whether it is to stop."""

    def __init__(self, part: Part, orders: Orders) -> None:
        _be_quiet()
        self.orders = orders
        self.history = History(orders.folder, orders.name)
        self.connection = _connected(part)
        self.queue = self.connection.queue(QUEUE)
        self.chance = random.Random(f"{orders.seed}/{self.history.process}")
        self._stopping = threading.Event()
        self._endings: list[Callable[[], None]] = []
        self._part = part
        threading.Thread(target=self._listen, daemon=True).start()
        part.say("ready")

    def _listen(self) -> None:
        self._part.hear()
        self._stopping.set()
        for end in self._endings:
            end()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def when_told(self, end: Callable[[], None]) -> None:
        """Do this as well when told to stop, or at once if that was before."""
        self._endings.append(end)
        if self.stopping:
            end()

    def rest(self, seconds: float) -> None:
        """Work, or do nothing; being told to stop ends it."""
        self._stopping.wait(seconds)

    def stopped(self) -> None:
        """Say so, and let go of nothing: what is in hand was settled."""
        self._part.say("stopped")

    def verb(self) -> tuple[qcore.Verb, str]:
        """How the next delivery ends: in an ack, most of the time."""
        lot = self.chance.random()
        found = ((verb, word) for share, verb, word in _SETTLES if lot < share)
        verb, word = next(found, (qcore.Verb.ACK, "ack"))
        return (verb, word) if verb in self.orders.verbs else (qcore.Verb.ACK, "ack")


def produce(part: Part, orders: Orders) -> None:
    """Enqueue jobs of all sorts in batches, at a pace, and wait while too many lie there."""
    me = Member(part, orders)
    count = batches = 0
    while not me.stopping:
        size = me.chance.choice((1, 20, 50, 50, 80))
        drafts = [_draft(me, count + number) for number in range(1, size + 1)]
        count += size
        with suppress(qcore.QcoreError), _calls(me.history, "enqueue", drafts) as calls:
            me.queue.enqueue_many([job for job, _ in drafts])
            for call in calls:
                call.ok()
        batches += 1
        me.rest(size / orders.rate)
        if batches % 5 == 0:
            _let_shrink(me)
    me.stopped()


def _let_shrink(me: Member) -> None:
    with suppress(qcore.QcoreError):
        while not me.stopping and me.queue.stats().ready > me.orders.backlog:
            me.rest(0.05)


def _draft(me: Member, count: int) -> tuple[qcore.NewJob, Details]:
    chance, options = me.chance, me.orders.options
    name = f"{me.history.process}-{count:06d}"
    body = f"{name}|".encode() + chance.randbytes(chance.choice((8, 8, 8, 500)))
    delay = chance.choice((0.0,) * 9 + (0.2,)) if "delay" in options else 0.0
    priority = chance.choice((0,) * 8 + (4, -4)) if "priority" in options else 0
    named = "idempotent_id" in options and chance.random() < _NAMED
    tenant = chance.choice((None, *_TENANTS)) if "fair" in options else None
    job = qcore.NewJob(
        body, id=name if named else None, delay=delay, priority=priority, tenant=tenant
    )
    return job, Details(queue=QUEUE, job=name, sha=sha_of(body), delay=delay, priority=priority)


@contextmanager
def _calls(
    history: History, verb: str, drafts: Sequence[tuple[object, Details]]
) -> Generator[list[Call]]:
    """One call for each job of a batch; they begin and end together."""
    with ExitStack() as stack:
        yield [stack.enter_context(history.call(verb, **details)) for _, details in drafts]


def consume(part: Part, orders: Orders) -> None:
    """Work through a consumer, which takes ahead and keeps what it holds."""
    me = Member(part, orders)
    consumer = me.queue.consume(prefetch=20)

    def close() -> None:
        # What it gives back was delivered, and no history knows to whom.
        with me.history.call("reserve", queue=QUEUE) as call:
            consumer.close()
            call.info("closed")

    me.when_told(close)
    with consumer as deliveries:
        while (found := _next(me, deliveries)) is not None:
            delivery, facts = found
            if me.chance.random() < _LONG_JOBS:
                me.rest(2 * orders.lease)
            verb, word = me.verb()
            job = Details(queue=QUEUE, job=facts.get("job", ""), receipt=facts.get("receipt", ""))
            if verb is qcore.Verb.RETRY:
                job["delay"] = _RETRY_DELAY
            with suppress(qcore.QcoreError), me.history.call(word, **job) as call:
                _end(delivery, verb)
                call.ok()
    me.stopped()


def _next(me: Member, deliveries: qcore.Consumer) -> tuple[qcore.Delivery, Details] | None:
    with me.history.call("reserve", queue=QUEUE) as call:
        delivery = next(deliveries, None)
        if delivery is None:
            call.info("closed")
            return None
        facts = facts_of(delivery, None)
        call.ok(**facts)
    return delivery, facts


def _end(delivery: qcore.Delivery, verb: qcore.Verb) -> None:
    if verb is qcore.Verb.RETRY:
        delivery.retry(_RETRY_DELAY, "again")
    elif verb is qcore.Verb.DEAD_LETTER:
        delivery.dead_letter("no good")
    elif verb is qcore.Verb.RELEASE:
        delivery.release()
    else:
        delivery.ack()


def reserve(part: Part, orders: Orders) -> None:
    """Work through batches that are held for one lease, and settle each in one flush."""
    me = Member(part, orders)
    while not me.stopping:
        batch = _batch(me)
        me.rest(me.chance.random() * 0.02)
        if batch:
            with suppress(qcore.QcoreError):
                _settle(me, batch)
    me.stopped()


def _batch(me: Member) -> list[tuple[qcore.Delivery, Details]]:
    lease = me.orders.lease
    found: list[tuple[qcore.Delivery, Details]] = []
    with (
        suppress(qcore.QcoreError),
        me.history.call("reserve", queue=QUEUE, lease=lease) as call,
    ):
        found = [(one, facts_of(one, lease)) for one in me.queue.reserve_many(50, 0.3, lease)]
        for _, facts in found:
            call.ok(**facts)
        if not found:
            call.empty()
    return found


def _settle(me: Member, batch: list[tuple[qcore.Delivery, Details]]) -> None:
    steps: list[qcore.Settlement] = []
    with ExitStack() as stack:
        calls: list[Call] = []
        for delivery, facts in batch:
            verb, word = me.verb()
            delay = _RETRY_DELAY if verb is qcore.Verb.RETRY else 0.0
            told = Details(queue=QUEUE, job=facts.get("job", ""), receipt=facts.get("receipt", ""))
            if delay:
                told["delay"] = delay
            calls.append(stack.enter_context(me.history.call(word, **told)))
            steps.append(qcore.Settlement(delivery, verb, delay))
        for call, done in zip(calls, me.queue.settle_many(steps), strict=True):
            if done:
                call.ok()
            else:
                call.fail("lease-lost")
