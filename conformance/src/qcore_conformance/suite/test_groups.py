"""Groups: each gets every job, and nothing that one does is felt by another."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

import qcore
from qcore_conformance.acts import grouping
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, drained, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import accounted
from qcore_conformance.waiting import scaled


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("groups", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('groups', *names)}")


def _pair(bed: Bed) -> tuple[qcore.Queue, qcore.Queue, qcore.Queue]:
    """A queue, and two groups of it that have begun."""
    queue = bed.queue()
    one, other = queue.group("one"), bed.connect().queue("q").group("other")
    one.subscribe("new")
    other.subscribe("new")
    return queue, one, other


def _ids(deliveries: Sequence[qcore.Delivery]) -> list[str]:
    return [delivery.job.id for delivery in deliveries]


@invariant("Q-FAN-01")
def test_each_group_gets_every_job_once(bed: Bed) -> None:
    """In the order in which they were enqueued, whoever enqueued them."""
    _need(bed, "stats")
    queue, one, other = _pair(bed)

    ids: list[str] = []
    for number in range(20):
        ids += queue.enqueue_many([b"%d" % number] * 5)
        ids.append((one if number % 2 else other).enqueue(b"by a group"))

    for group in (one, other):
        assert _ids(drained(group)) == ids
        stats = group.stats()
        assert (stats.enqueued, stats.acked, stats.lag) == (len(ids), len(ids), 0)
    assert queue.groups() == ["one", "other"]


@invariant("Q-FAN-01", "Q-CORE-08")
def test_a_queue_bound_to_no_group_is_a_group_as_well(bed: Bed) -> None:
    """It is called ``default``, and begins with the oldest job although nobody subscribed it."""
    _need(bed)
    queue = bed.queue()
    ids = queue.enqueue_many([b"1", b"2"])

    assert taken(queue.group("default")).job.id == ids[0]
    assert taken(queue).job.id == ids[1]
    assert queue.groups() == ["default"]


@invariant("Q-FAN-01")
@pytest.mark.parametrize("verb", ["ack", "release", "retry", "dead_letter", "extend"])
def test_what_one_group_does_another_does_not_feel(bed: Bed, verb: str) -> None:
    """Each has deliveries, attempts and dead letters of its own."""
    _need(bed, *([] if verb == "ack" else [verb]))
    queue, one, other = _pair(bed)
    job_id = queue.enqueue(b"")
    mine, theirs = taken(one, LONG), taken(other, LONG)

    getattr(mine, verb)(*{"dead_letter": ("why",), "extend": (LONG,)}.get(verb, ()))
    if verb in ("release", "retry"):
        again = taken(one)
        assert (again.number, again.attempt) == (2, 2 if verb == "retry" else 1)
        again.ack()

    assert (theirs.job.id, theirs.number, theirs.attempt) == (job_id, 1, 1)
    theirs.ack()
    assert quiet(other)


@invariant("Q-FAN-01", "Q-DLQ-03")
def test_dead_letters_are_those_of_one_group(bed: Bed) -> None:
    """They are kept, redriven and dropped there, whatever becomes of the rest."""
    _need(bed, "dead_letter", "redrive", "peek")
    queue, one, other = _pair(bed)
    job_id = queue.enqueue(b"bad")
    taken(one).dead_letter("why")
    taken(other).ack()

    assert [dead.note for dead in one.peek("dead")] == ["why"]
    assert other.peek("dead") == []
    assert (other.redrive(), one.redrive()) == (0, 1)
    again = taken(one)
    assert (again.job.id, again.attempt, again.job.body) == (job_id, 1, b"bad")
    again.ack()
    assert quiet(other)


@invariant("Q-FAN-01", "Q-ACK-03")
def test_a_receipt_is_good_for_its_own_group_alone(bed: Bed) -> None:
    """Even for the same job: it is refused, and both groups go on."""
    _need(bed)
    queue, one, other = _pair(bed)
    queue.enqueue(b"")
    mine, theirs = taken(one, LONG), taken(other, LONG)

    for group, delivery in ((one, theirs), (other, mine), (queue, mine)):
        with pytest.raises(qcore.InvalidReceipt):
            group.ack_many([delivery])

    mine.ack()
    theirs.ack()


@invariant("Q-FAN-01", "Q-BLOCK-01")
def test_one_job_wakes_every_group(bed: Bed) -> None:
    """Whoever sleeps in one of them does not sleep through what another is woken by."""
    _need(bed)
    queue, one, other = _pair(bed)
    sleepers = [bed.start(lambda group=group: taken(group).ack()) for group in (one, other, queue)]  # type: ignore[misc]
    pass_time(time.monotonic() + scaled(0.3))

    queue.enqueue(b"")

    for sleeper in sleepers:
        sleeper.result(scaled(15.0))


@invariant("Q-FAN-03")
def test_a_subscription_is_effective_when_it_returns(bed: Bed) -> None:
    """What is enqueued afterwards is received, however much comes at the same time."""
    _need(bed)
    over = threading.Event()
    began: list[tuple[float, str]] = []

    def produce() -> None:
        queue = bed.connect().queue("q")
        while not over.is_set():
            asked_at = time.monotonic()
            began.append((asked_at, queue.enqueue(b"")))

    producer = bed.start(produce)
    subscribed: list[tuple[float, qcore.Queue]] = []
    for number in range(bed.many(50, least=5)):
        group = bed.queue().group(f"g{number}")
        group.subscribe("new")
        subscribed.append((time.monotonic(), group))
    last = len(began)
    bed.until(lambda: len(began) > last + 5, "jobs came after the last subscription")
    over.set()
    producer.result(scaled(10.0))

    ids = [job_id for _, job_id in began]
    for effective_at, group in subscribed:
        got = _ids(drained(group))
        assert got == ids[len(ids) - len(got) :]
        assert {job_id for at, job_id in began if at > effective_at} <= set(got)


@invariant("Q-FAN-01", "Q-HIST-01")
@pytest.mark.parametrize(("start", "first"), [("all", 0), ("new", 6), ("id", 2), ("time", 4)])
@pytest.mark.parametrize("how", ["subscribe", "rewind"])
def test_a_group_begins_where_it_was_told_to(bed: Bed, start: str, first: int, how: str) -> None:
    """A new one, or one that had gone on; subscribing it again lets it go on."""
    _need(bed, "history")
    queue = bed.queue()
    ids = queue.enqueue_many([b"0", b"1", b"2", b"3"])
    pass_time(time.monotonic() + 0.05)
    ids += queue.enqueue_many([b"4", b"5"])
    entry = queue.lookup(ids[4])
    assert entry is not None
    said = {"id": ids[2], "time": entry.at}.get(start, start)
    group = queue.group("g")
    if how == "rewind":
        group.subscribe("all")
        taken(group).ack()
        taken(group, LONG)

    getattr(group, how)(said)
    group.subscribe("new" if start == "all" else "all")
    ids += queue.enqueue_many([b"6"])

    assert _ids(drained(group)) == ids[first:]


@invariant("Q-FAN-01", "Q-LEASE-05")
def test_who_held_a_job_before_a_rewind_holds_nothing_after_it(bed: Bed) -> None:
    """Neither can the job be settled for its new holder, nor does another group lose it."""
    _need(bed, "fenced", "stats")
    queue, one, other = _pair(bed)
    job_id = queue.enqueue(b"")
    before, theirs = taken(one, LONG), taken(other, LONG)

    one.rewind(job_id)
    again = taken(one, LONG)

    assert again.job.id == job_id
    with pytest.raises(qcore.LeaseLost):
        before.ack()
    assert one.ack_many([before.receipt]) == [False]
    again.ack()
    theirs.ack()
    accounted(bed, one)


@invariant("Q-FAN-02")
def test_a_killed_holder_is_felt_by_its_own_group_alone(bed: Bed) -> None:
    """What it held comes again there; the other gets all of it once, at its first attempt."""
    _need(bed, "lease", "stats")
    queue, one, other = _pair(bed)
    ids = queue.enqueue_many([b"%d" % number for number in range(9)])
    worker = bed.act(grouping.hold_some, "", "one", 3, 4, bed.lease)
    acked: list[str] = worker.heard("acked")
    worker.kill()

    theirs = drained(other)
    assert _ids(theirs) == ids
    assert {(one.number, one.attempt, one.crashes) for one in theirs} == {(1, 1, 0)}
    mine: list[str] = []
    while len(mine) < len(ids) - len(acked):
        came = taken(one)
        mine.append(came.job.id)
        came.ack()

    assert sorted(mine) == sorted(set(ids) - set(acked))
    for group in (one, other):
        assert group.stats().lag == 0
        accounted(bed, group)


@invariant("Q-FAN-02")
@pytest.mark.parametrize("what", ["purge", "unsubscribe", "rewind", "pause"])
def test_what_becomes_of_one_group_takes_nothing_from_another(bed: Bed, what: str) -> None:
    """Nor does removing the one that holds everything."""
    _need(bed, *([what] if what in ("purge", "pause") else []))
    queue, one, other = _pair(bed)
    ids = queue.enqueue_many([b"1", b"2", b"3"])
    taken(one, LONG)
    first = taken(other, LONG)

    getattr(one, what)(*(["new"] if what == "rewind" else []))
    ids += queue.enqueue_many([b"4"])

    first.ack()
    assert _ids(drained(other)) == ids[1:]
    if what == "unsubscribe":
        assert queue.groups() == ["other"]


@invariant("Q-FAN-02")
def test_the_lag_of_a_group_is_its_own(bed: Bed) -> None:
    """How much it has to do, and how old the oldest of it is."""
    _need(bed, "stats")
    queue, one, other = _pair(bed)
    began = time.monotonic()
    queue.enqueue_many([b"1", b"2"])
    pass_time(began + scaled(0.2))
    drained(other)
    held = taken(one, LONG)

    stats = one.stats()
    assert (stats.lag, stats.held, stats.ready) == (2, 1, 1)
    assert stats.oldest is not None
    assert scaled(0.2) - bed.slack <= stats.oldest <= time.monotonic() - began + bed.slack
    assert (other.stats().lag, other.stats().oldest) == (0, None)
    held.ack()
    assert one.stats().lag == 1
