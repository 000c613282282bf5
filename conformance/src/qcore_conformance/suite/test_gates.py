"""Gates: no more jobs of a key in hand than it allows, and nobody waits behind one that is full."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from threading import Lock

import pytest

import qcore
from qcore_conformance.acts import holding
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, endings, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import accounted, at_rest, horizon, lease_of
from qcore_conformance.waiting import scaled

_AT_ONCE = 0.5
"""Seconds in which a sleeper is woken, but does not look again by itself."""


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("concurrency", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('concurrency', *names)}")


def _gate(most: int, key: str = "acme") -> qcore.Gate:
    return qcore.Gate(key, concurrency=most)


def _jobs(most: int, count: int, key: str = "acme", **options: float) -> list[qcore.NewJob]:
    """Jobs behind one gate, whose bodies are their numbers."""
    return [
        qcore.NewJob(b"%d" % number, gate=_gate(most, key), **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for number in range(count)
    ]


def _numbers(deliveries: Sequence[qcore.Delivery]) -> list[int]:
    return [int(delivery.job.body) for delivery in deliveries]


class _Hands:
    """Counts how many are in hand at one time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._now = 0
        self.most = 0

    def close(self, count: int) -> None:
        """So many were taken."""
        with self._lock:
            self._now += count
            self.most = max(self.most, self._now)

    def open(self, count: int) -> None:
        """So many are about to be given back."""
        with self._lock:
            self._now -= count


@invariant("Q-GATE-01")
@pytest.mark.parametrize("most", [1, 3])
def test_no_more_are_in_hand_than_the_gate_allows(bed: Bed, most: int) -> None:
    """Over all consumers, however many they ask for at once; and all of them come."""
    _need(bed, "stats")
    count, hands = bed.many(60, 15), _Hands()

    def work() -> list[str]:
        line, ids = bed.connect().queue("q"), list[str]()
        while batch := line.reserve_many(2, timeout=scaled(1.0), lease=LONG):
            hands.close(len(batch))
            assert line.stats().held <= most
            ids += [delivery.job.id for delivery in batch]
            hands.open(len(batch))
            assert all(line.ack_many(batch))
        return ids

    ids = bed.queue().enqueue_many(_jobs(most, count))
    came = at_once(*[work] * 4)

    assert sorted(job_id for one in came for job_id in one) == sorted(ids)
    assert 1 <= hands.most <= most
    at_rest(bed, bed.queue())


@invariant("Q-GATE-01")
def test_each_key_has_slots_of_its_own(bed: Bed) -> None:
    """Also if one begins as another; and the number of the job that is to be taken counts."""
    _need(bed, "order:fifo_single")
    queue = bed.queue()
    for key, most in (("a", 1), ("a.b", 2), ("a:", 3), ("aa", 1)):
        queue.enqueue_many(_jobs(most, 4, key))
    assert len(queue.reserve_many(20, timeout=scaled(5.0), lease=LONG)) == 7

    queue.enqueue(b"4", gate=_gate(2, "a"))
    queue.enqueue(b"5", gate=_gate(9, "b"))
    found = queue.reserve_many(20, timeout=scaled(5.0), lease=LONG)
    assert _numbers(found) == [5] or _numbers(found) == [4, 5]


@invariant("Q-GATE-02")
@pytest.mark.parametrize("verb", [*qcore.Verb][:4], ids=str)
def test_each_ending_frees_a_slot(bed: Bed, verb: qcore.Verb) -> None:
    """One, at once, for who waits longest; and a late settle frees no other."""
    _need(bed, "stats", "order:fifo_single")
    if verb not in endings(bed):
        raise NotApplicable(f"{bed.capabilities.adapter} has no {verb}")
    queue = bed.queue()
    queue.enqueue_many(_jobs(2, 5))
    held = queue.reserve_many(5, timeout=scaled(5.0), lease=LONG)
    assert _numbers(held) == [0, 1]
    assert quiet(queue)

    delay = LONG if verb is qcore.Verb.RETRY else 0.0
    assert queue.settle_many([qcore.Settlement(held[0], verb, delay)]) == [True]

    again = queue.reserve_many(5, timeout=scaled(5.0), lease=LONG)
    assert _numbers(again) == ([0] if verb is qcore.Verb.RELEASE else [2])
    assert queue.ack_many([held[0]]) == [False]
    assert quiet(queue)
    assert queue.ack_many([held[1]]) == [True]
    assert len(queue.reserve_many(5, timeout=scaled(5.0), lease=LONG)) == 1
    accounted(bed, queue)


