"""The proxy before a real server: what passes, what it counts, and where it breaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore_conformance.addresses import Unix, connect
from qcore_conformance.client import RawClient, ServerError
from qcore_conformance.plans import Cut, HalfOpen, Hook, Link, When
from qcore_conformance.proxy import CountingProxy, ProxyFailed, Stage
from qcore_conformance.resp import encode
from qcore_conformance.servers import Server
from qcore_conformance.tls import TlsFiles
from qcore_conformance.waiting import wait_until


@pytest.fixture
def proxy(server: Server) -> Iterator[CountingProxy]:
    """A proxy before the server's port."""
    with CountingProxy(server.tcp) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: CountingProxy) -> Iterator[RawClient]:
    """A client of the proxy."""
    with RawClient(proxy.address) as client:
        yield client


def commands(proxy: CountingProxy) -> list[str]:
    """What was asked so far."""
    return [exchange.command for exchange in proxy.log]


def is_closed(client: RawClient) -> bool:
    """Whether the other side has closed the connection."""
    with pytest.raises((ConnectionError, TimeoutError)) as caught:
        client.read()
    return isinstance(caught.value, ConnectionError)


def test_requests_and_replies_pass_unchanged(client: RawClient) -> None:
    """Errors, large bodies and any bytes."""
    body = bytes(range(256)) * 8192
    assert client.call("SET", "k", body) == b"OK"
    assert client.call("GET", "k") == body
    with pytest.raises(ServerError, match="WRONGTYPE"):
        client.call("LPUSH", "k", 1)


def test_exchanges_are_counted(proxy: CountingProxy, client: RawClient) -> None:
    """By the name of their command, with their sizes, and without their arguments."""
    client.call("set", "k", "secret")
    client.call("GET", "k")
    (one, other) = proxy.log
    assert (one.number, one.connection, one.command, one.stage) == (1, 1, "SET", Stage.DONE)
    assert (other.request_bytes, other.reply_bytes) == (len(encode("GET", "k")), 12)
    assert "secret" not in repr(proxy.log)


def test_each_request_of_a_pipeline_counts(proxy: CountingProxy, client: RawClient) -> None:
    """However the packets are cut."""
    client.send_raw(encode("PING") * 3 + encode("ECHO", "x")[:7])
    assert [client.read() for _ in range(3)] == [b"PONG"] * 3
    client.send_raw(encode("ECHO", "x")[7:])
    assert client.read() == b"x"
    assert commands(proxy) == ["PING"] * 3 + ["ECHO"]


def test_the_third_version_of_the_protocol_passes(proxy: CountingProxy, client: RawClient) -> None:
    """With its maps and pushes."""
    client.call("HELLO", 3)
    client.call("SUBSCRIBE", "a")
    heard = [client.call("PUBLISH", "a", "hello"), client.read()]
    assert 1 in heard
    assert [b"message", b"a", b"hello"] in heard
    assert [exchange.stage for exchange in proxy.log] == [Stage.DONE] * 3


def test_subscribers_hear_through_the_proxy(
    proxy: CountingProxy, client: RawClient, server: Server
) -> None:
    """What nobody asked for is no exchange."""
    assert client.call("SUBSCRIBE", "a", "b") == [b"subscribe", b"a", 1]
    assert client.read() == [b"subscribe", b"b", 2]
    server.cli("PUBLISH", "a", "hello")
    assert client.read() == [b"message", b"a", b"hello"]
    assert commands(proxy) == ["SUBSCRIBE"]


def test_a_request_cut_before_it_is_passed_never_runs(
    proxy: CountingProxy, client: RawClient, server: Server
) -> None:
    """The server has seen none of it."""
    proxy.plan(Cut(exchange=2, when=When.BEFORE_REQUEST))
    assert client.call("INCR", "n") == 1
    client.send("INCR", "n")
    assert is_closed(client)
    assert server.cli("GET", "n") == b"1"
    assert proxy.log[1].stage is Stage.HELD


