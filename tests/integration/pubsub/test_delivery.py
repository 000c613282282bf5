from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore
from qcore_conformance.client import ServerError
from qcore_conformance.servers import Server
from qcore_conformance.waiting import wait_until
from qcore_redis.keys import channel
from tests.integration.async_actors import AsyncLine
from tests.integration.pubsub.audience import Audience, bodies, collect
from tests.integration.stage import Stage, held, together

MIB = 1 << 20


def test_an_enqueue_says_how_many_heard_it(stage: Stage) -> None:
    """Nobody, one or two: the count is the only trace that a message leaves."""
    line = stage.line()
    assert line.enqueue(b"nobody").receivers == 0

    for count in (1, 2):
        audience = Audience.of(stage)
        assert line.enqueue(b"heard").receivers == count
        assert [one.receivers for one in line.enqueue_many([b"a", b"b"])] == [count, count]
        assert audience.listeners == count


def test_every_listener_gets_each_job_once(stage: Stage) -> None:
    """Two connections are two listeners, and what was sent before they listened is gone."""
    stage.line().enqueue(b"before")
    first, second = Audience.of(stage), Audience.of(stage)

    first.mouth.enqueue_many([b"a", b"b", b"c"])

    assert collect(first.ear, 3) == collect(second.ear, 3) == [b"a", b"b", b"c"]
    assert first.ear.reserve(0.05) is None
    assert second.ear.reserve(0.05) is None


def test_a_job_arrives_as_it_was_sent(stage: Stage) -> None:
    """Id, body, headers and time pass through, whatever bytes they are made of."""
    audience = Audience.of(stage)
    body = bytes(range(256)) + b"\r\n$5\r\n*1\r\n" + bytes(MIB - 300)

    sent = audience.mouth.enqueue(body, headers={"k": "schlüssel\n"})
    job = held(audience.ear.reserve(5.0)).job

    assert (job.id, job.body, job.headers) == (sent, body, {"k": "schlüssel\n"})
    assert job.queue == "work"
    assert abs(job.enqueued_at - time.time()) < 60


def test_a_subscription_is_in_effect_when_it_returns(stage: Stage) -> None:
    """A thousand times, what is sent right afterwards is heard: no race is lost."""
    mouth = stage.connect()
    for connection in range(20):
        client = stage.connect()
        for number in range(50):
            name = f"q{connection}-{number}"
            audience = Audience(stage, client.queue(name), mouth.queue(name), name)
            audience.subscribe()
            assert audience.mouth.enqueue(b"x").receivers == 1
            assert collect(audience.ear, 1) == [b"x"]
        client.close()


def test_the_first_reserve_listens(stage: Stage) -> None:
    """Who only ever reserves hears everything from his first call on."""
    audience = Audience(stage, stage.line(), stage.other_line(), "work")
    assert audience.ear.reserve(0) is None

    assert audience.mouth.enqueue(b"x").receivers == 1

    assert collect(audience.ear, 1) == [b"x"]


def test_each_publisher_is_heard_in_order(stage: Stage) -> None:
    """Batches and single jobs of one publisher keep their order, whoever speaks in between."""
    audience = Audience.of(stage)
    mouths = [stage.other_line() for _ in range(2)]

    def speak(number: int) -> None:
        for step in range(0, 300, 3):
            mouths[number].enqueue(b"%d:%d" % (number, step))
            mouths[number].enqueue_many([b"%d:%d" % (number, step + more) for more in (1, 2)])

    together(2, speak)
    found = collect(audience.ear, 600)

    for number in (b"0", b"1"):
        mine = [body.partition(b":")[2] for body in found if body.startswith(number)]
        assert mine == [b"%d" % step for step in range(300)]


def test_threads_that_share_a_connection_share_its_messages(stage: Stage) -> None:
    """Each job goes to exactly one of eight that look, and no sleeper misses what one left."""
    audience = Audience.of(stage)
    found: Counter[bytes] = Counter()
    stop = threading.Event()

    def look(_: int) -> list[bytes]:
        mine: list[bytes] = []
        while not stop.is_set():
            mine += bodies(audience.ear.reserve_many(3, timeout=0.2))
            if len(mine) > 2:
                # Counted in parts, so that the publisher sees when everything was heard.
                found.update(mine)
                mine = []
        return mine

    with ThreadPoolExecutor(1) as pool:
        listening = pool.submit(together, 8, look)
        sent = [b"%d" % number for number in range(800)]
        for start in range(0, 800, 40):
            audience.mouth.enqueue_many(sent[start : start + 40])
        wait_until(lambda: found.total() >= 776, within=10.0, what="nearly all were heard")
        stop.set()
        for rest in listening.result():
            found.update(rest)

    assert found == Counter(sent)


def test_a_sleeper_is_woken_for_what_another_left_behind(stage: Stage) -> None:
    """Two jobs that arrive at once occupy two threads, though one of them read both."""
    audience = Audience.of(stage)
    meeting = threading.Barrier(2, timeout=5.0)

    def work(_: int) -> bytes:
        job = held(audience.ear.reserve(5.0)).job
        meeting.wait()
        return job.body

    with ThreadPoolExecutor(2) as pool:
        working = [pool.submit(work, number) for number in range(2)]
        audience.mouth.enqueue_many([b"a", b"b"])
        assert sorted(one.result() for one in working) == [b"a", b"b"]


def test_a_consumer_iterates_over_what_it_hears(stage: Stage) -> None:
    """The iterator of workers fits, and ack is allowed although it has nothing to do."""
    audience = Audience.of(stage)
    audience.mouth.enqueue_many([b"%d" % number for number in range(100)])

    with audience.ear.consume() as deliveries:
        for number in range(100):
            delivery = next(deliveries)
            assert delivery.job.body == b"%d" % number
            delivery.ack()


