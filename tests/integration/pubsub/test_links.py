from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from qcore_conformance.plans import Link
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.servers import Server, available_servers
from qcore_conformance.tls import TlsFiles
from qcore_redis.embedded.binary import find_binary
from tests.integration.pubsub.audience import Audience, collect, play
from tests.integration.stage import COLOURS, Place, Stage, held

KIB = 1 << 10


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """An authority that only these tests trust, and a server that it knows."""
    folder = tmp_path_factory.mktemp("tls")
    files = TlsFiles(
        certificate=folder / "server.pem", key=folder / "server.key", authority=folder / "ca.pem"
    )
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(str(files.certificate))
    server.private_key_pem.write_to_path(str(files.key))
    authority.cert_pem.write_to_path(str(files.authority))
    return files


@pytest.fixture(params=COLOURS)
def tls_stage(request: pytest.FixtureRequest, tls: TlsFiles) -> Iterator[Stage]:
    """A server that speaks TLS on its port."""
    binary = next((one for one in available_servers() if one.has_tls), None)
    if binary is None:
        pytest.skip("no server here was built with TLS")
    with Server(binary, tls=tls) as server:
        yield from play(Place("redis+pubsub", request.param, binary), server)


def test_encrypted_messages_are_found_wherever_they_wait(tls_stage: Stage, tls: TlsFiles) -> None:
    """Decrypted bytes that no socket shows are as good as others, taken one by one or not."""
    sent = [b"%d:" % number + bytes(number * KIB) for number in range(40)]
    query = tls_stage.url(tls_ca=tls.authority).partition("?")[2]
    url = f"{tls_stage.server.tcp.url('rediss+pubsub')}?{query}"
    audience = Audience.of(tls_stage, url)

    audience.mouth.enqueue_many(sent)

    assert [held(audience.ear.reserve(5.0)).job.body for _ in sent[:20]] == sent[:20]
    assert collect(audience.ear, 20) == sent[20:]
    assert audience.ear.reserve(0.05) is None
    assert audience.gaps == 0


def test_messages_that_come_in_crumbs_are_put_together(stage: Stage) -> None:
    """A look at half a message neither waits for the rest nor loses it."""
    with CountingProxy(stage.server.unix) as proxy:
        query = stage.url().partition("?")[2]
        audience = Audience.of(stage, f"{proxy.address.url('redis+pubsub')}?{query}")
        proxy.shape(Link(split=True))

        sent = [b"%d:" % number + bytes(200) for number in range(5)]
        audience.mouth.enqueue_many(sent)
        found: list[bytes] = []
        while len(found) < 5:
            hand = audience.ear.reserve(0)
            found += [] if hand is None else [hand.job.body]

        assert found == sent
        assert audience.gaps == 0


@pytest.mark.parametrize("colour", COLOURS)
def test_a_private_server_carries_messages_between_its_users(colour: str, tmp_path: Path) -> None:
    """Nothing has to be installed or started to try it out."""
    find_binary()
    stage = Stage(Place("redis+pubsub", colour))
    url = f"redis+pubsub+embedded://{tmp_path}/data"
    try:
        ear, mouth = stage.connect(url).queue("work"), stage.connect(url).queue("work")
        audience = Audience(stage, ear, mouth, "work")
        audience.subscribe()

        assert mouth.enqueue(b"x").receivers == 1

        assert collect(ear, 1) == [b"x"]
    finally:
        stage.close()
