"""The core: what goes in comes out, once, from its own queue, and closed is closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.scenes import at_once, drained, quiet, taken
from qcore_conformance.scripts import script
from qcore_conformance.waiting import scaled


@invariant("Q-CORE-01")
def test_a_job_comes_out_as_it_went_in(bed: Bed) -> None:
    """Id, bytes, headers and time of the enqueue survive the journey."""
    queue = bed.queue()
    queue.subscribe()
    before = time.time()

    job_id = queue.enqueue(b"\x00body\xff", headers={"k": "v", "ü": ""})

    delivery = taken(queue)
    assert (job_id, b"\x00body\xff", {"k": "v", "ü": ""}) == (
        delivery.job.id,
        delivery.job.body,
        dict(delivery.job.headers),
    )
    assert before - 0.01 <= delivery.job.enqueued_at <= time.time() + 0.01
    delivery.ack()


@invariant("Q-CORE-02")
@pytest.mark.parametrize("timeout", [0.0, 0.3])
def test_an_empty_queue_gives_nothing_when_the_time_is_over(bed: Bed, timeout: float) -> None:
    """Emptiness is no error, and is reported neither early nor much too late."""
    queue = bed.queue()
    queue.subscribe()
    began = time.monotonic()

    delivery = queue.reserve(timeout=timeout)

    took = time.monotonic() - began
    assert delivery is None
    assert timeout - 0.01 <= took <= timeout + bed.slack


@invariant("Q-CORE-03")
def test_an_acked_job_never_comes_back(bed: Bed) -> None:
    """Neither at once nor when its lease would have ended, to nobody."""
    queue, other = bed.queue(), bed.connect().queue("q")
    queue.enqueue_many([b"%d" % number for number in range(20)])
    lease = bed.lease if bed.claims("lease") else None

    for _ in range(20):
        taken(queue, lease).ack()

    assert quiet(other, bed.lease + bed.slack)
    assert quiet(queue, 0.0)


@invariant("Q-CORE-04")
def test_without_faults_every_job_is_acked_exactly_once(bed: Bed) -> None:
    """Many producers, many consumers, each with a connection of its own."""
    bed.connect().queue("q").subscribe()
    share, acked = bed.many(200), list[str]()
    total = 3 * share

    def produce() -> list[str]:
        queue = bed.connect().queue("q")
        return [queue.enqueue(b"%d" % number) for number in range(share)]

    def consume() -> list[str]:
        queue, deadline = bed.connect().queue("q"), time.monotonic() + scaled(60.0)
        while len(acked) < total and time.monotonic() < deadline:
            batch = queue.reserve_many(10, timeout=scaled(0.1))
            held = queue.ack_many(batch)
            acked.extend(one.job.id for one, is_held in zip(batch, held, strict=True) if is_held)
        return []

    produced = at_once(produce, produce, produce, consume, consume, consume, consume)

    assert sorted(acked) == sorted(job_id for part in produced for job_id in part)
    assert quiet(bed.queue())


@invariant("Q-CORE-05")
def test_jobs_stay_in_their_own_queue(bed: Bed) -> None:
    """Also where names are prefixes of each other, or differ by case or separators."""
    names = ["q", "q2", "Q", "q-", "q.", "q_", "q-1", "q.1", "q_1", "q--1"]
    queues = [bed.connection.queue(name) for name in names]
    for queue in queues:
        queue.subscribe()

    for queue in queues:
        queue.enqueue(queue.name.encode())

    found = [[delivery.job.body.decode() for delivery in drained(queue)] for queue in queues]
    assert found == [[name] for name in names]


@invariant("Q-CORE-06")
def test_close_wakes_a_blocked_reserve(bed: Bed) -> None:
    """A reserve without end ends with ``Closed`` when its connection is closed."""
    connection = bed.connect()
    queue = connection.queue("q")
    queue.subscribe()
    outcome: list[BaseException | None] = []

    def block() -> None:
        try:
            queue.reserve(timeout=None)
        except qcore.QcoreError as error:
            outcome.append(error)

    thread = threading.Thread(target=block)
    thread.start()
    time.sleep(0.1)
    connection.close()
    thread.join(timeout=scaled(1.0))

    assert not thread.is_alive()
    assert isinstance(outcome[0], qcore.Closed)


@invariant("Q-CORE-06")
def test_after_close_every_call_is_closed(bed: Bed) -> None:
    """Each says so, and closing twice is harmless."""
    connection = bed.connect()
    queue = connection.queue("q")
    queue.subscribe()
    queue.enqueue(b"")
    delivery = taken(queue)

    connection.close()
    connection.close()

    for call in _calls(bed, connection, queue, delivery):
        with pytest.raises(qcore.Closed):
            call()


def _calls(
    bed: Bed, connection: qcore.Connection, queue: qcore.Queue, delivery: qcore.Delivery
) -> Sequence[Callable[[], object]]:
    always: list[Callable[[], object]] = [
        lambda: queue.enqueue(b""),
        lambda: queue.enqueue_many([]),
        queue.subscribe,
        lambda: queue.reserve(timeout=0.0),
        lambda: queue.reserve_many(2, timeout=None),
        queue.consume,
        connection.health,
        lambda: queue.ack_many([]),
    ]
    others: dict[str, Callable[[], object]] = {
        "settlement:explicit": delivery.ack,
        "release": delivery.release,
        "extend": lambda: delivery.extend(1.0),
        "stats": queue.stats,
        "peek": queue.peek,
        "purge": queue.purge,
        "redrive": queue.redrive,
        "dead_letter": lambda: queue.remove(["x"]),
    }
    return always + [call for name, call in others.items() if bed.claims(name)]


@invariant("Q-CORE-07")
def test_ids_are_unique_between_threads(bed: Bed) -> None:
    """Threads of one connection, and threads of connections of their own."""

    def produce(queue: qcore.Queue) -> list[str]:
        return [*queue.enqueue_many([b""] * 100), *(queue.enqueue(b"") for _ in range(50))]

    queues = [bed.queue(), bed.queue(), *(bed.connect().queue("q") for _ in range(2))]
    ids = at_once(*(lambda queue=queue: produce(queue) for queue in queues))

    assert len({job_id for part in ids for job_id in part}) == 600


@invariant("Q-CORE-07")
@in_colour(Colour.SYNC, "only code that blocks may go on in a forked child")
def test_ids_are_unique_between_processes_and_forks(bed: Bed) -> None:
    """Parents that forked, and their children."""
    workers = [bed.worker(script("print_ids"), name=f"w{number}") for number in range(2)]
    for worker in workers:
        worker.expect(0)

    ids = [line for worker in workers for line in worker.lines if line.startswith("id ")]

    assert len(ids) == len(set(ids)) == 2 * 3 * 50


@invariant("Q-CORE-07")
def test_an_id_of_the_caller_is_kept_unchanged(bed: Bed) -> None:
    """From the shortest to the longest, with every kind of character that an id may have."""
    if not bed.claims("idempotent_id"):
        with pytest.raises(qcore.UnsupportedCapability):
            bed.queue().enqueue(b"", id="0")
        return
    queue = bed.queue()
    ids = ["0", "A.b_c:d-9", "::", "x" * bed.capabilities.limits.name]

    given = [queue.enqueue(b"", id=job_id) for job_id in ids]

    assert given == ids
    assert all(job_id.created for job_id in given)
    assert sorted(delivery.job.id for delivery in drained(queue)) == sorted(ids)


@invariant("Q-CORE-08")
def test_jobs_enqueued_before_any_consumer_existed_are_delivered(bed: Bed) -> None:
    """Their producer may be gone by then."""
    anchor = bed.connection  # a store in memory lives as long as somebody is connected
    producer = bed.connect()
    ids = producer.queue("q").enqueue_many([b"1", b"2", b"3"])
    producer.close()

    found = drained(bed.connect().queue("q"))

    assert sorted(delivery.job.id for delivery in found) == sorted(ids)
    anchor.close()
