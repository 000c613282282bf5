"""At most once: each listener hears each job once, in order, and nobody else is held up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.scenes import at_once, drained, quiet, taken
from qcore_conformance.waiting import scaled

_MOST_SENT = 96 << 20
"""Bytes that may be sent to somebody who does not read, before the broker has to give up."""


@invariant("Q-PUB-01", "Q-PUB-06")
def test_every_listener_hears_every_job_once_and_in_order(bed: Bed) -> None:
    """Whether it takes one at a time, many, or iterates, while several publish."""
    share, total = bed.many(1000), 3 * bed.many(1000)
    listeners = [bed.connect().queue("q") for _ in range(3)]
    for listener in listeners:
        listener.subscribe()
    publishers = [partial(_publish, bed.connect().queue("q"), name, share) for name in b"abc"]
    hearing = [
        partial(_hear, listener, total) for listener, _hear in zip(listeners, _HEARING, strict=True)
    ]

    *heard, _, _, _ = at_once(*hearing, *publishers)

    for bodies in heard:
        assert len(bodies) == len(set(bodies)) == total
        for name in b"abc":
            numbers = [int(body[1:]) for body in bodies if body[0] == name]
            assert numbers == list(range(share))
    assert all(quiet(listener) for listener in listeners)


def _publish(queue: qcore.Queue, name: int, share: int) -> list[bytes]:
    bodies = [b"%c%d" % (name, number) for number in range(share)]
    for start in range(0, share, 100):
        part = bodies[start : start + 100]
        if start % 200:
            queue.enqueue_many(part)
        else:
            for body in part:
                queue.enqueue(body)
    return []


def _one_by_one(queue: qcore.Queue, total: int) -> list[bytes]:
    return [taken(queue).job.body for _ in range(total)]


def _many(queue: qcore.Queue, total: int) -> list[bytes]:
    found: list[bytes] = []
    while len(found) < total and (batch := queue.reserve_many(50, timeout=scaled(10.0))):
        found += [delivery.job.body for delivery in batch]
    return found


def _iterating(queue: qcore.Queue, total: int) -> list[bytes]:
    found: list[bytes] = []
    with queue.consume() as consumer:
        for delivery in consumer:
            found.append(delivery.job.body)
            if len(found) == total:
                break
    return found


_HEARING: Sequence[Callable[[qcore.Queue, int], list[bytes]]] = (_one_by_one, _many, _iterating)


@invariant("Q-PUB-01")
def test_listening_twice_is_listening_once(bed: Bed) -> None:
    """A connection is one listener, however often and by whatever object it subscribes."""
    first, second = bed.queue(), bed.connection.queue("q")
    for queue in (first, second, first):
        queue.subscribe()

    sent = bed.connect().queue("q").enqueue_many([b"%d" % number for number in range(50)])

    found = [taken(queue).job.id for queue in (first, second) * 25]
    assert sorted(found) == sorted(sent)
    assert quiet(first)
    assert {job_id.receivers for job_id in sent} <= {None, 1}


@invariant("Q-PUB-01")
def test_what_was_taken_never_comes_again(bed: Bed) -> None:
    """Not when it is not acked, not when its connection is closed, not to who listens later."""
    leaving, staying = bed.connect(), bed.queue()
    queue = leaving.queue("q")
    for listener in (queue, staying):
        listener.subscribe()
    bed.connect().queue("q").enqueue_many([b"1", b"2", b"3"])
    taken(queue)

    leaving.close()
    late = bed.connect().queue("q")
    late.subscribe()

    assert [delivery.job.body for delivery in drained(staying)] == [b"1", b"2", b"3"]
    assert quiet(late)
    assert quiet(staying, 0.0)


@invariant("Q-PUB-04")
def test_publishing_to_nobody_succeeds_and_stores_nothing(bed: Bed) -> None:
    """It says that nobody heard, and who listens later hears only what is later."""
    queue, later = bed.queue(), bed.connect().queue("q")

    unheard = [queue.enqueue(b"unheard"), *queue.enqueue_many([b"unheard"] * 2)]

    later.subscribe()
    heard = queue.enqueue(b"heard")
    if bed.claims("receivers"):
        assert [job_id.receivers for job_id in (*unheard, heard)] == [0, 0, 0, 1]
    assert [delivery.job.body for delivery in drained(later)] == [b"heard"]
    assert not bed.harness.leftovers(bed.namespace)


@invariant("Q-PUB-05")
def test_a_listener_that_does_not_keep_up_is_cut_off_alone(bed: Bed) -> None:
    """Publishing goes on, others hear all, and the one that was cut off is told and hears again."""
    if not bed.claims("receivers", "gap"):
        raise NotApplicable("the adapter says neither who hears nor what was missed")
    slow, fast, publisher = (bed.connect().queue("q") for _ in range(3))
    slow.subscribe()
    fast.subscribe()
    padding = b"." * (bed.capabilities.limits.body - 20)
    sent, took, receivers = 0, list[float](), 2

    while receivers == 2:
        if sent * len(padding) > _MOST_SENT:
            raise NotRun(f"the broker keeps more than {_MOST_SENT >> 20} MiB for a listener")
        began = time.monotonic()
        receivers = publisher.enqueue(b"%d " % sent + padding).receivers or 0
        took.append(time.monotonic() - began)
        assert _number(taken(fast)) == sent
        sent += 1

    bed.figure("sent before a slow listener was cut off", sent * len(padding) >> 20, "MiB")
    bed.spread("publish beside a slow listener", took)
    assert max(took) <= scaled(2.0)
    heard = [_number(delivery) for delivery in drained(slow)]
    assert heard == list(range(len(heard)))
    assert len(heard) < sent
    bed.until(lambda: slow.reserve(timeout=0.0) is None and slow.gaps == 1, "the gap is told")
    assert publisher.enqueue(b"%d " % sent).receivers == 2
    assert [_number(taken(queue)) for queue in (slow, fast)] == [sent, sent]
    assert fast.gaps == 0


def _number(delivery: qcore.Delivery) -> int:
    return int(delivery.job.body.partition(b" ")[0])
