from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import qcore
from qcore_conformance.plans import Cut, When
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.waiting import wait_until
from tests.integration.pubsub.audience import Audience, bodies, collect
from tests.integration.stage import Stage

KIB = 1 << 10


@pytest.fixture
def proxy(stage: Stage) -> Iterator[CountingProxy]:
    """A proxy between listeners and the server."""
    with CountingProxy(stage.server.unix) as proxy:
        yield proxy


def through(proxy: CountingProxy, stage: Stage, **params: object) -> Audience:
    """A listener behind the proxy, and a publisher beside it."""
    query = stage.url(**params).partition("?")[2]
    return Audience.of(stage, f"{proxy.address.url('redis+pubsub')}?{query}")


def at(command: str, when: When) -> Cut:
    """A cut at the next such command."""
    commands: Any = {command}
    return Cut(exchange=1, when=when, commands=commands)


def gap_lines(logged: list[dict[str, object]]) -> list[dict[str, object]]:
    """What was logged of gaps."""
    return [line for line in logged if line["event"] == "subscription.gap"]


def test_a_cut_link_is_a_gap_and_loses_only_what_passed_meanwhile(
    stage: Stage, proxy: CountingProxy, logged: list[dict[str, object]]
) -> None:
    """Ten cuts are ten gaps, each reported once, and no job is heard twice."""
    audience = through(proxy, stage)
    numbers = iter(range(1000))
    safe: list[bytes] = []
    found: list[bytes] = []

    def publish() -> list[bytes]:
        sent = [b"%d" % next(numbers) for _ in range(5)]
        audience.mouth.enqueue_many(sent)
        return sent

    for cut in range(1, 11):
        safe += publish()
        found += collect(audience.ear, 5)
        proxy.cut()
        publish()
        found += audience.hear_until_gap(cut)
        safe += publish()
        found += collect(audience.ear, 5)

    assert [body for body in found if body in safe] == safe
    assert len(set(found)) == len(found)
    assert audience.gaps == 10
    lines = gap_lines(logged)
    assert [line["gaps"] for line in lines] == list(range(1, 11))
    assert {line["queue"] for line in lines} == {"work"}


def test_a_killed_client_listens_again(stage: Stage, logged: list[dict[str, object]]) -> None:
    """The server may throw a listener out; a blocked reserve survives it."""
    audience = Audience.of(stage)
    ids = stage.server.cli("CLIENT", "KILL", "TYPE", "pubsub")
    assert isinstance(ids, int)
    assert ids >= 1

    assert audience.hear_until_gap(1) == []
    audience.mouth.enqueue(b"x")

    assert collect(audience.ear, 1) == [b"x"]
    assert (audience.gaps, len(gap_lines(logged))) == (1, 1)


def test_what_arrived_before_the_loss_is_handed_over_first(stage: Stage) -> None:
    """A loss shows in its place: after the jobs that came before it."""
    audience = Audience.of(stage)
    sent = [b"%d" % number for number in range(300)]
    audience.mouth.enqueue_many(sent)
    # Delivered to the socket, since the server answers a listener before it kills it.
    wait_until(lambda: audience.memory_for_listeners() == 0, within=5.0, what="all was sent")
    stage.server.cli("CLIENT", "KILL", "TYPE", "pubsub")

    found: list[bytes] = []
    while len(found) < 300:
        assert audience.gaps == 0
        found += bodies(audience.ear.reserve_many(100, timeout=1.0))

    assert found == sent
    assert audience.hear_until_gap(1) == []


def test_subscribing_again_mends_a_loss_that_was_seen(stage: Stage, proxy: CountingProxy) -> None:
    """After ``subscribe`` somebody listens, whatever happened before."""
    audience = through(proxy, stage, patience="100ms")
    proxy.refuse()
    proxy.cut()

    def noticed() -> bool:
        try:
            audience.ear.reserve(0)
        except qcore.Unavailable:
            return True
        return False

    wait_until(noticed, within=5.0, what="the loss is seen")
    with pytest.raises(qcore.Unavailable):
        audience.subscribe()
    assert audience.gaps == 0

    proxy.heal()
    audience.subscribe()

    assert audience.gaps == 1
    assert audience.mouth.enqueue(b"x").receivers == 1
    assert collect(audience.ear, 1) == [b"x"]


def test_a_restarted_server_finds_its_listeners_again(own_stage: Stage) -> None:
    """Both directions go on by themselves: the listener with a gap, the publisher without."""
    audience = Audience.of(own_stage)
    audience.mouth.enqueue(b"before")
    assert collect(audience.ear, 1) == [b"before"]

    own_stage.server.restart()

    assert audience.hear_until_gap(1) == []
    assert audience.mouth.enqueue(b"after").receivers == 1
    assert collect(audience.ear, 1) == [b"after"]
    assert audience.gaps == 1


