"""Jobs that are moved to another queue: each as it was, in one of the two, and counted there."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, lined_up, pass_time, taken
from qcore_conformance.suite.aftermath import accounted, whereabouts
from qcore_conformance.waiting import scaled

_AT_ONCE = 0.5
"""Seconds in which a sleeper is woken, but does not look again by itself."""


def _two(bed: Bed, *names: str) -> tuple[qcore.Queue, qcore.Queue]:
    """Two queues of one connection."""
    if not bed.claims("move", "stats", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('move', *names)}")
    connection = bed.connect()
    return connection.queue("q"), connection.queue("other")


def _job(name: object, **options: Any) -> qcore.NewJob:
    return qcore.NewJob(str(name).encode(), **options)


def _out(queue: qcore.Queue) -> list[str]:
    """Take and ack all there is, one by one; the bodies in order."""
    return [delivery.job.body.decode() for delivery in _each(queue)]


@invariant("Q-MOVE-01")
def test_what_waits_goes_behind_what_waits_there(bed: Bed) -> None:
    """On its level, in its order, with all it carries; as many as are asked for."""
    source, target = _two(bed, "priority")
    target.enqueue_many([_job("there"), _job("there urgent", priority=1)])
    jobs = [
        _job(f"{level} {number}", priority=level, headers={"n": str(number)})
        for number in range(3)
        for level in (-4, 0, 1)
    ]
    ids = source.enqueue_many(jobs)

    assert source.move("other", limit=4) == 4
    accounted(bed, source)
    accounted(bed, target)
    assert (source.stats().enqueued, target.stats().enqueued) == (5, 6)
    assert source.move("other") == 5
    assert source.move("other") == 0

    came = drained(target)
    order = ["there urgent", "1 0", "1 1", "1 2", "there", "0 0", "0 1", "0 2"]
    order += ["-4 0", "-4 1", "-4 2"]
    assert [one.job.body.decode() for one in came] == order
    moved = [one.job for one in came if one.job.headers]
    assert {one.id for one in moved} == set(ids)
    assert all(one.body.endswith(one.headers["n"].encode()) for one in moved)
    assert all(one.body.startswith(b"%d " % one.priority) for one in moved)
    assert (source.stats().enqueued, source.stats().ready) == (0, 0)
    assert (target.stats().enqueued, target.stats().acked) == (11, 11)


@invariant("Q-MOVE-01")
def test_counts_go_with_a_job(bed: Bed) -> None:
    """Deliveries, attempts and crashes of what was released, was retried, or lost its holder."""
    source, target = _two(bed, "release", "retry", "lease", "attempts", "peek")
    source.enqueue_many([b""] * 4)
    released, retried = taken(source), taken(source)
    crashed = source.reserve(timeout=0.0, lease=bed.lease)
    assert crashed
    released.release()
    retried.retry(0.0, "it failed")
    pass_time(time.monotonic() + bed.lease + bed.slack)
    held = [taken(source, LONG) for _ in range(4)]
    before = {one.job.id: (one.number, one.attempt, one.crashes) for one in held}
    for delivery in held:
        delivery.release()

    assert source.move("other") == 4

    after = [taken(target) for _ in range(4)]
    assert {one.job.id: (one.number - 1, one.attempt, one.crashes) for one in after} == before
    assert before[retried.job.id][1:] == (2, 0)
    assert before[crashed.job.id][1:] == (2, 1)


@invariant("Q-MOVE-01")
def test_a_delayed_job_is_due_when_it_was(bed: Bed) -> None:
    """There, where whoever sleeps is woken for it; with the error of what was retried."""
    source, target = _two(bed, "delay", "retry", "peek")
    source.enqueue_many([_job("far", delay=LONG), _job("retried")])
    taken(source).retry(LONG / 2, "it failed")
    soon = scaled(1.0)
    began = time.monotonic()
    source.enqueue(b"soon", delay=soon)
    coming = bed.start(lambda: (taken(target), time.monotonic()))
    pass_time(time.monotonic() + scaled(0.1))

    assert source.move("other", "delayed") == 3

    delivery, came = coming.result(scaled(20.0))
    assert delivery.job.body == b"soon"
    assert soon - 0.05 <= came - began
    bed.figure("late after a move", (came - began - soon) * 1000, "ms")
    retried, far = target.peek("delayed")
    assert (retried.attempt, retried.number, retried.note) == (2, 1, "it failed")
    assert far.due_in is not None
    assert retried.due_in is not None
    assert LONG - scaled(10.0) < far.due_in <= LONG
    assert LONG / 2 - scaled(10.0) < retried.due_in <= LONG / 2
    assert source.stats().enqueued == 0
    accounted(bed, target)


@invariant("Q-MOVE-01")
def test_a_dead_job_is_ready_there(bed: Bed) -> None:
    """As after a redrive: its attempts begin anew, its deliveries do not."""
    source, target = _two(bed, "dead_letter", "attempts")
    source.enqueue_many([b"0", b"1", b"2"])
    for delivery in source.reserve_many(3, timeout=scaled(5.0)):
        delivery.dead_letter("no good")

    assert source.move("other", "dead", limit=2) == 2

    came = drained(target)
    assert {(one.number, one.attempt) for one in came} == {(2, 1)}
    assert len({one.job.id for one in came}) == 2
    assert (source.stats().dead, source.stats().enqueued) == (1, 1)
    accounted(bed, source)
    accounted(bed, target)


@invariant("Q-MOVE-01", "Q-TTL-01")
def test_a_job_is_too_late_when_it_was(bed: Bed) -> None:
    """What nobody took in time is dropped there, and what was in time is kept."""
    source, target = _two(bed, "ttl", "delay")
    short = scaled(0.3)
    source.enqueue_many([_job("late", ttl=short), _job("in time", ttl=LONG), _job("any")])
    source.enqueue(b"late, too", delay=short, ttl=short)
    assert source.move("other") == 3
    assert source.move("other", "delayed") == 1
    pass_time(time.monotonic() + 2 * short + bed.slack)

    assert sorted(_out(target)) == ["any", "in time"]
    assert (target.stats().dropped, target.stats().enqueued) == (2, 4)
    accounted(bed, target)


@invariant("Q-MOVE-01", "Q-DEDUP-01")
def test_a_job_that_is_known_there_stays(bed: Bed) -> None:
    """Whatever became of the other one; the id of one that was moved is known in both queues."""
    source, target = _two(bed, "idempotent_id")
    target.enqueue_many([_job("waits", id="waits"), _job("done", id="done")])
    assert sorted(_out(target)) == ["done", "waits"]
    target.enqueue(b"ready", id="ready")
    names = ["a", "waits", "b", "done", "ready", "c"]
    source.enqueue_many([_job(name, id=name) for name in names])

    assert source.move("other", limit=2) == 2
    assert source.move("other") == 1
    assert source.move("other") == 0

    assert (source.stats().ready, source.stats().enqueued) == (3, 3)
    assert not source.enqueue(b"again", id="a").created
    assert not target.enqueue(b"again", id="a").created
    assert sorted(_out(source)) == ["done", "ready", "waits"]
    assert sorted(_out(target)) == ["a", "b", "c", "ready"]


@invariant("Q-MOVE-01")
def test_a_job_that_is_tracked_stays(bed: Bed) -> None:
    """What becomes of it is asked for where it was enqueued."""
    source, target = _two(bed, "records", "idempotent_id")
    target.enqueue(b"known", id="known", keep=qcore.Keep())
    source.enqueue_many([_job("kept", id="kept", keep=qcore.Keep()), _job("known", id="known")])
    source.enqueue(b"plain")

    assert source.move("other") == 1

    assert sorted(_out(source)) == ["kept", "known"]
    assert sorted(_out(target)) == ["known", "plain"]
    record = source.get("kept")
    assert record is not None
    assert record.state == "done"


@invariant("Q-MOVE-01")
def test_a_job_can_be_moved_there_and_back(bed: Bed) -> None:
    """Again and again; whoever gave its id is told each time that it is known."""
    source, target = _two(bed, "idempotent_id")
    source.enqueue(b"mine", id="mine")
    for _ in range(3):
        assert source.move("other") == 1
        assert target.move("q") == 1

    for queue in (source, target):
        again = queue.enqueue(b"again", id="mine")
        assert (again, again.created) == ("mine", False)
    assert (_out(source), _out(target)) == (["mine"], [])
    assert not source.enqueue(b"again", id="mine").created


@invariant("Q-MOVE-01", "Q-FAIR-01")
def test_tenants_go_on_taking_turns_there(bed: Bed) -> None:
    """Those that were moved, and those that were there; whoever stays owes nothing."""
    source, target = _two(bed, "fair")
    source.enqueue_many([_job(f"acme {n}", tenant="acme") for n in range(6)])
    source.enqueue_many([_job(f"b {n}", tenant="b") for n in range(3)])
    source.enqueue_many([_job("none 0"), _job("none 1")])
    target.enqueue_many([_job(f"c {n}", tenant="c") for n in range(2)])

    assert source.move("other", limit=7) == 7

    came = [one.split()[0] for one in _out(target)]
    assert Counter(came) == {"acme": 3, "b": 2, "none": 2, "c": 2}
    assert set(came[:4]) == set(came[4:8]) == {"acme", "b", "none", "c"}
    source.enqueue(b"b 3", tenant="b")
    rest = [one.split()[0] for one in _out(source)]
    assert Counter(rest) == {"acme": 3, "b": 2}
    assert set(rest[:2]) == set(rest[2:4]) == {"acme", "b"}


@invariant("Q-MOVE-01")
def test_a_job_keeps_its_gate(bed: Bed) -> None:
    """Whether it waited in its line or at its gate; each queue counts for itself."""
    source, target = _two(bed, "concurrency")
    gate = qcore.Gate("k", concurrency=1)
    source.enqueue_many([_job(number, gate=gate) for number in range(4)])
    held = taken(source, LONG)
    assert source.reserve(timeout=0.0) is None
    source.enqueue_many([_job(number, gate=gate) for number in range(4, 7)])

    moved = source.move("other", limit=4)

    assert moved == 4
    accounted(bed, source)
    accounted(bed, target)
    first = taken(target, LONG)
    assert target.reserve(timeout=0.0) is None
    held.ack()
    first.ack()
    found = [held.job, first.job]
    found += [one.job for queue in (source, target) for one in _each(queue)]
    assert sorted(int(job.body) for job in found) == [*range(7)]


@invariant("Q-MOVE-01", "Q-GATE-02")
def test_who_waited_behind_a_moved_job_may_go(bed: Bed) -> None:
    """The gate of the next one may be wider than that of the one that left."""
    source, _ = _two(bed, "concurrency", "order:fifo_single")
    wide = qcore.Gate("k", concurrency=2)
    source.enqueue_many([_job(number, gate=wide) for number in range(2)])
    first, _ = source.reserve_many(2, timeout=scaled(5.0), lease=LONG)
    source.enqueue(b"2", gate=qcore.Gate("k", concurrency=1))
    source.enqueue(b"3", gate=wide)
    assert source.reserve(timeout=0.0) is None
    first.ack()
    assert source.reserve(timeout=0.0) is None

    assert source.move("other", limit=1) == 1

    assert taken(source, LONG).job.body == b"3"


def _each(queue: qcore.Queue) -> list[qcore.Delivery]:
    """Take and ack one after the other."""
    found: list[qcore.Delivery] = []
    while delivery := queue.reserve(timeout=0.0):
        delivery.ack()
        found.append(delivery)
    return found


@invariant("Q-MOVE-01", "Q-BLOCK-01")
@pytest.mark.parametrize("priority", [0, -2])
def test_what_comes_wakes_whoever_waits_there(bed: Bed, priority: int) -> None:
    """Who is not woken could have slept for a second."""
    source, target = _two(bed, "priority")
    late: list[float] = []
    for _ in range(bed.many(10, 3)):
        source.enqueue(b"", priority=priority)
        waiting = bed.start(lambda: (taken(target).ack(), time.monotonic())[1])  # type: ignore[func-returns-value]
        pass_time(time.monotonic() + random.uniform(0.05, 0.15))
        began = time.monotonic()
        assert source.move("other") == 1
        late.append(waiting.result(scaled(10.0)) - began)

    bed.spread("a move to wake-up", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(_AT_ONCE)


@invariant("Q-MOVE-01")
def test_more_than_one_step_can_hold_is_moved(bed: Bed) -> None:
    """And among it what has to stay, before and behind what goes."""
    source, target = _two(bed, "idempotent_id")
    total = bed.many(2500, 1200)
    stays = {str(number) for number in (0, 1, 999, 1000, total - 1)}
    target.enqueue_many([_job(name, id=name) for name in stays])
    most = bed.capabilities.limits.batch
    for first in range(0, total, most):
        numbers = range(first, min(first + most, total))
        source.enqueue_many([_job(number, id=str(number)) for number in numbers])

    assert source.move("other") == total - len(stays)

    assert lined_up(bed, _out_in_parts(source)) == lined_up(bed, sorted(stays, key=int))
    goes = [str(number) for number in range(total) if str(number) not in stays]
    came = _out_in_parts(target)
    if bed.claims("order:fifo_single"):
        assert came[len(stays) :] == goes
    assert Counter(came) == Counter([*stays, *goes])
    accounted(bed, source)
    accounted(bed, target)


def _out_in_parts(queue: qcore.Queue) -> list[str]:
    found: list[str] = []
    while batch := queue.reserve_many(500, timeout=0.0):
        assert all(queue.ack_many(batch))
        found += [delivery.job.body.decode() for delivery in batch]
    return found


@invariant("Q-MOVE-02", "Q-CORE-04")
def test_moving_to_and_fro_loses_and_doubles_nothing(bed: Bed) -> None:
    """While jobs come, are taken, given back and done in both queues."""
    _two(bed, "release")
    share = bed.many(60, 20)

    one, other, _, _, *came = at_once(
        partial(_produced, bed, "q", share),
        partial(_produced, bed, "other", share),
        partial(_moved, bed, "q", "other", share),
        partial(_moved, bed, "other", "q", share),
        partial(_consumed, bed, "q"),
        partial(_consumed, bed, "other"),
    )
    lines = [bed.queue("q"), bed.queue("other")]
    for line in lines:
        accounted(bed, line)
    rest = [delivery.job.id for line in lines for delivery in drained(line)]

    assert Counter([*came[0], *came[1], *rest]) == Counter(one + other)
    assert sum(line.stats().enqueued for line in lines) == 4 * share
    assert sum(line.stats().acked for line in lines) == 4 * share


def _produced(bed: Bed, name: str, times: int) -> list[str]:
    """Enqueue two jobs, so many times."""
    line = bed.connect().queue(name)
    return [job_id for _ in range(times) for job_id in line.enqueue_many([b"", b""])]


def _moved(bed: Bed, here: str, there: str, times: int) -> list[str]:
    """Move a few jobs, or all, so many times."""
    line = bed.connect().queue(here)
    for _ in range(times):
        line.move(there, limit=random.choice([None, 1, 7]))
    return []


def _consumed(bed: Bed, name: str) -> list[str]:
    """Ack what comes but the last of each batch, which is given back."""
    line, ids = bed.connect().queue(name), list[str]()
    while batch := line.reserve_many(random.randint(1, 5), timeout=scaled(1.0)):
        *done, last = batch
        last.release()
        assert all(line.ack_many(done))
        ids += [delivery.job.id for delivery in done]
        if not done and random.random() < 0.3:
            break
    return ids


@invariant("Q-MOVE-02")
def test_what_is_in_hand_is_not_moved(bed: Bed) -> None:
    """Neither is anything that is in another state than was asked for."""
    source, target = _two(bed, "delay", "dead_letter", "peek")
    source.enqueue_many([_job("dead"), _job("held"), _job("delayed", delay=LONG), _job("ready")])
    taken(source).dead_letter("no good")
    held = taken(source, LONG if bed.claims("lease") else None)

    assert source.move("other") == 1

    assert sorted(state for (state,) in whereabouts(source).values()) == ["dead", "delayed", "held"]
    assert [*whereabouts(target).values()] == [["ready"]]
    held.ack()
    assert source.stats().acked == 1
    accounted(bed, source)


@invariant("Q-MOVE-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        ("q",),
        ("a b",),
        ("",),
        (None,),
        ("other", "held"),
        ("other", "done"),
        ("other", "ready", 0),
        ("other", "ready", -1),
        ("other", "ready", True),
        ("other", "ready", 1.5),
    ],
    ids=repr,
)
def test_a_move_that_makes_no_sense_is_refused(bed: Bed, wrong: tuple[Any, ...]) -> None:
    """Before anything is changed."""
    source, target = _two(bed)
    source.enqueue(b"")

    with pytest.raises(qcore.InvalidInput):
        source.move(*wrong)

    assert (source.stats().ready, target.stats().ready) == (1, 0)


@invariant("Q-MOVE-01")
def test_nothing_is_moved_from_a_queue_that_has_nothing(bed: Bed) -> None:
    """Neither queue comes to be by that."""
    source, _ = _two(bed, "delay", "dead_letter")

    assert [source.move("other", state) for state in ("ready", "delayed", "dead")] == [0, 0, 0]

    assert bed.connect().queues() == []
