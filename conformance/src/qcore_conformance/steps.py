"""The steps in which workers are killed: every call that changes a queue, and some that take time.

In go a queue, what was reserved from it, and a short lease. What a step may have come to when its
worker dies is told by the counts of its queue, from nothing done to all done. What it holds has to
come again, so that no lease may be long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

import qcore

from .calls import CALLS, Call, Counts, fill

__all__ = [
    "FOLLOWED",
    "KEPT",
    "MOVES",
    "PRODUCTIONS",
    "RECORDED",
    "SAID",
    "STEPS",
    "TOLD",
    "Step",
    "followers",
    "moved_to",
    "say_what_follows",
    "step_named",
]

Act = Callable[[qcore.Queue, Sequence[qcore.Delivery], float], object]

_SOON = 0.2
_PATIENCE = 30.0


@attrs.frozen
class Step:
    """One step.

    Attributes:
        name: What it is called in a report.
        act: Takes it.
        states: What the queue may look like when the worker is dead, in the order of progress.
        waits: How many jobs it waits for, in as many exchanges as that takes; it has no states,
            since all of them are still to be done, wherever they are.
        needs: The capabilities that it needs.
        ids: Invariants that it checks beside those of the test.
        prepare: Brings a queue to where the step begins, given a short lease.
        held: How many jobs the worker has to have in hand.
        fed: Whether a job is to come while the worker waits for one.
        makes: The jobs that it enqueues, where they are to be compared with what comes.
        leases: For how many short leases the worker holds them, where it ends them with much to
            say, and an ack that is late by a little would be another step.
    """

    name: str
    act: Act
    states: Sequence[Counts] = ()
    needs: Sequence[str] = ()
    ids: Sequence[str] = ()
    prepare: Callable[[qcore.Queue, float], object] = lambda _queue, _lease: None
    held: int = 0
    waits: int = 0
    fed: bool = False
    makes: Sequence[qcore.NewJob] = ()
    leases: float = 1.0

    def __str__(self) -> str:
        """The name."""
        return self.name


_IDS: Mapping[str, Sequence[str]] = {
    "enqueue": ("Q-REC-03",),
    "enqueue-later": ("Q-REC-03",),
    "enqueue-many": ("Q-REC-03",),
    "enqueue-mixed": ("Q-REC-03",),
    "release": ("Q-REL-03",),
    "retry": ("Q-REL-03",),
    "dead-letter": ("Q-DLQ-02",),
    "redrive": ("Q-REDRIVE-01",),
}
_OWN = frozenset({"take", "extend", "move"})
"""Calls whose leases are too long here, or that have steps of their own."""


def _of(call: Call) -> Step:
    """A call as a step."""
    return Step(
        call.name,
        lambda queue, hands, _: call.act(queue, hands),
        (call.before, call.after),
        call.needs,
        (*call.ids, *_IDS.get(call.name, ())),
        lambda queue, _: fill(queue, call.before),
        held=call.held,
    )


def _take(queue: qcore.Queue, _: Sequence[qcore.Delivery], lease: float) -> object:
    return queue.reserve_many(2, 0.0, lease)


def _extend(_: qcore.Queue, hands: Sequence[qcore.Delivery], lease: float) -> None:
    hands[0].extend(1.5 * lease)


def _wait(queue: qcore.Queue, _: Sequence[qcore.Delivery], lease: float) -> object:
    return queue.reserve_many(2, _PATIENCE, lease)


def _abandon(queue: qcore.Queue, lease: float) -> None:
    """Two jobs whose holder will do nothing with them."""
    queue.enqueue_many([b"0", b"1"])
    queue.reserve_many(2, 0.0, lease)


def _postpone(queue: qcore.Queue, _: float) -> None:
    """Two jobs that are due soon."""
    queue.enqueue_many([qcore.NewJob(b"%d" % number, delay=_SOON) for number in range(2)])


def _three(queue: qcore.Queue, _: float) -> None:
    fill(queue, {"ready": 3})


def _three_in_turn(queue: qcore.Queue, _: float) -> None:
    tenants = ["acme", "acme", "b"]
    queue.enqueue_many([qcore.NewJob(b"%d" % at, tenant=one) for at, one in enumerate(tenants)])


def _three_at_a_gate(queue: qcore.Queue, _: float) -> None:
    """As many as may be in hand, so that none comes again whose slot is lost."""
    gate = qcore.Gate("acme", concurrency=3)
    queue.enqueue_many([qcore.NewJob(b"%d" % number, gate=gate) for number in range(3)])


def _release(_: qcore.Queue, hands: Sequence[qcore.Delivery], lease: float) -> None:
    del lease
    hands[0].release()


def _one(queue: qcore.Queue, _: float) -> None:
    fill(queue, {"ready": 1})


_MORE = (
    Step(
        "take", _take, ({"ready": 3}, {"ready": 1, "held": 2}), ("lease",), ("Q-BATCH-03",), _three
    ),
    Step(
        "take-in-turn",
        _take,
        ({"ready": 3}, {"ready": 1, "held": 2}),
        ("lease", "fair"),
        ("Q-FAIR-03",),
        _three_in_turn,
    ),
    Step(
        "take-at-a-gate",
        _take,
        ({"ready": 3}, {"ready": 1, "held": 2}),
        ("lease", "concurrency"),
        ("Q-GATE-02",),
        _three_at_a_gate,
    ),
    Step(
        "release-at-a-gate",
        _release,
        ({"ready": 2, "held": 1}, {"ready": 3}),
        ("release", "concurrency"),
        ("Q-GATE-02",),
        _three_at_a_gate,
        held=1,
    ),
    Step("extend", _extend, ({"held": 1}, {"held": 1}), ("extend",), (), _one, held=1),
    Step("wait", _wait, needs=("lease",), waits=1, fed=True),
    Step("recover", _wait, needs=("lease",), ids=("Q-LEASE-10",), prepare=_abandon, waits=2),
    Step(
        "promote", _wait, needs=("lease", "delay"), ids=("Q-DELAY-02",), prepare=_postpone, waits=2
    ),
)

STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        *(_of(one) for one in CALLS if one.before != one.after and one.name not in _OWN),
        *_MORE,
    )
}
"""Every step by its name."""


def _production(name: str, state: str, needs: Sequence[str], **options: Sequence[Any]) -> Step:
    """A step that enqueues jobs which differ in every byte that may go wrong."""
    jobs = [
        qcore.NewJob(
            b"%d\r\n" % number + bytes(range(256)),
            headers={"number": str(number), "blank": "", "sign": "\N{SNOWMAN}\r\n"},
            **{option: values[number] for option, values in options.items()},
        )
        for number in range(2)
    ]
    return Step(
        name,
        lambda queue, _hands, _lease: queue.enqueue_many(jobs),
        ({}, {state: len(jobs)}),
        needs,
        makes=jobs,
    )


_NAMES = ("mine", "yours")

PRODUCTIONS: Mapping[str, Step] = {
    step.name: step
    for step in (
        _production("produce", "ready", ()),
        _production("produce-later", "delayed", ("delay", "peek"), delay=(60.0, 60.0)),
        _production("produce-with-id", "ready", ("idempotent_id",), id=_NAMES),
        _production("produce-with-key", "ready", ("dedup",), dedup=_NAMES),
    )
}
"""Steps of producers, by their names; what they leave is looked at byte by byte."""


KEPT: Sequence[str] = ("kept-0", "kept-1")
"""The ids of the jobs of ``RECORDED``."""


def _kept(*_: object) -> list[qcore.NewJob]:
    return [qcore.NewJob(b"", id=name, keep=qcore.Keep()) for name in KEPT]


def _store_kept(queue: qcore.Queue, _lease: float) -> None:
    queue.enqueue_many(_kept())


def _kill_kept(queue: qcore.Queue, lease: float) -> None:
    _store_kept(queue, lease)
    for delivery in queue.reserve_many(2, 0.0):
        delivery.dead_letter("no good")


def _lose_kept(queue: qcore.Queue, lease: float) -> None:
    """Two jobs whose leases are over, and nobody has looked since."""
    _store_kept(queue, lease)
    queue.reserve_many(2, 0.0, lease)
    time.sleep(1.1 * lease)


def _settle_kept(verb: qcore.Verb, seconds: float = 0.0) -> Act:
    """Settle both in one flush; an ack with a result."""
    result = b"result" if verb is qcore.Verb.ACK else None

    def act(queue: qcore.Queue, hands: Sequence[qcore.Delivery], _: float) -> object:
        return queue.settle_many(
            [qcore.Settlement(hand, verb, seconds, "why", result) for hand in hands]
        )

    return act


def _recorded(
    name: str,
    act: Act,
    states: Sequence[Counts],
    *,
    prepare: Callable[[qcore.Queue, float], object] = _store_kept,
    needs: Sequence[str] = (),
    held: int = 0,
) -> Step:
    needs = ("records", "idempotent_id", "peek", *needs)
    return Step(f"recorded-{name}", act, states, needs, prepare=prepare, held=held)


_READY, _HELD = {"ready": 2}, {"held": 2}

RECORDED: Mapping[str, Step] = {
    step.name: step
    for step in (
        _recorded(
            "enqueue",
            lambda queue, _hands, _lease: queue.enqueue_many(_kept()),
            ({}, _READY),
            prepare=lambda _queue, _lease: None,
        ),
        _recorded("take", _take, (_READY, _HELD), needs=("lease",)),
        _recorded("ack", _settle_kept(qcore.Verb.ACK), (_HELD, {"acked": 2}), held=2),
        _recorded("release", _settle_kept(qcore.Verb.RELEASE), (_HELD, _READY), held=2),
        _recorded(
            "retry",
            _settle_kept(qcore.Verb.RETRY, 60.0),
            (_HELD, {"delayed": 2}),
            needs=("retry",),
            held=2,
        ),
        _recorded(
            "dead-letter",
            _settle_kept(qcore.Verb.DEAD_LETTER),
            (_HELD, {"dead": 2}),
            needs=("dead_letter",),
            held=2,
        ),
        _recorded(
            "recover",
            _take,
            (_HELD, {"held": 1, "ready": 1}),
            prepare=_lose_kept,
            needs=("lease",),
        ),
        _recorded(
            "redrive",
            lambda queue, _hands, _lease: queue.redrive(),
            ({"dead": 2}, _READY),
            prepare=_kill_kept,
            needs=("redrive", "dead_letter"),
        ),
        _recorded(
            "cancel",
            lambda queue, _hands, _lease: queue.cancel(KEPT[0]),
            (_READY, {"ready": 1, "dropped": 1}),
            needs=("cancel",),
        ),
        _recorded(
            "purge",
            lambda queue, _hands, _lease: queue.purge(),
            (_READY, {"dropped": 2}),
            needs=("purge",),
        ),
    )
}
"""Steps with tracked jobs; what their records say is compared with where the jobs are."""


def moved_to(queue: qcore.Queue) -> str:
    """The queue to which a step moves jobs."""
    return f"{queue.name}.moved"


def _move(state: str, needs: Sequence[str]) -> Step:
    """A step that moves all jobs of a state."""
    before = {state: 3}
    return Step(
        f"move-{state}",
        lambda queue, _hands, _lease: queue.move(moved_to(queue), state),
        (before, {}),
        ("move", *needs),
        prepare=lambda queue, _lease: fill(queue, before),
    )


MOVES: Mapping[str, Step] = {
    step.name: step
    for step in (
        _move("ready", ()),
        _move("delayed", ("delay",)),
        _move("dead", ("dead_letter",)),
    )
}
"""Steps that bring jobs to another queue, by their names."""


def followers(queue: qcore.Queue) -> Mapping[str, Sequence[str]]:
    """What follows each job of a step, by its queue: another one, its own, one more."""
    return {f"{queue.name}.next": ["1", "2", "3"], queue.name: ["4"], f"{queue.name}.last": ["5"]}


def say_what_follows(queue: qcore.Queue, hand: qcore.Delivery) -> None:
    """Let a job of a queue be followed."""
    for name, jobs in followers(queue).items():
        hand.then(name, *map(str.encode, jobs))


def _ack_followed(queue: qcore.Queue, hands: Sequence[qcore.Delivery], _: float) -> object:
    for hand in hands:
        say_what_follows(queue, hand)
    return queue.ack_many(hands)


def _followed(name: str, count: int) -> Step:
    """A step that ends so many jobs, each of which is followed."""
    return Step(
        name,
        _ack_followed,
        ({"held": count}, {"acked": count, "ready": count}),
        ("then", "lease"),
        prepare=lambda queue, _lease: fill(queue, {"ready": count}),
        held=count,
        leases=4.0,
    )


FOLLOWED: Mapping[str, Step] = {
    step.name: step for step in (_followed("ack-followed", 1), _followed("ack-many-followed", 3))
}
"""Steps that end jobs which are followed by others, by their names."""


SAID = "said"
"""The topic that hears the name of the queue of each job whose end is told."""


def _ack_told(_: qcore.Queue, hands: Sequence[qcore.Delivery], __: float) -> object:
    for hand in hands:
        hand.tell(SAID, hand.job.queue.encode())
        hand.ack()
    return None


TOLD: Mapping[str, Step] = {
    "ack-told": Step(
        "ack-told",
        _ack_told,
        ({"held": 1}, {"acked": 1}),
        ("tell", "lease"),
        prepare=lambda queue, _lease: fill(queue, {"ready": 1}),
        held=1,
        leases=4.0,
    )
}
"""Steps that end jobs whose end is told, by their names."""


def step_named(name: str) -> Step:
    """The step of that name."""
    return {**STEPS, **PRODUCTIONS, **RECORDED, **MOVES, **FOLLOWED, **TOLD}[name]
