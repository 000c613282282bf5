"""Lines that are slow or torn, and brokers that are away: slower, never wrong, never wild."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

import pytest

import qcore
from qcore_conformance.addresses import Address
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.lines import Line
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotRun
from qcore_conformance.plans import Link
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled

_LINKS = {
    "late": Link(delay=0.05, jitter=0.05),
    "narrow": Link(bandwidth=1024),
    "torn": Link(split=True),
}
_OUTAGE = 1.5
"""Seconds that a broker stays away, long enough for a spin to show."""
_MOST_TRIES = 40
"""How often one client may try to connect during an outage."""
_MOST_LINES = 10
"""Lines that one client may log during an outage."""


@pytest.mark.parametrize("link", _LINKS)
@invariant("Q-REC-12")
def test_a_bad_line_loses_and_doubles_nothing(bed: Bed, link: str) -> None:
    """Jobs go in and out by it while somebody waits; an idle wait asks no more than usual."""
    line = Line(bed, "lease")
    line.warm()
    producer, consumer = line.connect().queue("q"), line.connect().queue("q")
    producer.stats()
    assert quiet(consumer)
    line.proxy.shape(_LINKS[link])
    asked = line.carried()

    coming = bed.start(lambda: [taken(consumer, LONG) for _ in range(3)])
    sent = [producer.enqueue(b"0"), *producer.enqueue_many([b"1" * 200, b"2"])]
    hands = coming.result(scaled(60.0))

    assert [hand.job.id for hand in hands] == sent
    assert [hand.number for hand in hands] == [1] * 3
    assert consumer.ack_many(hands) == [True] * 3
    assert line.carried() - asked <= 40
    asked = line.carried()
    assert quiet(consumer, 1.0)
    assert line.carried() - asked <= 10
    line.proxy.heal()
    assert counts(line.beside.queue("q")) == {"acked": 3}


@invariant("Q-REC-12")
def test_what_many_send_at_once_by_a_torn_line_is_told_apart(bed: Bed) -> None:
    """Requests that arrive in one piece, and replies in single bytes, are nobody else's."""
    line = Line(bed, "lease")
    line.warm()
    connection = line.connect()
    queue = connection.queue("q")
    queue.stats()
    line.proxy.shape(Link(split=True, jitter=0.002))

    def work(name: str) -> set[bytes]:
        return {queue.enqueue(f"{name}{number}".encode()).encode() for number in range(5)}

    sent = set[bytes]().union(*at_once(*(partial(work, name) for name in "abcd")))

    line.proxy.heal()
    found = drained(line.beside.queue("q"))
    assert {hand.job.id.encode() for hand in found} == sent
    assert len(found) == len({hand.job.body for hand in found}) == 20


@invariant("Q-RES-04")
def test_an_idle_consumer_asks_no_more_often_than_declared(bed: Bed) -> None:
    """Counted between it and its broker."""
    if not bed.harness.idle_rate:
        raise NotRun("the harness does not declare how often an idle consumer asks")
    proxy = bed.proxy(bed.server())
    queue = bed.connect(bed.url_at(proxy.address)).queue("q")
    queue.subscribe()
    assert quiet(queue)
    waiting = bed.start(lambda: queue.reserve(timeout=None))
    pass_time(time.monotonic() + 0.3)
    asked, began = len(proxy.log), time.monotonic()

    pass_time(time.monotonic() + 4.0)

    rate = (len(proxy.log) - asked) / (time.monotonic() - began)
    bed.figure("requests of an idle consumer", round(rate, 2), f"/s of {bed.harness.idle_rate:g}")
    assert not waiting.done()
    assert rate <= bed.harness.idle_rate


class _Lines(logging.Handler):
    """Counts what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        del record
        self.count += 1


@contextmanager
def _listening_to_logs() -> Generator[_Lines]:
    lines, logger = _Lines(), logging.getLogger("qcore")
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.setLevel(level)
        logger.removeHandler(lines)


@invariant("Q-RES-04")
def test_clients_of_a_broker_that_is_away_come_back_neither_wildly_nor_in_step(bed: Bed) -> None:
    """Each rests longer from try to try, by a measure of its own, and says little."""
    server = bed.server()
    proxies = [bed.proxy(server) for _ in range(4)]
    queues = [bed.connect(bed.url_at(proxy.address)).queue("q") for proxy in proxies]
    for queue in queues:
        queue.subscribe()
        assert quiet(queue, 0.05)
    waiting = [bed.start(partial(queue.reserve, timeout=None)) for queue in queues]
    pass_time(time.monotonic() + 0.2)
    with _listening_to_logs() as lines:
        for proxy in proxies:
            proxy.refuse()
            proxy.cut()
        before, began, burned = [len(one.arrivals) for one in proxies], *_clocks()
        pass_time(time.monotonic() + _OUTAGE)
        away, used = time.monotonic() - began, time.process_time() - burned
        tries = [one.arrivals[seen:] for one, seen in zip(proxies, before, strict=True)]
        said = lines.count
        for proxy in proxies:
            proxy.heal()

    bed.figure("tries of one client in an outage", max(map(len, tries)), f"in {away:.1f} s")
    assert all(3 <= len(one) <= _MOST_TRIES for one in tries)
    assert all(sum(at > began + away / 2 for at in one) <= len(one) / 2 for one in tries)
    assert len({tuple(round(at - one[0], 2) for at in one) for one in tries}) == len(tries)
    assert used <= away / 2
    assert said <= _MOST_LINES * len(queues)
    _all_served(bed, server.address, waiting)


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _all_served(bed: Bed, address: Address, waiting: Sequence[Future[qcore.Delivery]]) -> None:
    """See that all who waited get a job when the broker is back."""
    producer = bed.connect(bed.url_at(address)).queue("q")

    def served() -> bool:
        producer.enqueue_many([b"job"] * len(waiting))
        return all(one.done() for one in waiting)

    bed.until(served, "all who waited are served", within=20.0)
