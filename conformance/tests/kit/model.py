"""A queue that keeps every promise, with workers that die and replies that get lost.

In goes a source of chance, out comes the history that such a run leaves behind. Time is a
number that grows; a call takes effect at its begin or at its end, as chance will have it, so
that calls of several workers overlap in every way.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import define, field

from qcore_conformance.events import Details, Event, FaultKind, Kind, Verb
from qcore_conformance.guarantees import Guarantees, Minimum, Order

LEASE = 5.0
PROMISED = Guarantees(
    order=Order.FIFO,
    priority=True,
    delays=True,
    attempts=True,
    fenced=True,
    idempotent=True,
    lease=LEASE,
    late=0.1,
    recovery=0.1,
    slack=0.001,
    minimum=Minimum(calls=0),
)


class Refused(Exception):
    """The settle came too late."""


@define(eq=False)
class Job:
    """A job in the queue; ``due`` says when it may be delivered."""

    name: str
    due: float
    delay: float
    priority: int
    number: int = 0
    attempt: int = 1
    receipt: str | None = None


@define(eq=False)
class Broker:
    """The queue itself: every step is atomic, and time is given."""

    jobs: list[Job] = field(factory=list[Job])
    seen: set[str] = field(factory=set[str])

    def enqueue(self, job: Job, now: float) -> Details:
        """Add a job once."""
        if job.name not in self.seen:
            self.seen.add(job.name)
            job.due = now + job.delay
            self.jobs.append(job)
        return Details()

    def take(self, now: float) -> Details:
        """Lease the most urgent job that is due; those delivered before come first."""
        ready = [job for job in self.jobs if job.due <= now]
        if not ready:
            return Details()
        job = min(ready, key=lambda job: (-job.priority, job.number == 0))
        if job.receipt is not None:
            job.attempt += 1
        job.number += 1
        job.receipt = f"{job.name}#{job.number}"
        job.due = now + LEASE
        return Details(
            job=job.name, receipt=job.receipt, number=job.number, attempt=job.attempt, sha=job.name
        )

    def settle(self, verb: Verb, receipt: str, delay: float, now: float) -> Details:
        """End a delivery, or make it longer, if it is still the holder's."""
        job = next((job for job in self.jobs if job.receipt == receipt and job.due > now), None)
        if job is None:
            raise Refused
        if verb is Verb.EXTEND:
            job.due = now + LEASE
            return Details()
        job.receipt = None
        job.due = now + delay
        job.attempt += verb is Verb.RETRY
        if verb in (Verb.ACK, Verb.DEAD):
            self.jobs.remove(job)
        return Details()


@define(eq=False)
class Call:
    """A call under way: what it will do, and what came of it."""

    number: int
    verb: Verb
    about: Details
    effect: Callable[[float], Details]
    result: Details | None = None
    refused: bool = False

    def strike(self, now: float) -> None:
        """Take effect."""
        try:
            self.result = self.effect(now)
        except Refused:
            self.refused = True
            self.result = Details()


@define(eq=False)
class Actor:
    """A process that makes one call at a time."""

    name: str
    life: int = 1
    call: Call | None = None
    hands: list[Details] = field(factory=list[Details])
    sent: int = 0

    @property
    def process(self) -> str:
        """Its process id of now."""
        return f"{self.name}.{self.life}"