@invariant("Q-GATE-02")
def test_a_cancelled_delivery_frees_its_slot(bed: Bed) -> None:
    """Its holder is told later; the next one need not wait for that."""
    _need(bed, "cancel", "stats", "order:fifo_single")
    queue = bed.queue()
    ids = queue.enqueue_many(_jobs(1, 4))
    first = taken(queue, LONG)
    assert quiet(queue, 0.0)
    assert queue.cancel(ids[1]) is qcore.State.READY
    assert queue.cancel(first.job.id) is qcore.State.HELD

    second = taken(queue, LONG)

    assert second.job.id == ids[2]
    assert quiet(queue)
    assert queue.ack_many([first, second]) == [False, True]
    assert taken(queue).job.id == ids[3]


@invariant("Q-GATE-02")
def test_the_end_of_a_lease_frees_the_slot(bed: Bed) -> None:
    """Whose holder may live; what was taken over counts once, and comes before those that wait."""
    _need(bed, "lease", "stats", "order:fifo_single")
    queue, lease = bed.queue(), 2 * bed.lease
    ids = queue.enqueue_many(_jobs(2, 6))
    lost = queue.reserve_many(6, timeout=scaled(5.0), lease=lease)
    assert len(lost) == 2
    assert quiet(queue, 0.0)
    pass_time(time.monotonic() + lease + bed.slack)

    again = [taken(queue, LONG) for _ in range(2)]

    assert sorted(one.job.id for one in again) == sorted(ids[:2])
    assert quiet(queue)
    assert queue.ack_many(lost) == [False, False]
    assert quiet(queue)
    assert all(queue.ack_many(again))
    assert [one.job.id for one in drained(queue)] == ids[2:]
    at_rest(bed, queue)