def test_queues_namespaces_and_databases_do_not_mix(stage: Stage) -> None:
    """Channels know no databases, so their names carry them."""
    here = Audience.of(stage)
    others = [
        Audience.of(stage, name="work.2"),
        Audience.of(stage, stage.url(namespace=f"{stage.namespace}2")),
        Audience.of(stage, stage.url(db=1)),
    ]

    assert here.mouth.enqueue(b"x").receivers == 1

    assert collect(here.ear, 1) == [b"x"]
    assert [other.ear.reserve(0) for other in others] == [None, None, None]


def test_unread_messages_wait_at_the_server(stage: Stage) -> None:
    """What a slow program has not asked for fills the server's buffers and not its own."""
    audience = Audience.of(stage)
    bulk = [bytes(MIB)] * 8

    audience.mouth.enqueue_many(bulk)
    assert len(collect(audience.ear, 1)) == 1

    assert audience.memory_for_listeners() > 4 * MIB
    assert collect(audience.ear, 7) == bulk[1:]


def test_somebody_elses_message_is_skipped_and_reported(
    stage: Stage, logged: list[dict[str, object]]
) -> None:
    """It stops nobody, its bytes are not shown, and nothing is asked of the server for it."""
    audience = Audience.of(stage)
    place = channel(stage.namespace, "work", 0)
    foreign = (
        b"secret",
        b"a secret\nsecret",
        b"an-id\nsecret",
        b"",
        b"an-id\n1{\nsecret",
        b"\n1{}\n",
    )

    for payload in foreign:
        stage.server.cli("PUBLISH", place, payload)
    audience.mouth.enqueue(b"x")

    assert collect(audience.ear, 1) == [b"x"]
    unfit = [line for line in logged if line["event"] == "job.unfit"]
    counts = [line["count"] for line in unfit]
    assert sum(count for count in counts if isinstance(count, int)) == len(foreign)
    assert "secret" not in str(unfit)


def test_a_user_without_rights_to_the_channel_is_rejected(own_stage: Stage) -> None:
    """Neither a listener nor a publisher is left in the belief that it is heard."""
    own_stage.server.cli("ACL", "SETUSER", "eve", "on", ">pw", "~*", "+@all", "resetchannels")
    url = own_stage.url().replace("://", "://eve:pw@", 1)
    line = own_stage.connect(url).queue("work")

    with pytest.raises(qcore.Rejected):
        line.enqueue(b"x")
    with pytest.raises(qcore.Rejected):
        line.enqueue_many([b"x", b"y"])
    with pytest.raises(qcore.Rejected):
        line.reserve(0)


def test_a_user_who_may_only_publish_can(own_stage: Stage) -> None:
    """Transactions, INFO and CONFIG are asked for and done without."""
    words = ("on", ">pw", "allchannels", "+publish", "+subscribe", "+ping", "+select")
    own_stage.server.cli("ACL", "SETUSER", "bob", *words)
    url = own_stage.url().replace("://", "://bob:pw@", 1)
    audience = Audience.of(own_stage, url)
    mouth = own_stage.connect(url).queue("work")

    assert [one.receivers for one in mouth.enqueue_many([b"a", b"b"])] == [1, 1]

    assert collect(audience.ear, 2) == [b"a", b"b"]


def test_closing_wakes_who_waits(stage: Stage) -> None:
    """A blocked reserve ends at once, saying that the connection was closed."""
    audience = Audience.of(stage)
    client = stage.connect()
    line = client.queue("work")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(line.reserve, None)
        audience.wait_listeners(2)
        began = time.monotonic()
        client.close()
        with pytest.raises(qcore.Closed):
            waiting.result(5.0)
    assert time.monotonic() - began < 1.0
    with pytest.raises(qcore.Closed):
        line.reserve(0)
    audience.wait_listeners(1)


def test_a_cancelled_reserve_leaves_everything_usable(stage: Stage) -> None:
    """A hundred cancels lose no message, no task and no socket."""
    audience = Audience.of(stage)
    if not isinstance(audience.ear, AsyncLine):
        pytest.skip("only tasks can be cancelled")
    ear = audience.ear

    for number in range(100):
        waiting = ear.portal.start(ear.inner.reserve())
        if number % 2:
            time.sleep(0.001)
        waiting.cancel()

    assert audience.mouth.enqueue(b"x").receivers == 1
    assert collect(ear, 1) == [b"x"]
    assert audience.gaps == 0
    assert audience.listeners == 1


def test_nothing_is_stored(stage: Stage) -> None:
    """Whether heard or not, a job leaves no key."""
    audience = Audience.of(stage)
    audience.mouth.enqueue_many([b"a", b"b"])
    collect(audience.ear, 1)

    assert stage.names() == []


def test_sharded_channels_work_where_the_server_knows_them(stage: Stage) -> None:
    """An old server is refused at open, before anything relies on it."""
    if not knows_shards(stage.server):
        with pytest.raises(qcore.UnsupportedCapability, match=r"SPUBLISH.*Redis 7"):
            stage.connect(sharded="yes")
        return
    audience = Audience.of(stage, stage.url(sharded="yes"), sharded="yes")
    plain = Audience.of(stage)

    heard = audience.mouth.enqueue_many([b"a", b"b"])

    assert [one.receivers for one in heard] == [1, 1]
    assert collect(audience.ear, 2) == [b"a", b"b"]
    assert plain.ear.reserve(0.05) is None


def knows_shards(server: Server) -> bool:
    """Whether the server has sharded channels, by asking for them."""
    try:
        server.cli("PUBSUB", "SHARDCHANNELS")
    except ServerError:
        return False
    return True
