"""At most once, under faults: nothing is heard twice, and a gap is told wherever one may be."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.plans import Cut, When, boundaries
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.scenes import drained, pass_time, quiet, taken
from qcore_conformance.servers import Server
from qcore_conformance.waiting import scaled

_IMPATIENT = 0.2


class Audience:
    """A listener behind a proxy, and a publisher beside it."""

    def __init__(self, bed: Bed) -> None:
        if bed.capabilities.value("delivery") != "at_most_once":
            raise NotApplicable(f"{bed.capabilities.adapter} keeps jobs for who comes later")
        self.bed = bed
        self.server: Server = bed.server()
        self.proxy: CountingProxy = bed.proxy(self.server)
        beside = bed.url_at(self.server.address)
        self.ear = bed.connect(bed.url_at(self.proxy.address, patience=_IMPATIENT)).queue("q")
        self.mouth = bed.connect(beside).queue("q")
        self.ear.subscribe()

    def say(self, *bodies: bytes) -> list[bytes]:
        """Publish these, and give them back."""
        self.mouth.enqueue_many(bodies)
        return list(bodies)

    def hear(self, count: int) -> list[bytes]:
        """Take so many that must come."""
        return [taken(self.ear).job.body for _ in range(count)]

    def hear_until_gap(self, gaps: int) -> list[bytes]:
        """Take whatever comes until this many gaps were told."""
        found: list[bytes] = []

        def told() -> bool:
            try:
                if delivery := self.ear.reserve(timeout=0.05):
                    found.append(delivery.job.body)
            except (qcore.Unavailable, qcore.Indeterminate):
                return False
            return self.ear.gaps >= gaps

        self.bed.until(told, f"{gaps} gaps are told")
        assert self.ear.gaps == gaps
        return found


@invariant("Q-PUB-01", "Q-PUB-02", "Q-PUB-03")
def test_a_cut_line_is_a_gap_and_loses_only_what_passed_meanwhile(bed: Bed) -> None:
    """Each cut is one gap; what was said before and after is heard, and nothing twice."""
    audience = Audience(bed)
    safe: list[bytes] = []
    heard: list[bytes] = []

    for cut in range(1, 6):
        safe += audience.say(*(b"%d-before-%d" % (cut, number) for number in range(5)))
        heard += audience.hear(5)
        audience.proxy.cut()
        audience.say(*(b"%d-meanwhile-%d" % (cut, number) for number in range(5)))
        heard += audience.hear_until_gap(cut)
        safe += audience.say(*(b"%d-after-%d" % (cut, number) for number in range(5)))
        heard += audience.hear(5)

    assert [body for body in heard if body in safe] == safe
    assert len(set(heard)) == len(heard)
    bed.figure("lost to five cuts", 75 - len(heard), "jobs of 25 said meanwhile")


def _restart(audience: Audience) -> None:
    audience.server.restart()


def _kill(audience: Audience) -> None:
    audience.server.kill()
    audience.server.start()


def _disconnect(audience: Audience) -> None:
    audience.bed.harness.faults.disconnect(audience.server)


def _silence(audience: Audience) -> None:
    audience.proxy.half_open()


@pytest.mark.parametrize("fault", [_restart, _kill, _disconnect, _silence])
@invariant("Q-PUB-01", "Q-PUB-02", "Q-PUB-03")
def test_every_loss_of_the_broker_is_a_gap(bed: Bed, fault: Callable[[Audience], None]) -> None:
    """Also one that no closed socket tells of; what was taken before does not come again."""
    audience = Audience(bed)
    audience.say(b"before")
    assert audience.hear(1) == [b"before"]

    fault(audience)

    assert audience.hear_until_gap(1) == []
    audience.say(b"after")
    assert audience.hear(1) == [b"after"]
    assert quiet(audience.ear)
    assert audience.ear.gaps == 1


@invariant("Q-PUB-01", "Q-PUB-03")
def test_a_server_that_stands_still_for_a_moment_costs_nothing(bed: Bed) -> None:
    """What is said while it does is heard once afterwards, unless a gap is told."""
    audience = Audience(bed)
    coming = bed.start(lambda: audience.ear.reserve(timeout=scaled(10.0)))
    audience.server.pause()
    saying = bed.start(lambda: audience.say(b"meanwhile"))
    pass_time(time.monotonic() + 0.1)
    audience.server.resume()

    saying.result(scaled(10.0))

    found = coming.result(scaled(10.0))
    assert (found is not None and found.job.body == b"meanwhile") or audience.ear.gaps
    assert quiet(audience.ear)


@pytest.mark.parametrize("count", [1, 3])
@invariant("Q-PUB-01", "Q-REPLAY-01", "Q-BATCH-03", "Q-ERR-01")
def test_what_was_said_into_a_line_that_broke_is_in_doubt_and_not_said_twice(
    bed: Bed, count: int
) -> None:
    """Wherever the line breaks, all of a batch is heard once, or none of it."""
    audience = Audience(bed)
    said = [b"%d" % number for number in range(count)]
    last = _requests(audience, said)
    for exchange, when in boundaries(last, tuple(When)):
        way = bed.proxy(audience.server)
        mouth = bed.connect(bed.url_at(way.address, patience=_IMPATIENT)).queue("q")
        way.plan(Cut(exchange=exchange, when=when, commands=bed.harness.requests))

        answered = True
        try:
            mouth.enqueue_many(said)
        except qcore.Indeterminate:
            answered = False
        way.wait_fired(1)

        assert answered == ((exchange, when) == (last, When.AFTER_REPLY))
        heard = [delivery.job.body for delivery in drained(audience.ear)]
        assert heard == said or (not answered and not heard), (exchange, when)


def _requests(audience: Audience, bodies: list[bytes]) -> int:
    """How many requests it takes to say these where nothing breaks."""
    way, wanted = audience.bed.proxy(audience.server), audience.bed.harness.requests
    mouth = audience.bed.connect(audience.bed.url_at(way.address)).queue("q")
    before = len(way.log)
    mouth.enqueue_many(bodies)
    assert audience.hear(len(bodies)) == bodies
    return sum(not wanted or one.command in wanted for one in way.log[before:])


@invariant("Q-ERR-01")
def test_a_broker_that_was_never_reached_told_nobody(bed: Bed) -> None:
    """Unavailable means that the same call may be made again."""
    audience = Audience(bed)
    way = bed.proxy(audience.server)
    mouth = bed.connect(bed.url_at(way.address, patience=_IMPATIENT)).queue("q")
    mouth.enqueue(b"before")
    assert audience.hear(1) == [b"before"]
    way.refuse()
    way.cut()
    bed.until(lambda: way.connections == 0, "all connections are closed")

    with pytest.raises(qcore.Unavailable) as caught:
        mouth.enqueue(b"never")

    assert caught.value.retryable
    assert quiet(audience.ear)
    way.heal()
    assert mouth.enqueue(b"at last").receivers in (None, 1)
    assert audience.hear(1) == [b"at last"]
