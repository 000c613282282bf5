"""The calls that change a queue or look into it, each with what it answers and what comes of it.

In go a queue and what was reserved from it; out comes an answer that is the same whether replies
were lost or not. What a call may have done is told by the counts of its queue, before and after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

import qcore

__all__ = ["CALLS", "Call", "Counts", "counts", "fill", "prepared"]

Counts = Mapping[str, int]
"""How many jobs are in each state, without those that nobody is in."""

Act = Callable[[qcore.Queue, Sequence[qcore.Delivery]], object]

_LONG = 60.0


@attrs.frozen
class Call:
    """One call.

    Attributes:
        name: What it is called in a report.
        act: Makes it, given the queue and what was reserved before, and gives its answer.
        answer: That answer.
        before: The counts of a queue that it was not made on yet.
        after: The counts after it took effect once.
        needs: The capabilities that it needs.
        ids: Invariants that it checks beside those of the test.
        sure: Whether ``replay`` is enough to get the answer in the end. Without, a call whose
            reply was lost is not sent again, and the caller is told so.
    """

    name: str
    act: Act
    answer: object
    before: Counts
    after: Counts
    needs: Sequence[str] = ()
    ids: Sequence[str] = ()
    sure: bool = True

    def __str__(self) -> str:
        """The name."""
        return self.name

    @property
    def held(self) -> int:
        """How many jobs have to be in hand."""
        return self.before.get("held", 0)


def counts(queue: qcore.Queue) -> dict[str, int]:
    """How many jobs are in each state, by the broker's own account."""
    seen = attrs.asdict(queue.stats(), filter=lambda field, _: bool(field.eq))
    return {state: count for state, count in seen.items() if count and state != "enqueued"}


def prepared(call: Call, beside: qcore.Queue, queue: qcore.Queue) -> list[qcore.Delivery]:
    """Bring a queue to where the call begins.

    Args:
        call: The call.
        beside: The queue, by a connection that nothing happens to.
        queue: The queue, by the connection that will make the call.

    Returns:
        What that connection has in hand.
    """
    fill(beside, call.before)
    return queue.reserve_many(call.held, 0.0, _LONG) if call.held else []


def fill(queue: qcore.Queue, wanted: Counts) -> None:
    """Bring jobs into these states; those that are to be held are left to be taken."""
    if delayed := wanted.get("delayed", 0):
        queue.enqueue_many([qcore.NewJob(b"later", delay=_LONG)] * delayed)
    if dead := wanted.get("dead", 0):
        queue.enqueue_many(_bodies(dead))
        for delivery in queue.reserve_many(dead, 0.0, _LONG):
            delivery.dead_letter("no good")
    if stored := wanted.get("ready", 0) + wanted.get("held", 0):
        queue.enqueue_many(_bodies(stored))
    if wanted.get("paused"):
        queue.pause()


