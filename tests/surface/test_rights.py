from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import qcore
from qcore_conformance.servers import Binary, Server, available_servers
from qcore_conformance.waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs/how-to/limit-rights.md"
LINES = {
    line.split()[2]: line.split()
    for line in re.findall(r"^ACL SETUSER .*$", PAGE.read_text(), re.MULTILINE)
}
CLIENT_SETINFO = (b"client|setinfo", b"client")
"""How new and old servers call what the client library asks for and can do without."""
ADAPTERS = ("redis+list", "redis+streams")


@pytest.fixture(params=available_servers(), ids=lambda binary: binary.name, scope="module")
def server(request: pytest.FixtureRequest) -> Generator[Server]:
    """A server that knows the users of the page."""
    binary: Binary = request.param
    with Server(binary) as running:
        for line in LINES.values():
            running.cli(*line)
        yield running


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest, server: Server) -> str:
    """An adapter, for which the server is empty and has refused nothing yet."""
    server.cli("FLUSHALL")
    server.cli("ACL", "LOG", "RESET")
    return str(request.param)


def url_of(server: Server, adapter: str, user: str = "", **params: str) -> str:
    """The server, for a user of the page or for one who may do everything."""
    who = f"{user}:change-me@" if user else ""
    query = "&".join(f"{name}={value}" for name, value in {"namespace": "shop", **params}.items())
    return f"{adapter}+unix://{who}{server.unix.path}?{query}"


def connected(
    server: Server, adapter: str, user: str = "", namespace: str = "shop", **params: str
) -> qcore.Connection:
    """A connection of such a user."""
    return qcore.connect(url_of(server, adapter, user, namespace=namespace, **params))


def enqueue_all_sorts(queue: qcore.Queue) -> None:
    """Jobs by every way in which a producer can store them: nine ready, one delayed."""
    queue.enqueue(b"a")
    queue.enqueue(b"b", priority=2, id="b")
    queue.enqueue(b"c", delay=1000.0, dedup="c")
    queue.enqueue_many([b"d", b"e", b"f", b"g"])
    # Streams refuse the front, and say so; then the job goes to the end.
    queue.enqueue(b"h", front="at_front" in queue.session.capabilities)
    queue.enqueue(b"i", tenant="acme", keep=qcore.Keep())
    for member in ("left", "right"):
        queue.enqueue(b"j", id="j", join=qcore.Join(2, member))


def denied(server: Server) -> list[str]:
    """What the server refused since the log was last reset, but for what the page says."""
    entries = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows(server)]
    return [
        f"{entry[b'username']!r}: {entry[b'object']!r}"
        for entry in entries
        if entry[b"object"] not in CLIENT_SETINFO
    ]


def rows(server: Server) -> list[list[object]]:
    """The entries of the server's log of refusals."""
    reply = server.cli("ACL", "LOG")
    assert isinstance(reply, list)
    return [list(row) for row in reply if isinstance(row, list)]


def test_a_producer_enqueues_and_takes_nothing(server: Server, adapter: str) -> None:
    """A program that only enqueues cannot take jobs away by mistake."""
    with connected(server, adapter, "producer") as connection:
        enqueue_all_sorts(connection.queue("mail"))

    assert denied(server) == []
    with connected(server, adapter) as connection:
        assert connection.queue("mail").stats().enqueued == 10
    with (
        connected(server, adapter, "producer") as connection,
        pytest.raises(qcore.Rejected),
    ):
        connection.queue("mail").reserve(timeout=0)


def test_a_consumer_takes_settles_and_cares_for_dead_jobs(server: Server, adapter: str) -> None:
    """Every way in which a delivery can end is allowed, and so is waiting for the next one."""
    with connected(server, adapter) as connection:
        enqueue_all_sorts(connection.queue("mail"))

    with connected(server, adapter, "consumer") as connection:
        queue = connection.queue("mail")
        with queue.consume(prefetch=3) as deliveries:
            next(deliveries).ack()
            next(deliveries).release()
            next(deliveries).retry(0.0, "not yet")
        queue.reserve_many(1, timeout=0, lease=0.1)
        recovered = queue.reserve(timeout=5.0)
        assert recovered is not None
        recovered.extend(20.0)
        recovered.dead_letter("no")
        followed = queue.reserve(timeout=0)
        assert followed is not None
        followed.then("next", b"")
        followed.ack()
        assert connection.queue("next").stats().enqueued == 1
        while rest := queue.reserve_many(10, timeout=0.3):
            queue.ack_many(rest)
        assert queue.redrive() == 1
        queue.enqueue_many([qcore.NewJob(b"mine", id="mine"), b"any"])
        assert queue.move("slow") == 3
        assert connection.queue("slow").purge("ready") == 3
        assert queue.purge("delayed") == 1

    assert denied(server) == []


def test_an_inspector_looks_and_changes_nothing(server: Server, adapter: str) -> None:
    """Whoever watches queues cannot break them."""
    with connected(server, adapter) as connection:
        enqueue_all_sorts(connection.queue("mail"))

    with connected(server, adapter, "inspector") as connection:
        queue = connection.queue("mail")
        assert connection.queues() == ["mail"]
        assert queue.stats().ready == len(queue.peek("ready")) == 9
        assert queue.stats().delayed == len(queue.peek("delayed")) == 1
        assert queue.peek("held") == queue.peek("dead") == []
        assert denied(server) == []
        with pytest.raises(qcore.Rejected):
            queue.enqueue(b"x")
        with pytest.raises(qcore.Rejected):
            queue.purge("ready")