@invariant("Q-GATE-02", "Q-BLOCK-01")
@pytest.mark.parametrize("verb", ["ack", "release", "dead_letter", "cancel"])
def test_a_free_slot_wakes_whoever_waits(bed: Bed, verb: str) -> None:
    """Who is not woken could have slept for a second."""
    _need(bed, verb if verb != "ack" else "release")
    queue, late = bed.queue(), list[float]()
    for _ in range(bed.many(4, 3)):
        queue.enqueue_many(_jobs(1, 2))
        held = taken(queue, LONG)
        waiting = bed.start(lambda: _moment(bed.connect().queue("q")))
        pass_time(time.monotonic() + scaled(0.1))
        began = time.monotonic()
        queue.cancel(held.job.id) if verb == "cancel" else _end(queue, held, verb)
        late.append(waiting.result(scaled(10.0)) - began)
        drained(queue)

    bed.spread("a free slot to wake-up", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(_AT_ONCE)


def _end(queue: qcore.Queue, held: qcore.Delivery, verb: str) -> None:
    assert queue.settle_many([qcore.Settlement(held, qcore.Verb(verb))]) == [True]


def _moment(queue: qcore.Queue) -> float:
    delivery = taken(queue)
    came = time.monotonic()
    delivery.ack()
    return came


@invariant("Q-GATE-03")
def test_nobody_waits_behind_a_full_gate(bed: Bed) -> None:
    """Neither plain jobs nor those of other keys, on any level, however many wait there."""
    _need(bed, "priority", "stats", "order:fifo_single")
    queue, many = bed.queue(), bed.many(300, 40)
    queue.enqueue_many(_jobs(1, many, priority=1))
    others = queue.enqueue_many([b"1000", *_jobs(1, 1, "bolt"), qcore.NewJob(b"", priority=-1)])

    found = queue.reserve_many(4, timeout=scaled(5.0), lease=LONG)
    while len(found) < 4 and (more := queue.reserve_many(4, timeout=scaled(5.0), lease=LONG)):
        found += more

    assert [one.job.id for one in found][1:] == list(others)
    assert (queue.stats().held, queue.stats().ready) == (4, many - 1)


@invariant("Q-GATE-04")
@pytest.mark.parametrize("limit", [1, 3])
def test_the_jobs_of_a_gate_keep_their_order(bed: Bed, limit: int) -> None:
    """Whether they waited there or not, and those that are given back come first."""
    _need(bed, "order:fifo_single", "release")
    queue, many = bed.queue(), bed.many(30, 10)
    came = list[int]()
    queue.enqueue_many(_jobs(2, many)[: many // 2])
    for turn in range(many):
        batch = queue.reserve_many(limit, timeout=0.0, lease=LONG)
        if turn == 0:
            queue.enqueue_many(_jobs(2, many)[many // 2 :])
        if turn % 3 == 1:
            assert all(
                queue.settle_many([qcore.Settlement(one, qcore.Verb.RELEASE) for one in batch])
            )
            continue
        came += _numbers(batch)
        assert all(queue.ack_many(batch))

    came += _numbers(drained(queue))
    assert came == [*range(many)]


@invariant("Q-GATE-04")
def test_the_more_urgent_of_a_gate_comes_first(bed: Bed) -> None:
    """However long the others wait there."""
    _need(bed, "priority", "order:fifo_single")
    queue = bed.queue()
    first = queue.enqueue(b"", gate=_gate(1))
    held = taken(queue, LONG)
    assert held.job.id == first
    ids = [queue.enqueue(b"", gate=_gate(1), priority=level) for level in (-2, 0, 3)]
    assert quiet(queue, 0.0)
    ids += [queue.enqueue(b"", gate=_gate(1), priority=level) for level in (0, 4)]
    held.ack()

    assert [one.job.id for one in _one_by_one(queue)] == [ids[at] for at in (4, 2, 1, 3, 0)]


@invariant("Q-GATE-04")
@pytest.mark.parametrize("met", ["before", "now"])
def test_a_narrow_job_holds_back_the_less_urgent_of_its_gate(bed: Bed, met: str) -> None:
    """Or it would wait for as long as wider ones come; also if one take meets both."""
    _need(bed, "priority", "order:fifo_single")
    queue = bed.queue()
    queue.enqueue_many(_jobs(3, 5))
    held = queue.reserve_many(4, timeout=0.0, lease=LONG)
    assert len(held) == 3
    narrow = queue.enqueue(b"", gate=_gate(1), priority=2)
    if met == "before":
        assert quiet(queue, 0.0)
    held.pop().ack()
    assert quiet(queue, 0.0)
    assert all(queue.ack_many(held))

    first, *others = queue.reserve_many(3, timeout=0.0, lease=LONG)
    assert first.job.id == narrow
    assert _numbers(others) == [3, 4]


def _one_by_one(queue: qcore.Queue) -> list[qcore.Delivery]:
    found: list[qcore.Delivery] = []
    while delivery := queue.reserve(timeout=scaled(0.2)):
        delivery.ack()
        found.append(delivery)
    return found


@invariant("Q-GATE-05", "Q-OBS-04")
def test_what_waits_at_a_gate_is_ready(bed: Bed) -> None:
    """Counted, shown, found by its id, and gone when it was purged."""
    _need(bed, "stats", "peek", "purge", "cancel", "order:fifo_single")
    queue = bed.queue()
    ids = queue.enqueue_many(_jobs(1, 6))
    held = taken(queue, LONG)
    assert quiet(queue, 0.0)

    assert (queue.stats().ready, queue.stats().held) == (5, 1)
    assert [one.id for one in queue.peek("ready", 3)] == ids[1:4]
    assert [one.id for one in queue.peek("ready", 3, 3)] == ids[4:]
    accounted(bed, queue)
    assert queue.cancel(ids[2]) is qcore.State.READY
    assert queue.purge() == 4
    assert (queue.stats().ready, queue.stats().dropped) == (0, 5)
    held.ack()
    assert quiet(queue)
    queue.enqueue_many(_jobs(1, 2))
    assert len(drained(queue)) == 2
    at_rest(bed, queue)


@invariant("Q-GATE-05", "Q-TTL-01")
def test_who_waits_at_a_gate_for_too_long_is_dropped(bed: Bed) -> None:
    """And takes up no slot."""
    _need(bed, "ttl", "stats", "order:fifo_single")
    queue, short = bed.queue(), scaled(0.2)
    queue.enqueue_many(_jobs(1, 1))
    held = taken(queue, LONG)
    queue.enqueue_many([*_jobs(1, 5, ttl=short), *_jobs(1, 2, ttl=LONG)])
    assert quiet(queue, 0.0)
    pass_time(time.monotonic() + short + bed.slack)
    held.ack()

    assert _numbers(_one_by_one(queue)) == [0, 1]
    assert (queue.stats().dropped, queue.stats().ready) == (5, 0)


@invariant("Q-GATE-05")
def test_delayed_and_dead_jobs_keep_their_gate(bed: Bed) -> None:
    """They pass it when they are due, or redriven."""
    _need(bed, "delay", "retry", "dead_letter", "redrive", "stats")
    queue, delay = bed.queue(), scaled(0.2)
    due_at = time.monotonic() + delay
    queue.enqueue_many([*_jobs(1, 1), *_jobs(1, 2, delay=delay), *_jobs(1, 2)])
    taken(queue, LONG).dead_letter("why")
    taken(queue, LONG).retry(delay)
    assert queue.redrive() == 1
    pass_time(due_at + 2 * delay + bed.slack)

    for rest in range(5, 0, -1):
        held = taken(queue, LONG)
        assert queue.reserve(timeout=0.0) is None
        assert (queue.stats().held, queue.stats().ready) == (1, rest - 1)
        held.ack()
    at_rest(bed, queue)


@invariant("Q-GATE-02", "Q-GATE-01")
def test_killed_holders_leave_no_slot_taken(bed: Bed) -> None:
    """Again and again: the slots are free within the lease, and never are there more."""
    _need(bed, "stats", "lease")
    queue, most = bed.queue(), 3
    ids = queue.enqueue_many(_jobs(most, 9))
    for _ in range(2):
        holder = bed.act(holding.hold, "", most, lease_of(bed))
        holder.ready().go()
        held = holder.heard("holds")
        assert len(held) == queue.stats().held == most
        assert quiet(queue, 0.0)
        holder.kill()
        pass_time(time.monotonic() + bed.lease + bed.slack)

    found = _all_within(bed, queue, len(ids), most)

    assert sorted(found) == sorted(ids)
    accounted(bed, queue)
    at_rest(bed, queue)


def _all_within(bed: Bed, queue: qcore.Queue, count: int, most: int) -> list[str]:
    """Take and ack so many that must come, never more than are allowed at once."""
    found: list[str] = []
    deadline = time.monotonic() + horizon(bed, lease_of(bed, 2.0)) + scaled(10.0)
    while len(found) < count:
        rest = deadline - time.monotonic()
        assert rest > 0, f"{len(found)} of {count} came: {queue.stats()}"
        batch = queue.reserve_many(100, timeout=rest, lease=LONG)
        assert len(batch) <= most
        assert queue.stats().held <= most
        assert all(queue.ack_many(batch))
        found += [delivery.job.id for delivery in batch]
    return found


@invariant("Q-GATE-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        "acme",
        1,
        qcore.Gate("acme"),
        qcore.Gate("", concurrency=1),
        qcore.Gate("a|b", concurrency=1),
        qcore.Gate("a,b", concurrency=1),
        qcore.Gate("acme", concurrency=0),
        qcore.Gate("acme", concurrency=True),
        qcore.Gate("acme", concurrency=1.5),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        qcore.Gate("acme", concurrency=1, window=1.0),
    ],
    ids=repr,
)
def test_a_gate_that_is_none_is_refused(bed: Bed, wrong: object) -> None:
    """Before anything is stored; a key has as many characters as other names."""
    _need(bed, "stats")
    queue, most = bed.queue(), bed.capabilities.limits.name

    with pytest.raises(qcore.InvalidInput, match=r"gate|concurrency"):
        queue.enqueue(b"", gate=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(qcore.LimitExceeded, match="gate"):
        queue.enqueue(b"", gate=_gate(1, "x" * (most + 1)))

    assert queue.stats().enqueued == 0
    queue.enqueue(b"", gate=_gate(1, "x" * most))
    assert len(drained(queue)) == 1


@invariant("Q-GATE-01", "Q-FAIR-02")
def test_tenants_and_gates_go_together(bed: Bed) -> None:
    """One whose gate is full leaves its turn to the others, and comes when it may."""
    _need(bed, "fair", "stats")
    queue = bed.queue()
    jobs = [
        qcore.NewJob(f"{tenant} {number}".encode(), tenant=tenant, gate=_gate(1, tenant))
        for tenant in ("acme", "b")
        for number in range(4)
    ]
    ids = queue.enqueue_many(jobs)
    first = queue.reserve_many(8, timeout=scaled(5.0), lease=LONG)
    assert sorted(delivery.job.body for delivery in first) == [b"acme 0", b"b 0"]

    assert all(queue.ack_many(first))
    came = [delivery.job for delivery in (*first, *_one_by_one(queue))]

    assert sorted(job.id for job in came) == sorted(ids)
    bodies = [job.body.decode() for job in came]
    for tenant in ("acme", "b"):
        assert [body for body in bodies if body.startswith(tenant)] == [
            f"{tenant} {number}" for number in range(4)
        ]


@invariant("Q-GATE-02")
def test_slots_hold_while_everything_happens_at_once(bed: Bed) -> None:
    """Acks, releases, retries and leases that end, with many consumers: all come, none too many."""
    _need(bed, "stats", "release", "retry", "lease")
    most, count = 3, bed.many(60, 15)
    ids = bed.queue().enqueue_many(_jobs(most, count))

    def work(which: int) -> list[str]:
        line, done = bed.connect().queue("q"), list[str]()
        verbs = (qcore.Verb.ACK, qcore.Verb.RELEASE, qcore.Verb.ACK, qcore.Verb.RETRY)
        turn = which
        while batch := line.reserve_many(2, timeout=scaled(1.5), lease=LONG):
            assert line.stats().held <= most
            for one in batch:
                turn += 1
                verb = verbs[turn % 4] if one.attempt < 3 else qcore.Verb.ACK
                assert line.settle_many([qcore.Settlement(one, verb)]) == [True]
                done += [one.job.id] * (verb is qcore.Verb.ACK)
        return done

    done = at_once(*[partial(work, which) for which in range(3)])

    assert sorted(job_id for one in done for job_id in one) == sorted(ids)
    at_rest(bed, bed.queue())
