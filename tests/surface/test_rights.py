from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest

import qcore
from qcore_conformance.servers import Binary, Server, available_servers

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


def connected(
    server: Server, adapter: str, user: str = "", namespace: str = "shop"
) -> qcore.Connection:
    """A connection of a user of the page, or of one who may do everything."""
    who = f"{user}:change-me@" if user else ""
    return qcore.connect(f"{adapter}+unix://{who}{server.unix.path}?namespace={namespace}")


def enqueue_all_sorts(queue: qcore.Queue) -> None:
    """Jobs by every way in which a producer can store them: seven ready, one delayed."""
    queue.enqueue(b"a")
    queue.enqueue(b"b", priority=2, id="b")
    queue.enqueue(b"c", delay=1000.0, dedup="c")
    queue.enqueue_many([b"d", b"e", b"f", b"g", b"h"])


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
        assert connection.queue("mail").stats().enqueued == 8
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
        while rest := queue.reserve_many(10, timeout=0.3):
            queue.ack_many(rest)
        assert queue.redrive() == 1
        assert queue.purge("ready") == queue.purge("delayed") == 1

    assert denied(server) == []


def test_an_inspector_looks_and_changes_nothing(server: Server, adapter: str) -> None:
    """Whoever watches queues cannot break them."""
    with connected(server, adapter) as connection:
        enqueue_all_sorts(connection.queue("mail"))

    with connected(server, adapter, "inspector") as connection:
        queue = connection.queue("mail")
        assert connection.queues() == ["mail"]
        assert queue.stats().ready == len(queue.peek("ready")) == 7
        assert queue.stats().delayed == len(queue.peek("delayed")) == 1
        assert queue.peek("held") == queue.peek("dead") == []
        assert denied(server) == []
        with pytest.raises(qcore.Rejected):
            queue.enqueue(b"x")
        with pytest.raises(qcore.Rejected):
            queue.purge("ready")


@pytest.mark.parametrize("user", sorted(LINES))
def test_no_user_reaches_another_namespace(server: Server, user: str) -> None:
    """A namespace is a wall for the users of a server, not only for names."""
    with connected(server, "redis+streams", user, "blog") as connection:
        queue = connection.queue("mail")
        with pytest.raises(qcore.Rejected):
            queue.enqueue(b"x")
        with pytest.raises(qcore.Rejected):
            queue.stats()