def test_a_producer_without_scripts_enqueues_plain_jobs(server: Server, adapter: str) -> None:
    """They cannot be told from others, and a sleeping consumer wakes for them."""
    with connected(server, adapter, "plain-producer") as connection:
        assert connection.queue("plain").enqueue(b"a", headers={"k": "v"}).created
        connection.queue("plain").enqueue_many([b"b", b"c"])
    assert set(denied(server)) <= {f"{b'plain-producer'!r}: {b'evalsha'!r}"}

    with connected(server, adapter) as connection:
        connection.queue("full").enqueue(b"a", headers={"k": "v"})
        connection.queue("full").enqueue_many([b"b", b"c"])
        assert shape(server, adapter, "plain") == shape(server, adapter, "full")
        plain = connection.queue("plain")
        found = plain.reserve_many(5, timeout=5.0)
        assert [hand.job.body for hand in found] == [b"a", b"b", b"c"]
        assert found[0].job.headers == {"k": "v"}
        assert all(plain.ack_many(found))
        assert (plain.stats().enqueued, plain.stats().acked) == (3, 3)
        with (
            ThreadPoolExecutor(1) as pool,
            connected(server, adapter, "plain-producer") as producer,
        ):
            come = pool.submit(plain.reserve, 10.0)
            wait_until(lambda: sleepers(server) > 0, within=5.0, what="asleep")
            given = producer.queue("plain").enqueue(b"wake up")
            delivery = come.result()
            assert delivery is not None
            assert delivery.job.id == given
            delivery.ack()


def test_a_producer_without_scripts_does_so_in_asyncio(server: Server, adapter: str) -> None:
    """The same by tasks."""

    async def enqueue() -> None:
        url = url_of(server, adapter, "plain-producer")
        async with await qcore.connect_async(url) as connection:
            await connection.queue("mail").enqueue_many([b"a", b"b"])
            with pytest.raises(qcore.UnsupportedCapability, match="scripts"):
                await connection.queue("mail").reserve(timeout=0)

    asyncio.run(enqueue())
    with connected(server, adapter) as connection:
        assert connection.queue("mail").stats().ready == 2


def test_what_needs_scripts_is_refused_before_it_is_sent(server: Server, adapter: str) -> None:
    """With the reason, and with nothing stored; streams know levels without them."""
    with connected(server, adapter, "plain-producer") as connection:
        queue = connection.queue("mail")
        refused: list[Callable[[], object]] = [
            lambda: queue.enqueue(b"x", delay=1.0),
            lambda: queue.enqueue(b"x", id="x"),
            lambda: queue.enqueue(b"x", dedup="x"),
            lambda: queue.reserve(timeout=0),
            lambda: queue.peek("ready"),
            lambda: queue.purge("ready"),
            queue.stats,
            queue.redrive,
        ]
        if adapter == "redis+list":
            refused.append(lambda: queue.enqueue(b"x", priority=1))
        for call in refused:
            with pytest.raises(qcore.UnsupportedCapability, match="may not run scripts"):
                call()
        assert server.cli("DBSIZE") == 0
        if adapter == "redis+streams":
            queue.enqueue(b"x", priority=4)
            assert server.cli("XLEN", "qc:{shop/mail}:stream:new:4") == 1


def test_a_full_server_refuses_a_plain_job_whole(server: Server, adapter: str) -> None:
    """Nothing of it is stored, and the producer is told that nothing was done."""
    server.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        with (
            connected(server, adapter, "plain-producer", patience="50ms") as connection,
            pytest.raises(qcore.Unavailable, match="OOM"),
        ):
            connection.queue("mail").enqueue(b"x")
    finally:
        server.cli("CONFIG", "SET", "maxmemory", "0")
    assert server.cli("DBSIZE") == 0


def shape(server: Server, adapter: str, queue: str) -> dict[str, object]:
    """What a queue of three jobs looks like in the server, without ids and times."""
    design = "list" if adapter == "redis+list" else "stream"
    base = f"qc:{{shop/{queue}}}:{design}:"
    found = server.cli("KEYS", f"{base}*")
    assert isinstance(found, list)
    names = {bytes(name).decode() for name in found if isinstance(name, bytes)}
    types: dict[str, object] = {
        name.removeprefix(base): server.cli("TYPE", name) for name in names if ":flush:" not in name
    }
    types["counters"] = server.cli("HGETALL", f"{base}meta")
    if design == "list":
        elements = server.cli("LRANGE", f"{base}ready:0", 0, -1)
        assert isinstance(elements, list)
        types["elements"] = [
            bytes(one).partition(b"|")[2] for one in elements if isinstance(one, bytes)
        ]
        types["bodies"] = server.cli("HLEN", f"{base}jobs")
    else:
        types["bell"] = server.cli("ZRANGE", f"{base}bell", 0, -1, "WITHSCORES")
        types["entries"] = server.cli("XLEN", f"{base}new:0")
    return types


def sleepers(server: Server) -> int:
    """How many connections sleep on the server."""
    text = server.cli("INFO", "clients")
    assert isinstance(text, bytes)
    return int(text.partition(b"blocked_clients:")[2].split()[0])


@pytest.mark.parametrize("user", sorted(LINES))
def test_no_user_reaches_another_namespace(server: Server, user: str) -> None:
    """A namespace is a wall for the users of a server, not only for names."""
    with connected(server, "redis+streams", user, "blog") as connection:
        queue = connection.queue("mail")
        with pytest.raises(qcore.Rejected):
            queue.enqueue(b"x")
        with pytest.raises((qcore.Rejected, qcore.UnsupportedCapability)):
            queue.stats()