def test_a_request_cut_in_the_middle_never_runs(
    proxy: CountingProxy, client: RawClient, server: Server
) -> None:
    """Half a request is none."""
    proxy.plan(Cut(exchange=1, when=When.INSIDE_REQUEST))
    client.send("SET", "k", b"x" * 500_000)
    assert is_closed(client)
    assert server.cli("EXISTS", "k") == 0


def test_a_reply_that_is_dropped_belongs_to_a_request_that_ran(
    proxy: CountingProxy, client: RawClient, server: Server
) -> None:
    """And only to that one, also in a pipeline."""
    proxy.plan(Cut(exchange=2, when=When.BEFORE_REPLY))
    client.send_raw(encode("INCR", "n") * 4)
    assert client.read() == 1
    assert is_closed(client)
    assert server.cli("GET", "n") == b"2"
    assert [exchange.stage for exchange in proxy.log] == [Stage.DONE, Stage.REPLIED]


def test_a_reply_cut_in_the_middle_arrives_by_half(proxy: CountingProxy, client: RawClient) -> None:
    """The client sees the beginning of it and then the end of the connection."""
    client.call("SET", "k", "x" * 100)
    proxy.plan(Cut(exchange=1, when=When.INSIDE_REPLY))
    client.send("GET", "k")
    assert is_closed(client)


def test_after_its_reply_a_client_sends_no_more(
    proxy: CountingProxy, client: RawClient, server: Server
) -> None:
    """The reply arrives, and the next request, already under way, does not."""
    proxy.plan(Cut(exchange=2, when=When.AFTER_REPLY))
    client.send_raw(encode("INCR", "n") * 4)
    assert [client.read(), client.read()] == [1, 2]
    assert is_closed(client)
    assert server.cli("GET", "n") == b"2"


def test_points_count_from_when_they_were_planned(proxy: CountingProxy, client: RawClient) -> None:
    """What passed before is past."""
    client.call("PING")
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY))
    client.send("PING")
    assert is_closed(client)
    proxy.wait_fired()
    assert proxy.log[-1].points == proxy.fired


def test_points_may_count_some_commands_only(proxy: CountingProxy, client: RawClient) -> None:
    """So that greetings do not disturb the count."""
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REPLY, commands={"GET"}))
    assert client.call("PING") == b"PONG"
    client.send("GET", "k")
    assert is_closed(client)


def test_exchanges_are_counted_over_all_connections(proxy: CountingProxy) -> None:
    """A point strikes the connection whose exchange it is, and no other."""
    with RawClient(proxy.address) as one, RawClient(proxy.address) as other:
        proxy.plan(Cut(exchange=2, when=When.BEFORE_REPLY))
        one.call("PING")
        other.send("PING")
        assert is_closed(other)
        assert one.call("PING") == b"PONG"
    assert [exchange.connection for exchange in proxy.log] == [1, 2, 1]


def test_a_hook_sees_the_world_stand_still(
    proxy: CountingProxy, client: RawClient, server: Server
) -> None:
    """At the boundary, with the request run and the reply withheld; then all goes on."""
    seen: list[object] = []
    proxy.plan(
        Hook(exchange=1, when=When.BEFORE_REQUEST, run=lambda: seen.append(server.cli("GET", "n"))),
        Hook(exchange=1, when=When.BEFORE_REPLY, run=lambda: seen.append(server.cli("GET", "n"))),
        Hook(exchange=1, when=When.BEFORE_REPLY, run=lambda: seen.append(proxy.log[-1].stage)),
    )
    assert client.call("INCR", "n") == 1
    assert seen == [None, b"1", Stage.REPLIED]
    assert len(proxy.fired) == 3


