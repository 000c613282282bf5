"""The Redis adapters do step by step what the adapter in memory does, whatever comes to mind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import attrs
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from qcore import InspectedJob, NewJob, Receipt, Settlement, Verb
from qcore.backend import TakeRequest
from tests.integration.actors import Client, Hand
from tests.integration.stage import Place, Stage

FAR = 10_000
"""Seconds until a delayed job is due: never by itself."""
VERBS = (Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER, Verb.EXTEND)
STATES = ("ready", "delayed", "held", "dead")

sizes = st.integers(1, 4)
levels = st.integers(-4, 4)


@attrs.frozen
class Pair:
    """One delivery on both sides."""

    subject: Receipt
    peer: Receipt


def shown(jobs: Sequence[InspectedJob]) -> list[tuple[str, int, int, int, str]]:
    """What is compared of jobs that were looked at."""
    return [(one.id, one.number, one.attempt, one.crashes, one.note) for one in jobs]


def handed(hands: Sequence[Hand]) -> list[tuple[object, ...]]:
    """What is compared of jobs that were handed out."""
    return [
        (one.job.id, one.job.body, one.number, one.attempt, one.crashes, one.alone) for one in hands
    ]


class Peers(RuleBasedStateMachine):
    """A queue of the adapter under test, and one in memory that is told the same."""

    stage: Stage
    memory: Stage

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()
        self._held: list[Pair] = []
        self._lost: list[Pair] = []

    @initialize()
    def begin(self) -> None:
        """Take a fresh queue on both sides."""
        self._name = f"q{next(QUEUES)}"
        self._subject = self.stage.client.queue(self._name)
        self._peer = self.memory.client.queue(self._name)

    def _clients(self) -> tuple[Client, Client]:
        return self.stage.client, self.memory.client

    @rule(priorities=st.lists(levels, min_size=1, max_size=4), delayed=st.booleans())
    def enqueue(self, priorities: list[int], *, delayed: bool) -> None:
        """Enqueue a batch, for now or for later."""
        jobs: list[object] = []
        for priority in priorities:
            number = next(self._numbers)
            delay = FAR + number if delayed else 0
            jobs.append(NewJob(b"%d" % number, id=f"j{number}", priority=priority, delay=delay))
        assert self._subject.enqueue_many(jobs) == self._peer.enqueue_many(jobs)

    @rule(number=st.integers(0, 20), key=st.integers(0, 3))
    def enqueue_again(self, number: int, key: int) -> None:
        """Use an id or a key that may be known."""
        fresh = f"k{next(self._numbers)}"
        for name, dedup in ((f"j{number}", None), (fresh, f"d{key}")):
            one = self._subject.enqueue(b"again", id=name, dedup=dedup)
            other = self._peer.enqueue(b"again", id=name, dedup=dedup)
            assert (one, one.created) == (other, other.created)

    @rule(limit=sizes)
    def reserve(self, limit: int) -> None:
        """Take some jobs."""
        mine = self._subject.reserve_many(limit, timeout=0)
        theirs = self._peer.reserve_many(limit, timeout=0)
        assert handed(mine) == handed(theirs)
        pairs = zip(mine, theirs, strict=True)
        self._held += [Pair(one.receipt, other.receipt) for one, other in pairs]

    @rule(limit=sizes)
    def take_ahead(self, limit: int) -> None:
        """Take some as a consumer does that does not start them yet."""
        request = TakeRequest(limit, 30_000, started=False)
        mine, theirs = (client.take(self._name, request).jobs for client in self._clients())
        assert [one.id for one in mine] == [other.id for other in theirs]
        self._held += [
            Pair(Receipt(self._name, one.token), Receipt(self._name, other.token))
            for one, other in zip(mine, theirs, strict=True)
        ]

    @precondition(lambda self: self._held or self._lost)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Settle some deliveries in one batch, each in its way, some of them lost or twice."""
        known = [*self._held, *self._lost]
        chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4))
        verbs = data.draw(
            st.lists(st.sampled_from(VERBS), min_size=len(chosen), max_size=len(chosen))
        )
        steps = [
            (one, verb, FAR + next(self._numbers)) for one, verb in zip(chosen, verbs, strict=True)
        ]
        mine = self._subject.settle_many(
            _step(one.subject, verb, later) for one, verb, later in steps
        )
        theirs = self._peer.settle_many(_step(one.peer, verb, later) for one, verb, later in steps)
        assert mine == theirs
        for (pair, verb, _), done in zip(steps, mine, strict=True):
            if done:
                self._held.remove(pair)
                (self._held if verb is Verb.EXTEND else self._lost).append(pair)

    @precondition(lambda self: self._held)
    @rule()
    def leases_end(self) -> None:
        """Let every lease run out, the oldest first."""
        key = self.stage.keys(self._name).one("leased")
        with self.stage.server.connect() as raw:
            for place, pair in enumerate(self._held):
                raw.call("ZADD", key, "XX", place + 1, pair.subject.token)
        self.memory.let_leases_end()
        self._lost += self._held
        self._held = []

    @precondition(lambda self: not self._held)
    @rule()
    def delays_end(self) -> None:
        """Let everything be due, the earliest first."""
        self.stage.let_delays_end(self._name)
        self.memory.clock.shift += 2 * FAR

    def _may_redrive(self) -> bool:
        # In streams what comes back goes before what is new, in memory behind it.
        return self.stage.is_list or not any(one.number == 0 for one in self._peer.peek(limit=500))

    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        """Send back the dead, all or some."""
        if not self._may_redrive():
            return
        dead = [one.id for one in self._peer.peek("dead", limit=500)]
        one = data.draw(st.sampled_from(dead)) if dead else None
        if one is not None:
            assert self._subject.redrive([one]) == self._peer.redrive([one]) == 1

    @rule(number=st.integers(0, 20))
    def remove(self, number: int) -> None:
        """Drop a dead job, if it is one."""
        ids = [f"j{number}"]
        assert self._subject.remove(ids) == self._peer.remove(ids)

    @rule(state=st.sampled_from(("ready", "delayed", "dead")))
    def purge(self, state: str) -> None:
        """Drop a whole state."""
        assert self._subject.purge(state) == self._peer.purge(state)

    @invariant()
    def counts_agree(self) -> None:
        """Both count the same, and nothing came from nowhere or vanished."""
        stats = self._subject.stats()
        assert stats == self._peer.stats()
        there = stats.ready + stats.delayed + stats.held + stats.dead
        assert stats.enqueued == there + stats.acked + stats.dropped

    @invariant()
    def jobs_agree(self) -> None:
        """Both have the same jobs in the same states, those that wait in the same order."""
        for state in STATES:
            mine = shown(self._subject.peek(state, limit=500))
            theirs = shown(self._peer.peek(state, limit=500))
            if state in ("held", "dead"):
                mine, theirs = sorted(mine), sorted(theirs)
            assert mine == theirs, state


QUEUES = count()


def _step(receipt: Receipt, verb: Verb, seconds: float) -> Settlement:
    delay = {Verb.RETRY: seconds, Verb.EXTEND: 30.0}.get(verb, 0.0)
    return Settlement(receipt, verb, seconds=delay, note=f"note {verb}" if delay else "")


def test_every_step_is_that_of_the_model(redis_stage: Stage) -> None:
    """Q-MODEL-01, Q-OBS-01: each prefix of a random run leaves both sides in the same state."""
    memory = Stage(Place("memory", "sync"))
    for stage in (redis_stage, memory):
        stage.connect(dedup_window="300000000s", delivery_cap=4)
    machine = type("Machine", (Peers,), {"stage": redis_stage, "memory": memory})
    examples = 40 if redis_stage.place.colour == "sync" else 10
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
            ),
        )
    finally:
        memory.close()
