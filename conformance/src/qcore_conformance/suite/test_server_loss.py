"""Servers that end, are killed, stand still or lose everything, under their clients' hands."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.crowds import Crowd
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.plans import Cut, Hook, When
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, taken
from qcore_conformance.servers import Server
from qcore_conformance.waiting import scaled


def _kill(server: Server) -> None:
    server.kill()
    server.start()


_ENDS: dict[str, Callable[[Server], None]] = {
    "restart": lambda server: server.restart(),
    "kill": _kill,
}
_every_end = pytest.mark.parametrize("end", _ENDS)


def _durable(bed: Bed, *needs: str) -> tuple[Server, qcore.Queue]:
    """A server that keeps what it stores over its end, and a queue of it."""
    server = bed.server()
    connection = bed.connect(bed.url_at(server.address))
    for name in ("durability:process", "stats", *needs):
        if name not in connection.capabilities:
            raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
    return server, connection.queue("q")


@_every_end
@invariant("Q-ACK-01", "Q-REC-06")
def test_acked_jobs_stay_away_and_all_others_come_after_the_end_of_a_server(
    bed: Bed, end: str
) -> None:
    """Whether the server ended in peace or not; what was in hand counts as before."""
    server, queue = _durable(bed, "lease")
    sent = queue.enqueue_many([b"%d" % number for number in range(10)])
    hands = [taken(queue, LONG) for _ in range(6)]
    for hand in hands[:4]:
        hand.ack()

    _ENDS[end](server)

    hands[4].ack()
    assert counts(queue) == {"ready": 4, "held": 1, "acked": 5}
    assert [delivery.job.id for delivery in drained(queue)] == sent[6:]
    hands[5].ack()
    assert counts(queue) == {"acked": 10}


@invariant("Q-REC-06", "Q-ACK-01")
def test_jobs_survive_a_server_that_ends_and_is_killed_under_load(bed: Bed) -> None:
    """No enqueue that returned is lost, no ack that returned comes back, and all go on alone."""
    server, queue = _durable(bed, "lease")
    crowd = Crowd(bed, bed.url_at(server.address), bed.lease)

    for end in (server.restart, partial(_kill, server), partial(_kill, server)):
        crowd.go_on()
        end()
    crowd.go_on()
    crowd.stop(queue)

    bed.figure("jobs stored under two kills and a restart", len(crowd.stored), "")
    assert (crowd.lost, crowd.risen) == (set(), [])


@invariant("Q-REC-09")
def test_a_server_that_stands_still_loses_nothing_and_doubles_only_what_ran_out(bed: Bed) -> None:
    """For half a lease and for two, with jobs on their way."""
    server, queue = _durable(bed, "lease")
    crowd = Crowd(bed, bed.url_at(server.address), bed.lease)

    for leases in (0.5, 2.0, 0.5):
        crowd.go_on()
        server.pause()
        pass_time(time.monotonic() + leases * bed.lease)
        server.resume()
    crowd.go_on()
    crowd.stop(queue)

    assert (crowd.lost, crowd.risen, crowd.doubled(bed.slack)) == (set(), [], [])


@pytest.mark.parametrize("leases", [0.5, 2.0])
@invariant("Q-REC-09")
def test_a_lease_runs_on_while_the_server_stands_still(bed: Bed, leases: float) -> None:
    """Half a lease later the job is still ours; two leases later it is somebody else's."""
    server, queue = _durable(bed, "lease", "fenced")
    lease = 4 * bed.lease
    queue.enqueue(b"0")
    held = taken(queue, lease)

    server.pause()
    pass_time(time.monotonic() + leases * lease)
    server.resume()

    if leases < 1:
        held.ack()
    else:
        again = taken(queue, LONG)
        assert (again.job.id, again.number) == (held.job.id, 2)
        with pytest.raises(qcore.LeaseLost):
            held.ack()
        again.ack()
    assert counts(queue) == {"acked": 1}


@_every_end
@invariant("Q-DELAY-02")
def test_delays_survive_the_end_of_a_server(bed: Bed, end: str) -> None:
    """What was due meanwhile comes once, however many look for it; what is due later stays."""
    server, queue = _durable(bed, "delay")
    due = [queue.enqueue(b"%d" % number, delay=0.2) for number in range(8)]
    queue.enqueue(b"later", delay=LONG)
    connections = [bed.connect(bed.url_at(server.address)) for _ in range(3)]
    if end == "kill":
        server.kill()
    else:
        server.stop()
    pass_time(time.monotonic() + 0.2 + bed.slack)
    server.start()

    found = at_once(*(partial(drained, one.queue("q")) for one in connections))

    assert sorted(one.job.id for part in found for one in part) == sorted(due)
    assert counts(queue) == {"delayed": 1, "acked": 8}