def test_a_slow_listener_is_cut_off_and_told_so(own_stage: Stage) -> None:
    """The server drops it rather than hold back the publisher or grow without end."""
    own_stage.server.cli("CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 65536 0")
    audience = Audience.of(own_stage)
    bulk = bytes(32 * KIB)
    sent: list[bytes] = []

    began = time.monotonic()
    for number in range(500):
        sent.append(b"%d:" % number + bulk)
        if audience.mouth.enqueue(sent[-1]).receivers == 0:
            break
    assert len(sent) < 500
    assert time.monotonic() - began < 5.0

    found = audience.hear_until_gap(1)
    assert found == sent[: len(found)]
    assert len(found) < len(sent)
    audience.mouth.enqueue(b"x")
    assert collect(audience.ear, 1) == [b"x"]
    assert audience.gaps == 1


def test_a_link_that_died_without_a_word_is_found_out(stage: Stage, proxy: CountingProxy) -> None:
    """Bytes that vanish on the way close nothing; silence has to be asked."""
    audience = through(proxy, stage, patience="200ms")
    proxy.half_open()
    audience.mouth.enqueue(b"lost")

    assert audience.hear_until_gap(1) == []

    audience.mouth.enqueue(b"x")
    assert collect(audience.ear, 1) == [b"x"]


@pytest.mark.parametrize("sharded", [False, True])
def test_a_quiet_link_that_answers_is_kept(stage: Stage, *, sharded: bool) -> None:
    """Asking a quiet server costs no gap, also where only sharded channels are heard."""
    if sharded and stage.server.binary.version < (7,):
        pytest.skip("this server has no sharded channels")
    audience = Audience.of(stage, patience="200ms", sharded=sharded)

    assert audience.ear.reserve(1.0) is None

    audience.mouth.enqueue(b"x")
    assert collect(audience.ear, 1) == [b"x"]
    assert audience.gaps == 0
    assert int(own_calls(stage, "ping")) > 0


def own_calls(stage: Stage, command: str) -> str:
    """How often the server ran a command."""
    return stage.info("commandstats")[f"cmdstat_{command}"].partition(",")[0].removeprefix("calls=")


def test_a_lost_reply_is_not_sent_again(stage: Stage, proxy: CountingProxy) -> None:
    """Nobody knows whether a message went out, and saying so beats saying it twice."""
    audience = Audience.of(stage)
    query = stage.url().partition("?")[2]
    mouth = stage.connect(f"{proxy.address.url('redis+pubsub')}?{query}").queue("work")
    proxy.plan(at("PUBLISH", When.BEFORE_REPLY))

    with pytest.raises(qcore.Indeterminate):
        mouth.enqueue(b"x")

    assert [one.command for one in proxy.log].count("PUBLISH") == 1
    assert collect(audience.ear, 1) == [b"x"]
    assert audience.ear.reserve(0.1) is None


def test_a_batch_that_was_cut_off_is_not_heard_in_part(stage: Stage, proxy: CountingProxy) -> None:
    """All or none: a publisher that dies half way has said nothing."""
    audience = Audience.of(stage)
    query = stage.url().partition("?")[2]
    mouth = stage.connect(f"{proxy.address.url('redis+pubsub')}?{query}").queue("work")
    proxy.plan(at("EXEC", When.INSIDE_REQUEST))

    with pytest.raises(qcore.Indeterminate):
        mouth.enqueue_many([b"a", b"b", b"c"])

    audience.mouth.enqueue(b"x")
    assert collect(audience.ear, 1) == [b"x"]


def test_a_publisher_waits_for_its_server_with_patience(own_stage: Stage) -> None:
    """What was certainly not sent is tried again for a while, and then refused for what it is."""
    line = own_stage.connect(patience="200ms").queue("work")
    own_stage.server.kill()

    began = time.monotonic()
    with pytest.raises(qcore.Unavailable):
        line.enqueue(b"x")

    assert 0.2 <= time.monotonic() - began < 5.0
    own_stage.server.start()
    assert line.enqueue(b"x").receivers == 0


def test_a_loss_in_between_does_not_fail_who_only_looks(stage: Stage, proxy: CountingProxy) -> None:
    """A server that is there is no error: the next look listens again by itself."""
    audience = through(proxy, stage)
    time.sleep(0.1)
    proxy.cut()

    def noticed() -> bool:
        assert audience.ear.reserve(0) is None
        return audience.gaps == 1

    wait_until(noticed, within=5.0, what="a gap is counted")


def test_a_listener_that_is_thrown_out_each_time_does_not_storm_the_server(
    stage: Stage, proxy: CountingProxy
) -> None:
    """It comes back a few dozen times a second at most."""
    audience = through(proxy, stage)
    began = time.monotonic()

    def thrown_out() -> bool:
        proxy.cut()
        with suppress(qcore.Unavailable):
            audience.ear.reserve(0.01)
        return time.monotonic() - began > 0.5

    wait_until(thrown_out, within=5.0, what="half a second is over")

    assert 1 <= audience.gaps <= 40