class Simulation:
    """One run, from its first call to its last drain."""

    def __init__(self, chance: random.Random) -> None:
        self.events: list[Event] = []
        self._chance = chance
        self._now = 1.0
        self._calls = 0
        self._broker = Broker()
        self._actors = [Actor("p"), Actor("q"), Actor("v"), Actor("w"), Actor("x")]

    def run(self, steps: int) -> tuple[Event, ...]:
        """Let chance act for so many steps, mend everything, and drain the queue."""
        for _ in range(steps):
            self._now += self._chance.choice([0.001, 0.01, 0.1, 1.0, 4.0])
            actor = self._chance.choice(self._actors)
            if actor.call is None:
                self._begin(actor)
            else:
                self._finish(actor, self._chance.choice(["ok"] * 6 + ["lost", "killed"]))
        for actor in self._actors:
            if actor.call is not None:
                self._finish(actor, "ok")
        self._drain()
        return tuple(self.events)

    def _begin(self, actor: Actor) -> None:
        if actor.name in ("p", "q"):
            self._start(actor, self._enqueue(actor))
        elif actor.hands and self._chance.random() < 0.7:
            self._start(actor, self._settle(actor))
        else:
            self._start(actor, self._reserve(Verb.RESERVE))

    def _start(self, actor: Actor, call: Call) -> None:
        actor.call = call
        self._write(actor, call, Kind.INVOKE, call.about)
        if self._chance.random() < 0.5:
            call.strike(self._now)

    def _finish(self, actor: Actor, how: str) -> None:
        call = actor.call
        if call is None:
            return
        actor.call = None
        if call.result is None and (how == "ok" or self._chance.random() < 0.5):
            call.strike(self._now)
        if how == "killed":
            self._kill(actor)
        elif how == "lost":
            self._write(actor, call, Kind.INFO, Details(error="Indeterminate"))
            actor.life += 1
        elif call.refused:
            self._write(actor, call, Kind.FAIL, Details(error="LeaseLost"))
        else:
            self._write(actor, call, Kind.OK, call.result or Details())
            if call.verb in (Verb.RESERVE, Verb.DRAIN) and call.result:
                actor.hands.append(call.result)

    def _kill(self, actor: Actor) -> None:
        self._calls += 1
        tester = Actor("test")
        about = Details(fault=FaultKind.KILL_WORKER, target=actor.name)
        fault = Call(self._calls, Verb.FAULT, about, lambda _: Details())
        self._write(tester, fault, Kind.INVOKE, about)
        self._now += 0.01
        self._write(tester, fault, Kind.OK, Details())
        actor.life += 1
        actor.hands.clear()

    def _enqueue(self, actor: Actor) -> Call:
        again = actor.sent > 0 and self._chance.random() < 0.1
        actor.sent += not again
        name = f"{actor.name}-{actor.sent}"
        delay = self._chance.choice([0.0, 0.0, 0.0, 2.0])
        priority = self._chance.choice([0, 0, 1])
        about = Details(job=name, sha=name, delay=delay, priority=priority)
        job = Job(name, 0.0, delay, priority)
        return self._call(Verb.ENQUEUE, about, lambda now: self._broker.enqueue(job, now))

    def _reserve(self, verb: Verb) -> Call:
        return self._call(verb, Details(), self._broker.take)

    def _settle(self, actor: Actor) -> Call:
        verb = self._chance.choice([Verb.ACK, Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.EXTEND])
        held = self._chance.choice(actor.hands)
        if verb is not Verb.EXTEND:
            actor.hands.remove(held)
        delay = self._chance.choice([0.0, 1.0]) if verb is Verb.RETRY else 0.0
        receipt = held.get("receipt", "")
        about = Details(job=held.get("job", ""), receipt=receipt, delay=delay)
        return self._call(verb, about, lambda now: self._broker.settle(verb, receipt, delay, now))

    def _call(self, verb: Verb, about: Details, effect: Callable[[float], Details]) -> Call:
        self._calls += 1
        return Call(self._calls, verb, about, effect)

    def _drain(self) -> None:
        """Take and ack until nothing comes twice, a full horizon apart."""
        actor = self._actors[-1]
        empties = 0
        while empties < 2:
            self._now += PROMISED.horizon + 1 if empties else 0.1
            call = self._reserve(Verb.DRAIN)
            self._start(actor, call)
            self._finish(actor, "ok")
            empties = 0 if call.result else empties + 1
            if call.result:
                self._ack(actor, call.result)

    def _ack(self, actor: Actor, held: Details) -> None:
        receipt = held.get("receipt", "")
        about = Details(job=held.get("job", ""), receipt=receipt)
        ack = self._call(
            Verb.ACK, about, lambda now: self._broker.settle(Verb.ACK, receipt, 0.0, now)
        )
        self._start(actor, ack)
        self._finish(actor, "ok")

    def _write(self, actor: Actor, call: Call, kind: Kind, about: Details) -> None:
        said = Details(queue="q")
        said.update(about)
        self.events.append(
            Event(
                time=round(self._now * 1e9),
                process=actor.process,
                call=call.number,
                kind=kind,
                verb=call.verb,
                **said,
            )
        )
        self._now += 0.0005
