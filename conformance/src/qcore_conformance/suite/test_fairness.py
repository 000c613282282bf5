"""Tenants that take turns: nobody waits behind another's backlog, and nobody loses a job by it."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import pytest

import qcore
from qcore_conformance.acts import holding
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import accounted, at_rest, collect, horizon, lease_of
from qcore_conformance.waiting import scaled

Job = tuple[str, int]
"""The tenant of a job and its number there."""

_NOBODY = "-"
"""Stands for the tenant of jobs that have none."""
_AT_ONCE = 1.0
"""Seconds in which sleepers are woken; one that is not may look again by itself as late as 1.5."""


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("fair", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('fair', *names)}")


def _jobs(tenant: str, numbers: Iterable[int], **options: float) -> list[qcore.NewJob]:
    return [_job(tenant, number, **options) for number in numbers]


def _job(tenant: str, number: int, **options: float) -> qcore.NewJob:
    named = None if tenant == _NOBODY else tenant
    return qcore.NewJob(f"{tenant} {number}".encode(), tenant=named, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def _read(job: qcore.Job) -> Job:
    tenant, number = job.body.decode().split()
    return tenant, int(number)


def _out(queue: qcore.Queue, limit: int = 1) -> list[Job]:
    """Take and ack all there is, so many at once; in the order in which it came."""
    found: list[Job] = []
    while batch := queue.reserve_many(limit, timeout=0.0):
        assert all(queue.ack_many(batch))
        found += [_read(delivery.job) for delivery in batch]
    return found


def _see_turns(order: Sequence[str]) -> None:
    """See that between two jobs of one that waited all the time nobody else had more than one."""
    last: dict[str, int] = {}
    for at, tenant in enumerate(order):
        if tenant in last:
            between = Counter(order[last[tenant] + 1 : at])
            assert max(between.values(), default=0) <= 1, (tenant, order[: at + 1])
        last[tenant] = at


def _see_order(came: Iterable[Job]) -> None:
    """See that the jobs of each tenant came in their order."""
    numbers = defaultdict[str, list[int]](list)
    for tenant, number in came:
        numbers[tenant].append(number)
    assert {tenant: sorted(found) for tenant, found in numbers.items()} == numbers


@invariant("Q-FAIR-01")
@pytest.mark.parametrize("limit", [1, 7])
def test_tenants_take_turns_whatever_is_waiting(bed: Bed, limit: int) -> None:
    """One with a backlog comes last with the rest of it; those without a tenant are one of them."""
    _need(bed)
    queue, backlog = bed.queue(), bed.many(150, 30)
    jobs = {"acme": backlog, "b": 12, _NOBODY: 7, "zoo": 9}
    for tenant, count in jobs.items():
        queue.enqueue_many(_jobs(tenant, range(count)))

    came = _out(queue, limit)

    assert Counter(tenant for tenant, _ in came) == jobs
    _see_turns([tenant for tenant, _ in came])
    assert {tenant for tenant, _ in came[:4]} == set(jobs)


@invariant("Q-FAIR-02")
def test_the_jobs_of_a_tenant_come_in_their_order(bed: Bed) -> None:
    """However those of others come in between, in batches, while some are taken."""
    _need(bed)
    queue, came = bed.queue(), list[Job]()
    for number in range(bed.many(60, 20)):
        tenants = random.sample(["acme", "b", "c", _NOBODY], random.randint(1, 4))
        numbers = range(3 * number, 3 * number + random.randint(1, 3))
        queue.enqueue_many([_job(tenant, one) for one in numbers for tenant in tenants])
        came += [_read(delivery.job) for delivery in _some(queue, random.randint(0, 4))]

    _see_order(came + _out(queue, 4))


def _some(queue: qcore.Queue, limit: int) -> list[qcore.Delivery]:
    found = queue.reserve_many(limit, timeout=0.0) if limit else []
    assert all(queue.ack_many(found))
    return found


@invariant("Q-FAIR-01")
def test_one_who_comes_later_waits_for_two_jobs_of_each_other(bed: Bed) -> None:
    """At most, whatever its name is, how much the others have, and how often it came before."""
    _need(bed)
    queue, backlog = bed.queue(), bed.many(150, 30)
    queue.enqueue_many(_jobs("m1", range(backlog)) + _jobs("m2", range(backlog)))
    for number in range(backlog // 3):
        tenant = random.choice(["a", "m", "z"])
        queue.enqueue_many([_job(tenant, number)])
        before = Counter[str]()
        while (came := _read(_next(queue).job))[0] != tenant:
            before[came[0]] += 1
        assert came == (tenant, number)
        assert max(before.values(), default=0) <= 2, (tenant, before)


def _next(queue: qcore.Queue) -> qcore.Delivery:
    delivery = taken(queue)
    delivery.ack()
    return delivery


@invariant("Q-FAIR-01")
@pytest.mark.parametrize("name", ["a{}", "z{}"])
def test_ever_new_tenants_do_not_keep_out_one_who_waits(bed: Bed, name: str) -> None:
    """Whoever comes while a round is under way waits for the next: each is one longer at most."""
    _need(bed)
    queue, rounds = bed.queue(), 8
    queue.enqueue_many(_jobs("m", range(rounds)))
    came: list[Job] = []

    for number in range((rounds + 2) * (rounds + 3) // 2):
        queue.enqueue_many([_job(name.format(number), 0)])
        came.append(_read(_next(queue).job))

    assert [number for tenant, number in came if tenant == "m"] == [*range(rounds)]


@invariant("Q-FAIR-01")
def test_the_more_urgent_level_comes_before_any_turn(bed: Bed) -> None:
    """And on each level tenants take turns, whatever they had on another."""
    _need(bed, "priority")
    queue, levels = bed.queue(), (-1, 3, 0)
    for level in levels:
        for tenant, count in (("acme", 9), ("b", 3)):
            queue.enqueue_many(_jobs(tenant, range(count), priority=level))

    came = [(delivery.job.priority, *_read(delivery.job)) for delivery in _one_by_one(queue)]

    assert [level for level, _, _ in came] == sorted((*levels,) * 12, reverse=True)
    for level in levels:
        _see_turns([tenant for where, tenant, _ in came if where == level])


def _one_by_one(queue: qcore.Queue) -> list[qcore.Delivery]:
    found: list[qcore.Delivery] = []
    while delivery := queue.reserve(timeout=0.0):
        delivery.ack()
        found.append(delivery)
    return found


@invariant("Q-FAIR-01")
def test_many_jobs_that_become_due_at_once_keep_nobody_out(bed: Bed) -> None:
    """They take turns of their own beside the new ones of their tenant, so neither waits long."""
    _need(bed, "delay")
    queue, many, delay = bed.queue(), bed.many(100, 20), scaled(0.3)
    due_at = time.monotonic() + delay
    queue.enqueue_many(_jobs("acme", range(1000, 1000 + many), delay=delay))
    queue.enqueue_many(_jobs("acme", range(10)) + _jobs("b", range(5)) + _jobs(_NOBODY, range(5)))
    pass_time(due_at + bed.slack)

    came = _out(queue)

    flows = [f"{tenant} due" if number >= 1000 else tenant for tenant, number in came]
    assert Counter(flows) == {"acme due": many, "acme": 10, "b": 5, _NOBODY: 5}
    _see_turns(flows)
    assert set(flows[:4]) == set(flows)


@invariant("Q-FAIR-01")
def test_jobs_that_are_sent_back_keep_nobody_out(bed: Bed) -> None:
    """Neither retried nor redriven ones."""
    _need(bed, "retry", "redrive", "dead_letter")
    queue = bed.queue()
    queue.enqueue_many(_jobs("acme", range(30)))
    held = queue.reserve_many(30, timeout=scaled(5.0), lease=LONG)
    queue.enqueue_many(_jobs("b", range(5)))
    for delivery in held[:15]:
        delivery.retry(0.0)
    for delivery in held[15:]:
        delivery.dead_letter("why")
    assert queue.redrive() == 15

    came = _out(queue)

    flows = [
        f"{tenant} due" if number < 15 and tenant == "acme" else tenant for tenant, number in came
    ]
    assert Counter(flows) == {"acme due": 15, "acme": 15, "b": 5}
    _see_turns(flows)
    assert set(flows[:3]) == set(flows)


@invariant("Q-FAIR-01")
@pytest.mark.parametrize("how", ["release", "lease"])
def test_what_comes_out_of_hands_goes_first(bed: Bed, how: str) -> None:
    """It has had its turn already, and there is no more of it than was in hand."""
    _need(bed, how)
    queue = bed.queue()
    queue.enqueue_many(_jobs("acme", range(10)) + _jobs("b", range(10)))
    held = [queue.reserve(scaled(5.0), bed.lease if how == "lease" else LONG) for _ in range(3)]
    ids = [delivery.job.id for delivery in held if delivery]
    if how == "release":
        for delivery in reversed(held):
            assert delivery is not None
            delivery.release()
    else:
        pass_time(time.monotonic() + bed.lease + bed.slack)

    again = [_next(queue).job.id for _ in ids]

    assert sorted(again) == sorted(ids)
    if how == "release" and bed.claims("reentry"):
        assert again == ids
    came = _out(queue)
    assert len(came) == 17
    _see_turns([tenant for tenant, _ in came])


@invariant("Q-FAIR-01")
@pytest.mark.parametrize("newest_first", [False, True])
def test_jobs_that_were_cancelled_are_not_paid_for(bed: Bed, *, newest_first: bool) -> None:
    """One who took back a backlog is served as one who never had it."""
    _need(bed, "cancel")
    queue = bed.queue()
    ids = queue.enqueue_many(_jobs("acme", range(20)))
    queue.enqueue_many(_jobs("b", range(20)))
    for job_id in reversed(ids) if newest_first else ids:
        assert queue.cancel(job_id) is qcore.State.READY
    queue.enqueue_many(_jobs("acme", range(2)))

    came = _out(queue)

    assert Counter(tenant for tenant, _ in came) == {"acme": 2, "b": 20}
    assert "acme" in [tenant for tenant, _ in came[:3]]
    _see_turns([tenant for tenant, _ in came])


@invariant("Q-FAIR-03", "Q-OBS-04")
def test_what_is_shown_is_what_comes(bed: Bed) -> None:
    """Counted, page by page in the order in which it goes out; and gone when it was purged."""
    _need(bed, "stats", "peek", "purge", "priority")
    queue = bed.queue()
    queue.enqueue_many(
        _jobs("acme", range(12)) + _jobs("b", range(4)) + _jobs("c", range(2), priority=1)
    )
    shown = [one.job for start in range(0, 21, 5) for one in queue.peek("ready", 5, start)]

    assert (queue.stats().ready, queue.stats().enqueued) == (18, 18)
    came = [_next(queue).job for _ in range(9)]
    assert shown[:9] == came
    assert queue.purge() == 9
    assert (queue.stats().ready, queue.stats().dropped) == (0, 9)
    assert queue.reserve(timeout=0.0) is None
    queue.enqueue_many(_jobs("b", range(2)) + _jobs("acme", range(1)))
    assert len(_out(queue)) == 3


@invariant("Q-FAIR-03", "Q-TTL-01")
def test_a_turn_that_comes_too_late_is_not_taken(bed: Bed) -> None:
    """The next job comes at once, and what was in time is kept."""
    _need(bed, "ttl", "stats")
    queue, short = bed.queue(), scaled(0.2)
    queue.enqueue_many(_jobs("acme", range(300), ttl=short) + _jobs("acme", [300]))
    queue.enqueue_many(_jobs("b", range(3), ttl=LONG))
    pass_time(time.monotonic() + short + bed.slack)

    came = _out(queue)

    assert sorted(came) == [("acme", 300), ("b", 0), ("b", 1), ("b", 2)]
    assert (queue.stats().dropped, queue.stats().ready) == (300, 0)


@invariant("Q-FAIR-03", "Q-BLOCK-01")
@pytest.mark.parametrize("priority", [0, -2])
def test_a_turn_wakes_whoever_waits_for_it(bed: Bed, priority: int) -> None:
    """As many as there are jobs, and whoever is not woken could have slept for a second."""
    _need(bed, "priority")
    lines, late = [bed.connect().queue("q") for _ in range(3)], list[float]()
    for _ in range(bed.many(10, 3)):
        waiting = [bed.start(lambda line=line: _moment_of(line)) for line in lines]  # type: ignore[misc]
        pass_time(time.monotonic() + random.uniform(0.02, 0.1))
        began = time.monotonic()
        bed.queue().enqueue_many(
            _jobs("acme", range(2), priority=priority) + _jobs("b", range(1), priority=priority)
        )
        late.append(max(one.result(scaled(10.0)) for one in waiting) - began)

    bed.spread("turns to the last of three wake-ups", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(_AT_ONCE)


def _moment_of(queue: qcore.Queue) -> float:
    delivery = queue.reserve(timeout=None)
    came = time.monotonic()
    assert delivery is not None
    delivery.ack()
    return came


@invariant("Q-FAIR-03", "Q-CORE-04")
def test_many_producers_and_consumers_share_turns(bed: Bed) -> None:
    """Each job comes once, whoever enqueues for whom and whoever takes."""
    _need(bed, "stats")
    share, tenants = bed.many(60, 20), ["acme", "b", "c", _NOBODY]

    def produce(which: int) -> Callable[[], list[str]]:
        def act() -> list[str]:
            line, ids = bed.connect().queue("q"), list[str]()
            for number in range(share):
                ids += line.enqueue_many([_job(random.choice(tenants), which * share + number)])
            return ids

        return act

    def consume() -> list[str]:
        line, ids = bed.connect().queue("q"), list[str]()
        while batch := line.reserve_many(random.randint(1, 5), timeout=scaled(1.0)):
            assert all(line.ack_many(batch))
            ids += [delivery.job.id for delivery in batch]
        return ids

    *made, one, other, third = at_once(*map(produce, range(3)), consume, consume, consume)

    assert sorted(one + other + third) == sorted(job_id for ids in made for job_id in ids)
    stats = bed.queue().stats()
    assert (stats.enqueued, stats.acked, stats.ready, stats.held) == (3 * share, 3 * share, 0, 0)


@invariant("Q-FAIR-03")
def test_whoever_dies_no_tenant_loses_a_job(bed: Bed) -> None:
    """What the dead held comes again, the others had their turns meanwhile, and all is there."""
    _need(bed, "stats", "lease")
    queue, many = bed.queue(), bed.many(40, 12)
    jobs = [job for tenant in ("acme", "b", _NOBODY) for job in _jobs(tenant, range(many))]
    ids = queue.enqueue_many(jobs)
    # Long enough for both to hold theirs at one time.
    lease = lease_of(bed, 4.0)
    holders = [bed.act(holding.hold, "", 5, lease).ready() for _ in range(2)]
    for holder in holders:
        holder.go()
    held = [job_id for holder in holders for job_id in holder.heard("holds")]
    assert (queue.stats().held, queue.stats().ready) == (10, 3 * many - 10)
    for holder in holders:
        holder.kill()

    found = collect(bed, queue, 3 * many, horizon(bed, lease))

    assert sorted(came.delivery.job.id for came in found) == sorted(ids)
    assert {came.delivery.job.id for came in found if came.delivery.number > 1} == set(held)
    accounted(bed, queue)
    at_rest(bed, queue)


@invariant("Q-FAIR-01", "Q-INPUT-01")
@pytest.mark.parametrize("wrong", ["", "a b", "a|b", "\u00e4", 1, True, b"acme"], ids=repr)
def test_a_tenant_that_is_no_name_is_refused(bed: Bed, wrong: object) -> None:
    """Before anything is stored; a name has as many characters as others."""
    _need(bed, "stats")
    queue, most = bed.queue(), bed.capabilities.limits.name

    with pytest.raises(qcore.InvalidInput, match="tenant"):
        queue.enqueue(b"", tenant=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(qcore.LimitExceeded, match="tenant"):
        queue.enqueue(b"", tenant="x" * (most + 1))

    assert queue.stats().enqueued == 0
    queue.enqueue(b"", tenant="x" * most)
    assert len(drained(queue)) == 1
    assert quiet(queue, 0.0)