@pytest.mark.parametrize("when", [When.BEFORE_REPLY, When.AFTER_REPLY])
def test_what_a_killed_client_had_sent_goes_nowhere(
    proxy: CountingProxy, client: RawClient, server: Server, when: When
) -> None:
    """It dies at the boundary, although its next request had left it."""
    seen: list[object] = []

    def die() -> None:
        client.close()
        seen.append(server.cli("GET", "n"))

    proxy.plan(Cut(exchange=1, when=when, run=die))
    client.send_raw(encode("INCR", "n") * 3)
    proxy.wait_fired()
    wait_until(lambda: proxy.connections == 0, within=5, what="the connection is closed")
    assert seen == [b"1"]
    assert server.cli("GET", "n") == b"1"


def test_a_hook_may_plan_and_cut(proxy: CountingProxy, client: RawClient) -> None:
    """It runs where the proxy's state is at home."""
    proxy.plan(Hook(exchange=1, when=When.AFTER_REPLY, run=proxy.cut))
    assert client.call("PING") == b"PONG"
    assert is_closed(client)


def test_a_hook_that_fails_fails_the_run(server: Server) -> None:
    """Whatever was seen afterwards proves nothing."""

    def hook() -> None:
        raise RuntimeError("broken hook")

    proxy = CountingProxy(server.tcp).start()
    proxy.plan(Hook(exchange=1, when=When.BEFORE_REPLY, run=hook))
    with RawClient(proxy.address) as client:
        client.send("PING")
        assert is_closed(client)
    with pytest.raises(ProxyFailed, match="broken hook"):
        proxy.close()


def test_foreign_bytes_fail_the_run(server: Server) -> None:
    """A proxy that cannot follow cannot count."""
    proxy = CountingProxy(server.tcp).start()
    with RawClient(proxy.address) as client:
        client.send_raw(b"$no number\r\n")
        assert is_closed(client)
    with pytest.raises(ProxyFailed, match="no number"):
        proxy.close()


def test_a_half_open_connection_swallows_everything(proxy: CountingProxy, server: Server) -> None:
    """Nobody notices; the server goes on to serve a ghost."""
    with RawClient(proxy.address, timeout=0.3) as ghost, RawClient(proxy.address) as alive:
        ghost.call("CLIENT", "SETNAME", "ghost")
        alive.call("PING")
        proxy.plan(HalfOpen(exchange=1, when=When.BEFORE_REPLY))
        ghost.send("BLMOVE", "from", "to", "LEFT", "RIGHT", 0)
        wait_until(lambda: b"cmd=blmove" in clients(server), within=5, what="it blocks")
        server.cli("RPUSH", "from", "job")
        proxy.wait_fired()
        assert not is_closed(ghost)
        assert server.cli("LRANGE", "to", 0, -1) == [b"job"]
        assert alive.call("PING") == b"PONG"
    wait_until(lambda: proxy.connections == 1, within=5, what="only the ghost is left")
    assert b"name=ghost" in clients(server)


def clients(server: Server) -> bytes:
    """Who is connected to the server."""
    listing = server.cli("CLIENT", "LIST")
    assert isinstance(listing, bytes)
    return listing


def test_all_connections_of_now_may_become_half_open(
    proxy: CountingProxy, client: RawClient
) -> None:
    """New ones are not; a cut ends the ghosts."""
    client.call("PING")
    proxy.half_open()
    client.send("PING")
    with RawClient(proxy.address) as other:
        assert other.call("PING") == b"PONG"
        assert proxy.connections == 2
        proxy.cut()
        assert is_closed(other)
    assert is_closed(client)
    assert commands(proxy) == ["PING", "PING"]


def test_new_connections_may_be_refused(proxy: CountingProxy, client: RawClient) -> None:
    """Until the line is mended; those that are open go on."""
    client.call("PING")
    proxy.refuse()
    with RawClient(proxy.address) as other:
        assert is_closed(other)
    assert client.call("PING") == b"PONG"
    proxy.heal()
    with RawClient(proxy.address) as other:
        assert other.call("PING") == b"PONG"