@_every_end
@invariant("Q-DEDUP-02")
def test_ids_and_keys_are_known_after_the_end_of_a_server(bed: Bed, end: str) -> None:
    """The window goes on, so that a producer that tries again adds nothing."""
    server, queue = _durable(bed, "dedup", "idempotent_id")
    by_key, by_id = queue.enqueue(b"0", dedup="key"), queue.enqueue(b"1", id="mine")

    _ENDS[end](server)

    again = [queue.enqueue(b"0", dedup="key"), queue.enqueue(b"1", id="mine")]
    assert again == [by_key, by_id]
    assert not any(one.created for one in again)
    assert len(drained(queue)) == 2


@invariant("Q-REPLAY-01", "Q-REC-10")
def test_a_flush_is_answered_after_a_crash_of_the_server_as_it_was_before(bed: Bed) -> None:
    """The answer that the server keeps survives with the jobs: replayed, it counts once."""
    server, beside = _durable(bed, "replay", "lease")
    proxy = bed.proxy(server)
    queue = bed.connect(bed.url_at(proxy.address)).queue("q")
    queue.enqueue(b"warm")
    taken(queue).ack()

    def crash_before_the_reply() -> None:
        when, wanted = When.BEFORE_REPLY, bed.harness.requests
        proxy.plan(
            Hook(exchange=1, when=when, commands=wanted, run=partial(_kill, server)),
            Cut(exchange=1, when=when, commands=wanted),
        )

    crash_before_the_reply()
    assert queue.enqueue(b"0").created
    assert counts(beside) == {"ready": 1, "acked": 1}
    crash_before_the_reply()
    hand = taken(queue, LONG)
    assert (hand.number, counts(beside)) == (1, {"held": 1, "acked": 1})
    crash_before_the_reply()
    hand.ack()
    proxy.wait_fired(6)
    assert counts(beside) == {"acked": 2}


@invariant("Q-REC-08")
def test_clients_of_a_server_that_lost_everything_go_on_with_an_empty_queue(bed: Bed) -> None:
    """Who waits is served as before, and nothing is said of jobs that are gone."""
    weakness = bed.harness.faults.weaknesses.get("forgetful")
    if weakness is None:
        raise NotRun("the harness does not know how a server forgets")
    server = bed.server(weakness.settings)
    url = bed.url_at(server.address)
    queue, waiting = bed.connect(url).queue("q"), bed.connect(url).queue("other")
    for one in (queue, waiting):
        one.subscribe()
    queue.enqueue_many([b"gone"] * 5)
    held = taken(queue)
    coming = bed.start(lambda: waiting.reserve(timeout=None))
    pass_time(time.monotonic() + 0.1)

    _kill(server)

    if bed.claims("fenced"):
        with pytest.raises(qcore.LeaseLost):
            held.ack()
    if bed.claims("stats"):
        assert queue.stats() == qcore.QueueStats()
    else:
        drained(queue)  # what had reached us is ours, and who looks listens again
    _heard(bed, queue, b"new")
    new = taken(queue)
    assert (new.job.body, new.attempt) == (b"new", 1)
    new.ack()
    _heard(bed, bed.connect(url).queue("other"), b"awaited")
    found = coming.result(scaled(10.0))
    assert found is not None
    assert found.job.body == b"awaited"
    found.ack()


def _heard(bed: Bed, queue: qcore.Queue, body: bytes) -> None:
    """Enqueue a job once somebody is there to hear it, where jobs are not kept."""
    bed.until(lambda: queue.enqueue(body).receivers != 0, "somebody hears")


@pytest.mark.parametrize("returns", [True, False], ids=["in-time", "too-late"])
@invariant("Q-REC-06", "Q-ERR-01")
def test_calls_wait_for_a_server_that_is_away_for_as_long_as_patience(
    bed: Bed, *, returns: bool
) -> None:
    """A short absence is not seen; a long one is an error that says that nothing was done."""
    server, beside = _durable(bed)
    patience = scaled(20.0) if returns else 0.2
    queue = bed.connect(bed.url_at(server.address, patience=patience)).queue("q")
    queue.enqueue(b"before")
    server.kill()
    coming = bed.start(lambda: queue.enqueue(b"meanwhile")) if returns else None
    if coming is not None:
        pass_time(time.monotonic() + 0.2)
        assert not coming.done()
    else:
        began = time.monotonic()
        with pytest.raises((qcore.Unavailable, qcore.Indeterminate)):
            queue.enqueue(b"never")
        assert time.monotonic() - began >= patience
        with pytest.raises((qcore.Unavailable, qcore.Indeterminate)):
            queue.reserve(timeout=patience)

    server.start()

    if coming is not None:
        coming.result(scaled(20.0))
    found = [delivery.job.body for delivery in drained(beside)]
    assert found == ([b"before", b"meanwhile"] if returns else [b"before"])