def _bodies(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def _enqueue(**options: Any) -> Act:
    return lambda queue, _: queue.enqueue(b"0", **options).created


def _enqueue_twice(**options: Any) -> Act:
    return lambda queue, _: [queue.enqueue(b"0", **options).created for _ in range(2)]


def _enqueue_many(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    return [job.created for job in queue.enqueue_many(_bodies(3))]


def _enqueue_mixed(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    jobs = [b"0", qcore.NewJob(b"1", delay=_LONG), qcore.NewJob(b"2", id="mine", priority=2)]
    return [job.created for job in queue.enqueue_many(jobs)]


def _enqueue_in_turn(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    jobs = [
        qcore.NewJob(b"0", tenant="acme"),
        qcore.NewJob(b"1", tenant="acme", delay=_LONG),
        b"2",
    ]
    return [job.created for job in queue.enqueue_many(jobs)]


def _enqueue_at_a_gate(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    gate = qcore.Gate("acme", concurrency=3)
    jobs = [
        qcore.NewJob(b"0", gate=gate),
        qcore.NewJob(b"1", gate=gate, delay=_LONG),
        b"2",
    ]
    return [job.created for job in queue.enqueue_many(jobs)]


def _enqueue_joined(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    """Both members ask for a job, and one of them again."""
    joins = [qcore.Join(2, member) for member in ("left", "left", "right", "right")]
    jobs = [qcore.NewJob(b"0", id="end", join=join) for join in joins]
    return [job.created for job in queue.enqueue_many([*jobs, b"1"])]


def _take(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    found = queue.reserve_many(2, 0.0, _LONG)
    return [(delivery.job.body, delivery.number, delivery.attempt) for delivery in found]


def _settle(*verbs: qcore.Verb) -> Act:
    """Settle what is in hand in one flush, and the first of it once more."""

    def act(queue: qcore.Queue, hands: Sequence[qcore.Delivery]) -> object:
        receipts = [*(hand.receipt for hand in hands), hands[0].receipt]
        pairs = zip(receipts, (*verbs, qcore.Verb.ACK), strict=True)
        return queue.settle_many(
            [qcore.Settlement(receipt, verb, _seconds(verb)) for receipt, verb in pairs]
        )

    return act


def _seconds(verb: qcore.Verb) -> float:
    return _LONG if verb is qcore.Verb.RETRY else 0.0


def _in_hand(act: Callable[[qcore.Delivery], object]) -> Act:
    return lambda _, hands: act(hands[0])


def _remove(queue: qcore.Queue, _: Sequence[qcore.Delivery]) -> object:
    return queue.remove([job.id for job in queue.peek("dead")])


def _cancel(queue: qcore.Queue, hands: Sequence[qcore.Delivery], state: str) -> object:
    """Cancel what is in hand, or the first job of a state."""
    jobs = [hand.job.id for hand in hands] or [job.id for job in queue.peek(state)]
    return queue.cancel(jobs[0])


def _cancel_one(state: str) -> Call:
    left = {} if state == "held" else {state: 1}
    needs = ("cancel", "peek", *(["delay"] if state == "delayed" else []))
    return Call(
        f"cancel-{state}",
        lambda queue, hands: _cancel(queue, hands, state),
        qcore.State(state),
        {state: 1 + sum(left.values())},
        {**left, "dropped": 1},
        needs,
        sure=False,
    )


def _purge(state: str) -> Act:
    return lambda queue, _: queue.purge(state)


_BATCH = ("Q-BATCH-03",)
_SETTLE = ("Q-ACK-04",)
_ALL_WAYS = (qcore.Verb.ACK, qcore.Verb.RELEASE, qcore.Verb.RETRY, qcore.Verb.DEAD_LETTER)

_ENQUEUES = (
    Call("enqueue", _enqueue(), answer=True, before={}, after={"ready": 1}),
    Call(
        "enqueue-later",
        _enqueue(delay=_LONG),
        answer=True,
        before={},
        after={"delayed": 1},
        needs=("delay",),
    ),
    Call(
        "enqueue-with-id",
        _enqueue_twice(id="mine"),
        [True, False],
        {},
        {"ready": 1},
        ("idempotent_id",),
    ),
    Call(
        "enqueue-with-key",
        _enqueue_twice(dedup="key"),
        [True, False],
        {},
        {"ready": 1},
        ("dedup",),
        ("Q-DEDUP-02",),
    ),
    Call("enqueue-many", _enqueue_many, [True] * 3, {}, {"ready": 3}, (), _BATCH),
    Call(
        "enqueue-mixed",
        _enqueue_mixed,
        [True] * 3,
        {},
        {"ready": 2, "delayed": 1},
        ("delay", "priority", "idempotent_id"),
        _BATCH,
    ),
)

_IN_TURN = (
    Call(
        "enqueue-in-turn",
        _enqueue_in_turn,
        [True] * 3,
        {},
        {"ready": 2, "delayed": 1},
        ("fair", "delay"),
        ("Q-FAIR-03",),
    ),
)

_AT_A_GATE = (
    Call(
        "enqueue-at-a-gate",
        _enqueue_at_a_gate,
        [True] * 3,
        {},
        {"ready": 2, "delayed": 1},
        ("concurrency", "delay"),
        ("Q-GATE-02",),
    ),
)

_JOINED = (
    Call(
        "enqueue-joined",
        _enqueue_joined,
        [False, False, True, False, True],
        {},
        {"ready": 2},
        ("join",),
        ("Q-JOIN-02", *_BATCH),
    ),
)

_TAKES = (
    Call(
        "take",
        _take,
        [(b"0", 1, 1), (b"1", 1, 1)],
        {"ready": 3},
        {"ready": 1, "held": 2},
        ("lease",),
        _BATCH,
    ),
)

_SETTLES = (
    Call("ack", _in_hand(lambda hand: hand.ack()), None, {"held": 1}, {"acked": 1}, (), _SETTLE),
    Call(
        "release",
        _in_hand(lambda hand: hand.release()),
        None,
        {"held": 1},
        {"ready": 1},
        ("release",),
        _SETTLE,
    ),
    Call(
        "retry",
        _in_hand(lambda hand: hand.retry(_LONG, "it failed")),
        None,
        {"held": 1},
        {"delayed": 1},
        ("retry",),
        _SETTLE,
    ),
    Call(
        "dead-letter",
        _in_hand(lambda hand: hand.dead_letter("no good")),
        None,
        {"held": 1},
        {"dead": 1},
        ("dead_letter",),
        _SETTLE,
    ),
    Call(
        "extend",
        _in_hand(lambda hand: hand.extend(_LONG)),
        None,
        {"held": 1},
        {"held": 1},
        ("extend",),
        _SETTLE,
    ),
    Call(
        "settle-many",
        _settle(*_ALL_WAYS),
        [True] * 4 + [False],
        {"held": 4},
        {"acked": 1, "ready": 1, "delayed": 1, "dead": 1},
        ("release", "retry", "dead_letter"),
        (*_BATCH, *_SETTLE),
    ),
)

_CARE = (
    Call("stats", lambda queue, _: queue.stats().ready, 2, {"ready": 2}, {"ready": 2}),
    Call(
        "peek",
        lambda queue, _: [one.job and one.job.body for one in queue.peek()],
        [b"0", b"1"],
        {"ready": 2},
        {"ready": 2},
        ("peek",),
    ),
    Call(
        "redrive",
        lambda queue, _: queue.redrive(),
        2,
        {"dead": 2},
        {"ready": 2},
        ("redrive", "dead_letter"),
        sure=False,
    ),
    Call(
        "remove",
        _remove,
        2,
        {"dead": 2},
        {"dropped": 2},
        ("dead_letter", "peek"),
        sure=False,
    ),
    *(
        Call(
            f"purge-{state}",
            _purge(state),
            2,
            {state: 2},
            {"dropped": 2},
            ("purge", needed),
            sure=False,
        )
        for state, needed in (("ready", "purge"), ("delayed", "delay"), ("dead", "dead_letter"))
    ),
)

_RUNNING: Counts = {"ready": 2}
_PAUSED: Counts = {"ready": 2, "paused": True}

_STEERING = (
    Call("pause", lambda queue, _: queue.pause(), None, _RUNNING, _PAUSED, ("pause",)),
    Call("resume", lambda queue, _: queue.resume(), None, _PAUSED, _RUNNING, ("pause",)),
    *map(_cancel_one, ("ready", "delayed", "held")),
    Call(
        "move",
        lambda queue, _: queue.move("elsewhere"),
        2,
        {"ready": 2},
        {},
        ("move",),
        ("Q-MOVE-01",),
        sure=False,
    ),
)

CALLS: Sequence[Call] = (
    *_ENQUEUES,
    *_IN_TURN,
    *_AT_A_GATE,
    *_JOINED,
    *_TAKES,
    *_SETTLES,
    *_CARE,
    *_STEERING,
)
"""Every call of a queue that reaches its broker."""