def test_mending_drops_what_was_planned(proxy: CountingProxy, client: RawClient) -> None:
    """And nothing more breaks."""
    proxy.plan(Cut(exchange=1, when=When.BEFORE_REQUEST))
    proxy.heal()
    assert client.call("PING") == b"PONG"
    assert not proxy.fired


def test_a_server_that_is_not_there_closes_its_clients(socket_path: Path) -> None:
    """As it would without a proxy."""
    with CountingProxy(Unix(socket_path)) as proxy, RawClient(proxy.address) as client:
        assert is_closed(client)


def test_a_server_that_dies_closes_its_clients(socket_path: Path) -> None:
    """And one that comes back serves new ones."""
    with Server() as server, CountingProxy(server.unix, listen=Unix(socket_path)) as proxy:
        with RawClient(proxy.address) as client:
            client.call("PING")
            server.kill()
            assert is_closed(client)
        server.start()
        with RawClient(proxy.address) as client:
            assert client.call("PING") == b"PONG"


def test_a_client_that_leaves_is_forgotten(proxy: CountingProxy, server: Server) -> None:
    """On both sides."""
    with RawClient(proxy.address) as client:
        client.call("CLIENT", "SETNAME", "leaver")
    wait_until(lambda: proxy.connections == 0, within=5, what="nobody is connected")
    wait_until(lambda: b"name=leaver" not in clients(server), within=5, what="it is gone")


def test_a_slow_line_delays(proxy: CountingProxy, client: RawClient) -> None:
    """Each way."""
    proxy.shape(Link(delay=0.05))
    began = time.monotonic()
    client.call("PING")
    assert time.monotonic() - began >= 0.1


def test_a_narrow_line_takes_its_time(proxy: CountingProxy, client: RawClient) -> None:
    """A kilobyte and a half at ten kilobytes a second."""
    proxy.shape(Link(bandwidth=10_240))
    began = time.monotonic()
    assert client.call("ECHO", "x" * 700) == b"x" * 700
    assert time.monotonic() - began >= 0.12


def test_a_line_may_pass_single_bytes(proxy: CountingProxy) -> None:
    """Replies come in as many pieces as they have bytes."""
    with connect(proxy.address, timeout=5) as sock:
        proxy.shape(Link(split=True))
        sock.sendall(encode("ECHO", "hello"))
        received = b""
        while not received.endswith(b"hello\r\n"):
            received += sock.recv(1)
    assert received == b"$5\r\nhello\r\n"


def test_the_proxy_may_speak_tls(server: Server, certificates: TlsFiles) -> None:
    """Also before a server that cannot."""
    with CountingProxy(server.unix, tls=certificates.for_server()) as proxy:
        with RawClient(proxy.address, tls=certificates.for_client()) as client:
            assert client.call("SET", "k", "x" * 100_000) == b"OK"
        assert commands(proxy) == ["SET"]


def test_an_address_that_is_taken_is_an_error(server: Server) -> None:
    """At the start, not later."""
    with pytest.raises(OSError, match="in use"):
        CountingProxy(server.unix, listen=server.tcp).start()


def test_the_log_outlives_the_proxy(server: Server) -> None:
    """For whoever looks at it after the test."""
    with CountingProxy(server.tcp) as proxy:
        with RawClient(proxy.address) as client:
            client.call("PING")
        address = proxy.address
    proxy.close()
    assert commands(proxy) == ["PING"]
    with pytest.raises(ConnectionRefusedError):
        connect(address, timeout=1)


def test_a_point_that_never_comes_up_is_an_error(proxy: CountingProxy) -> None:
    """A fault that did not happen proves nothing."""
    proxy.plan(Cut(exchange=9, when=When.BEFORE_REPLY))
    with pytest.raises(TimeoutError, match="1 points fired"):
        proxy.wait_fired(within=0.05)
