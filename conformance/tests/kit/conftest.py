"""Servers and certificates that the tests of the kit share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from qcore_conformance.servers import Server, newest
from qcore_conformance.tls import TlsFiles


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    """A server with a unix socket and a port, for a whole module."""
    with Server(newest(), port=True) as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The module's server, emptied."""
    shared_server.cli("FLUSHALL")
    return shared_server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate for the loopback interface, by an authority that nobody else trusts."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    files = TlsFiles(
        certificate=folder / "cert.pem", key=folder / "key.pem", authority=folder / "ca.pem"
    )
    issued.cert_chain_pems[0].write_to_path(str(files.certificate))
    issued.private_key_pem.write_to_path(str(files.key))
    authority.cert_pem.write_to_path(str(files.authority))
    return files


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """A path for a unix socket, short enough for one."""
    path = tmp_path / "s"
    assert len(str(path)) < 100
    return path
