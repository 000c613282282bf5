"""Every way to reach a server, and what is left of a connection afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore import InvalidUrl, Unavailable
from qcore_conformance.processes import ScriptProcess
from qcore_conformance.servers import Server
from qcore_conformance.waiting import wait_until
from tests.integration.conftest import open_stage
from tests.integration.stage import EDGES, Place, Stage, held, places, round_trip

USER = Path(__file__).with_name("embedded_pair.py")


def connected(stage: Stage) -> int:
    """How many connections the server has."""
    return int(stage.info("clients")["connected_clients"])


@pytest.fixture(params=places(EDGES), ids=str)
def port_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A server that listens on a port, too."""
    place: Place = request.param
    with Server(place.binary, port=True) as server:
        yield from open_stage(place, server)


def test_connections_come_and_go(own_stage: Stage) -> None:
    """Q-RES-02: after two hundred of them the server has as many as before."""
    own_stage.line().enqueue_many([b"job"] * 200)
    before = connected(own_stage)
    for number in range(200):
        client = own_stage.connect()
        held(client.queue().reserve(timeout=0)).ack()
        if number % 20 == 0:
            assert client.queue("empty").reserve(timeout=0.01) is None
        client.close()
    wait_until(lambda: connected(own_stage) <= before, within=5, what="all are gone")


def test_a_port_is_named_by_host_and_number(port_stage: Stage) -> None:
    """Q-CORE-09: by address or name, with a database number or without."""
    port = port_stage.server.tcp.port
    scheme, ns = port_stage.place.adapter, f"namespace={port_stage.namespace}"
    for form in (f"127.0.0.1:{port}", f"localhost:{port}/0", f"127.0.0.1:{port}/3"):
        round_trip(port_stage, f"{scheme}://{form}?{ns}")
    round_trip(port_stage, f"{scheme}://127.0.0.1:{port}?{ns}&db=2")


def test_databases_do_not_mix(port_stage: Stage) -> None:
    """Q-NS-01: equal names in two databases are two queues, over either way in."""
    tcp = port_stage.server.tcp.url(port_stage.place.adapter)
    ns = f"namespace={port_stage.namespace}"
    first = port_stage.connect(f"{tcp}/1?{ns}").queue()
    first.enqueue(b"first")
    second = port_stage.connect(port_stage.url(db=2)).queue()
    assert second.reserve(timeout=0) is None
    again = port_stage.connect(port_stage.url(db=1)).queue()
    assert held(again.reserve(timeout=0)).job.body == b"first"
    port_stage.server.cli("FLUSHALL")


def test_nobody_there_is_unavailable(port_stage: Stage, tmp_path: Path) -> None:
    """Q-ERR-01: nothing was done, and it may work later."""
    adapter = port_stage.place.adapter
    for url in (f"{adapter}://127.0.0.1:1", f"{adapter}+unix://{tmp_path}/nobody"):
        with pytest.raises(Unavailable):
            port_stage.connect(f"{url}?patience=50ms")


@pytest.mark.parametrize(
    "url",
    [
        "://h/x",
        "://h1,h2",
        "://h:0",
        "+unix://",
        "+unix://host/path",
        "://h?lease=soon",
        "://h?a=b",
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(redis_stage: Stage, url: str) -> None:
    """Q-CORE-09: before anything is sent, with what is known instead."""
    with pytest.raises(InvalidUrl):
        redis_stage.connect(redis_stage.place.adapter + url)


@pytest.mark.parametrize("adapter", ["redis+list", "redis+streams"])
def test_two_processes_share_an_embedded_server(adapter: str, tmp_path: Path) -> None:
    """One enqueues, the other works; nothing is installed, started or stopped by hand."""
    url = f"{adapter}+embedded://{tmp_path}/data"
    with ScriptProcess(USER, url, name="worker", arguments=["work"]) as worker:
        worker.wait_for("ready")
        with ScriptProcess(USER, url, name="producer", arguments=["produce"]) as producer:
            producer.expect()
        worker.expect()
    assert [line for line in worker.lines if line.startswith("did ")] == [
        f"did {number}" for number in range(20)
    ]
    with ScriptProcess(USER, url, name="late", arguments=["look"]) as late:
        late.expect()
    assert "acked 21" in late.lines
