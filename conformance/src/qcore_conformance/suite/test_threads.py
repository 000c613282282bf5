"""Many threads on one connection: everybody gets the answer to what he asked himself."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, quiet, taken
from qcore_conformance.waiting import scaled

_THREADS = 16


@invariant("Q-THR-01")
def test_threads_of_one_connection_do_not_get_each_others_replies(bed: Bed) -> None:
    """Each works on a queue of its own, and sees there what it did itself."""
    rounds, connection = bed.many(50), bed.connection

    def work(name: str) -> list[bytes]:
        queue = connection.queue(name)
        queue.subscribe()
        return [_round_trip(bed, queue, b"%s-%d" % (name.encode(), n)) for n in range(rounds)]

    names = [f"own-{number}" for number in range(_THREADS)]
    found = at_once(*(partial(work, name) for name in names))

    expected = [[b"%s-%d" % (name.encode(), n) for n in range(rounds)] for name in names]
    assert found == expected


def _round_trip(bed: Bed, queue: qcore.Queue, body: bytes) -> bytes:
    """Put a job in and take it out, in one of several ways; gives its body."""
    sent = queue.enqueue(body, headers={"body": body.decode()})
    if bed.claims("stats"):
        assert queue.stats().ready == 1
    if random.random() < 0.5:
        delivery = taken(queue)
        delivery.ack()
    else:
        (delivery,) = queue.reserve_many(5, timeout=scaled(10.0))
        assert queue.ack_many([delivery]) == [True]
    assert delivery.job.id == sent
    assert delivery.job.headers["body"] == body.decode()
    return delivery.job.body


@invariant("Q-THR-01")
def test_threads_of_one_connection_share_a_queue_without_loss(bed: Bed) -> None:
    """Half of them put jobs in by one and by many, the others take and end them in every way."""
    queue, share = bed.queue(), bed.many(100)
    queue.subscribe()
    lease = LONG if bed.claims("lease") else None
    total, done = share * _THREADS // 2, list[str]()
    lock, deadline = threading.Lock(), time.monotonic() + scaled(40.0)

    def produce() -> list[str]:
        sent: list[str] = []
        while len(sent) < share:
            size = min(random.choice((1, 1, 5)), share - len(sent))
            sent += queue.enqueue_many([b""] * size)
        return sent

    def consume() -> list[str]:
        while len(done) < total and time.monotonic() < deadline:
            for delivery in queue.reserve_many(random.choice((1, 4)), scaled(0.2), lease):
                if bed.claims("release") and random.random() < 0.1:
                    delivery.release()
                else:
                    delivery.ack()
                    with lock:
                        done.append(delivery.job.id)
        return []

    workers: list[Callable[[], list[str]]] = [produce, consume]
    sent = at_once(*(workers * (_THREADS // 2)))

    assert sorted(done) == sorted(job_id for part in sent for job_id in part)
    assert quiet(queue)
    if bed.claims("stats"):
        stats = queue.stats()
        assert (stats.enqueued, stats.acked, stats.held, stats.ready) == (total, total, 0, 0)


@invariant("Q-THR-01")
def test_threads_that_wait_and_threads_that_work_share_a_connection(bed: Bed) -> None:
    """Blocked reserves hold up nobody else's call, and each gets its own job."""
    connection = bed.connection
    waiting = [connection.queue(f"waiting-{number}") for number in range(_THREADS)]
    for queue in waiting:
        queue.subscribe()
    blocked = [bed.start(partial(queue.reserve, timeout=None)) for queue in waiting]
    working = connection.queue("working")
    working.subscribe()

    for number in range(bed.many(50)):
        _round_trip(bed, working, b"%d" % number)
    assert not any(one.done() for one in blocked)
    sent = [connection.queue(queue.name).enqueue(queue.name.encode()) for queue in waiting]

    found = [one.result(scaled(10.0)) for one in blocked]
    assert [one.job.id for one in found] == sent
    for one in found:
        one.ack()


@invariant("Q-THR-01")
def test_a_delivery_is_settled_by_any_thread(bed: Bed) -> None:
    """Taken here, acked there, by the connection or by the receipt."""
    if bed.capabilities.value("settlement") != "explicit":
        raise NotApplicable("taking a job has ended it")
    queue = bed.queue()
    queue.enqueue_many([b""] * _THREADS)
    held = queue.reserve_many(_THREADS, scaled(10.0), LONG)

    by_delivery = [lambda one=one: queue.ack_many([one])[0] for one in held[::2]]
    by_receipt = [lambda one=one: queue.ack_many([one.receipt])[0] for one in held[1::2]]
    found = at_once(*by_delivery, *by_receipt)

    assert found == [True] * _THREADS
    assert quiet(queue)
