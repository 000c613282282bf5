"""Pausing: a queue that is told to deliver nothing delivers nothing, and loses nothing by it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("pause", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('pause', *names)}")


@invariant("Q-PAUSE-01")
def test_a_paused_queue_delivers_nothing_and_accepts_everything(bed: Bed) -> None:
    """Whatever becomes ready stays, for whoever asks; then it comes as if nothing had been."""
    _need(bed, "delay", "priority", "redrive", "dead_letter", "stats")
    queue, other = bed.queue(), bed.connect().queue("q")
    dead = queue.enqueue(b"dead")
    taken(queue, LONG).dead_letter("why")
    before = queue.enqueue(b"before")

    queue.pause()

    urgent = queue.enqueue(b"urgent", priority=4)
    due = other.enqueue(b"due", delay=scaled(0.1))
    plain = other.enqueue_many([b"plain", b"plain"])
    assert queue.redrive() == 1
    assert quiet(queue, scaled(0.4))
    assert other.reserve_many(10, timeout=0.0) == []
    assert (queue.stats().paused, other.stats().paused) == (True, True)
    assert queue.stats().enqueued == 6

    queue.resume()

    assert not other.stats().paused
    came = [delivery.job.id for delivery in drained(other)]
    assert came[0] == urgent
    assert sorted(came) == sorted([dead, before, urgent, due, *plain])


@invariant("Q-PAUSE-01")
def test_other_queues_go_on(bed: Bed) -> None:
    """Pausing twice is pausing once, and what is not paused can be resumed without harm."""
    _need(bed)
    queue, other = bed.queue(), bed.queue("r")
    for line in (queue, other):
        line.resume()
        line.enqueue(b"")
    queue.pause()
    queue.pause()

    assert quiet(queue, 0.0)
    taken(other).ack()
    queue.resume()
    queue.resume()
    taken(queue).ack()


@invariant("Q-PAUSE-01")
@pytest.mark.parametrize("verb", ["ack", "release", "retry", "dead_letter", "extend"])
def test_what_is_in_hand_goes_on(bed: Bed, verb: str) -> None:
    """Each holder can end it in every way, and keep it for longer."""
    _need(bed, *(["lease"] if verb == "ack" else [verb]))
    queue, lease = bed.queue(), 2 * bed.lease
    queue.enqueue(b"")
    delivery = taken(queue, lease if verb == "extend" else LONG)
    queue.pause()

    getattr(delivery, verb)(*{"dead_letter": ("why",), "extend": (LONG,)}.get(verb, ()))

    if verb == "extend":
        pass_time(time.monotonic() + lease + bed.slack)
        delivery.ack()
    assert quiet(queue)
    queue.resume()
    assert len(drained(queue)) == (verb in ("release", "retry"))


@invariant("Q-PAUSE-01")
def test_a_lease_that_ends_meanwhile_comes_back_afterwards(bed: Bed) -> None:
    """A holder who was lost during the pause costs the job no more than at other times."""
    _need(bed, "lease")
    queue = bed.queue()
    job_id = queue.enqueue(b"")
    taken(queue, bed.lease)
    queue.pause()

    assert quiet(queue, bed.lease + bed.slack)
    queue.resume()

    again = taken(queue)
    assert (again.job.id, again.number) == (job_id, 2)
    again.ack()


def _sleepers(bed: Bed, count: int) -> list[Future[tuple[float, bytes]]]:
    """So many consumers with a connection each, that wait for a job and say when it came."""

    def sleep(queue: qcore.Queue) -> tuple[float, bytes]:
        delivery = taken(queue)
        came = time.monotonic()
        delivery.ack()
        return came, delivery.job.body

    queues = [bed.connect().queue("q") for _ in range(count)]
    return [bed.start(lambda queue=queue: sleep(queue)) for queue in queues]  # type: ignore[misc]


@invariant("Q-PAUSE-01")
@pytest.mark.parametrize("asleep", ["before the pause", "during the pause"])
def test_resume_wakes_those_who_wait(bed: Bed, asleep: str) -> None:
    """All of them, if there is work for all; nobody had anything before."""
    _need(bed)
    queue, count = bed.queue(), 4
    sleepers = _sleepers(bed, count) if asleep == "before the pause" else []
    pass_time(time.monotonic() + scaled(0.2))
    queue.pause()
    queue.enqueue_many([b"%d" % number for number in range(count)])
    sleepers = sleepers or _sleepers(bed, count)
    pass_time(time.monotonic() + scaled(0.3))
    assert not any(sleeper.done() for sleeper in sleepers)

    before = time.monotonic()
    queue.resume()

    came = [sleeper.result(scaled(15.0)) for sleeper in sleepers]
    assert sorted(body for _, body in came) == [b"%d" % number for number in range(count)]
    late = [moment - before for moment, _ in came]
    bed.spread(f"wake after resume, asleep {asleep}", late)
    assert min(late) >= 0
    assert max(late) < scaled(5.0)


@invariant("Q-PAUSE-01")
def test_nobody_takes_after_the_pause_however_much_is_going_on(bed: Bed) -> None:
    """A take that begins when ``pause`` has returned finds nothing; nothing is lost or doubled."""
    _need(bed)
    queue, total = bed.queue(), bed.many(200)
    queue.enqueue_many([b""] * total)
    over = threading.Event()
    paused_at: list[float] = []

    def work() -> list[tuple[float, str]]:
        line, found = bed.connect().queue("q"), list[tuple[float, str]]()
        while not over.is_set():
            asked_at = time.monotonic()
            for delivery in line.reserve_many(2, timeout=0.0):
                found.append((asked_at, delivery.job.id))
                delivery.ack()
        return found

    def pause() -> list[tuple[float, str]]:
        line = bed.connect().queue("q")
        line.enqueue_many([b""] * total)
        line.pause()
        paused_at.append(time.monotonic())
        line.enqueue_many([b""] * 10)
        pass_time(time.monotonic() + scaled(0.3))
        over.set()
        return []

    found = [one for part in at_once(work, work, work, pause) for one in part]

    queue.resume()
    rest = [delivery.job.id for delivery in drained(queue)]
    bed.figure("jobs taken before the pause", len(found), f"of {2 * total + 10}")
    assert [job_id for asked_at, job_id in found if asked_at > paused_at[0]] == []
    everything = [*(job_id for _, job_id in found), *rest]
    assert (len(everything), len(set(everything))) == (2 * total + 10, 2 * total + 10)


@invariant("Q-PAUSE-01")
def test_a_pause_outlives_whoever_ordered_it(bed: Bed) -> None:
    """It is the queue's, and no connection's."""
    _need(bed)
    if bed.capabilities.value("scope") == "process":
        raise NotApplicable("a store in memory ends with its last connection")
    first = bed.connect()
    first.queue("q").enqueue(b"")
    first.queue("q").pause()
    first.close()

    second = bed.connect().queue("q")
    assert quiet(second)
    second.resume()
    taken(second).ack()


@invariant("Q-PAUSE-01", "Q-REC-06")
@pytest.mark.parametrize("end", ["in peace", "by a kill"])
def test_a_pause_outlives_the_server(bed: Bed, end: str) -> None:
    """As far as what the queue stores does."""
    _need(bed)
    server = bed.server()
    connection = bed.connect(bed.url_at(server.address, patience=scaled(20.0)))
    if "durability:process" not in connection.capabilities:
        raise NotApplicable(f"{bed.capabilities.adapter} keeps nothing over the end of its server")
    queue = connection.queue("q")
    queue.enqueue(b"")
    queue.pause()

    if end == "in peace":
        server.restart()
    else:
        server.kill()
        server.start()

    assert quiet(queue)
    queue.resume()
    taken(queue).ack()
