"""TLS is checked by default, against whom the URL names, for the name that the URL names."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from qcore import QcoreError
from qcore_conformance.servers import Server, available_servers
from qcore_conformance.tls import TlsFiles
from tests.integration.conftest import open_stage
from tests.integration.stage import Place, Stage, places, round_trip

WITH_TLS = [one for one in available_servers() if one.has_tls][-1:]
pytestmark = pytest.mark.skipif(not WITH_TLS, reason="no server here was built with TLS")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Somebody who signs certificates."""
    return trustme.CA()


def written(authority: trustme.CA, folder: Path, *names: str) -> TlsFiles:
    """A certificate for these names, and the authority that stands behind it."""
    files = TlsFiles(
        certificate=folder / "cert.pem", key=folder / "key.pem", authority=folder / "ca.pem"
    )
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(files.key)
    certificate.cert_chain_pems[0].write_to_path(files.certificate)
    authority.cert_pem.write_to_path(files.authority)
    return files


@pytest.fixture(scope="session")
def tls_server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a certificate for this machine."""
    files = written(authority, tmp_path_factory.mktemp("tls"), "localhost", "127.0.0.1")
    with Server(WITH_TLS[0], tls=files) as server:
        yield server


@pytest.fixture(params=places(WITH_TLS), ids=str)
def tls_stage(request: pytest.FixtureRequest, tls_server: Server) -> Iterator[Stage]:
    """Both adapters in both colours on that server."""
    place: Place = request.param
    yield from open_stage(place, tls_server)


def tls_url(stage: Stage, server: Server, *, host: str = "127.0.0.1") -> str:
    """The server behind TLS, with nothing said about trust."""
    scheme = stage.place.adapter.replace("redis+", "rediss+")
    port = server.tcp.port
    return f"{scheme}://{host}:{port}?namespace={stage.namespace}&patience=50ms"


def ca(server: Server) -> str:
    """The parameter that names the authority."""
    assert server.tls is not None
    return f"&tls_ca={server.tls.authority}"


def test_a_known_authority_is_trusted(tls_stage: Stage) -> None:
    """Q-CORE-09: the certificate is checked for the name or the address in the URL."""
    server = tls_stage.server
    for host in ("127.0.0.1", "localhost"):
        round_trip(tls_stage, tls_url(tls_stage, server, host=host) + ca(server))


def test_an_unknown_authority_is_refused(tls_stage: Stage, tmp_path: Path) -> None:
    """Q-CORE-09: by default only those whom the system trusts, else only the one that is named."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    url = tls_url(tls_stage, tls_stage.server)
    for trusted in ("", f"&tls_ca={tmp_path}/other.pem"):
        with pytest.raises(QcoreError, match=r"(?i)certificate"):
            tls_stage.connect(url + trusted)


def test_checking_can_be_switched_off(tls_stage: Stage) -> None:
    """Q-CORE-09: only by saying so."""
    round_trip(tls_stage, tls_url(tls_stage, tls_stage.server) + "&tls_verify=false")


def test_speaking_plainly_to_tls_does_not_hang(tls_stage: Stage) -> None:
    """Q-ERR-01: a scheme without the s ends with an error, and soon."""
    url = tls_url(tls_stage, tls_stage.server).replace("rediss+", "redis+")
    with pytest.raises(QcoreError):
        tls_stage.connect(url)


@contextmanager
def other_server(files: TlsFiles, **settings: str) -> Generator[Server]:
    """A server with other certificates or settings."""
    renamed = {name.replace("_", "-"): value for name, value in settings.items()}
    with Server(WITH_TLS[0], tls=files, settings=renamed) as server:
        yield server


def test_a_certificate_for_another_name_is_refused(
    tls_stage: Stage, authority: trustme.CA, tmp_path: Path
) -> None:
    """Q-CORE-09: whoever holds a valid certificate of somebody else is not whom we meant."""
    with other_server(written(authority, tmp_path, "elsewhere.example")) as server:
        url = tls_url(tls_stage, server) + ca(server)
        with pytest.raises(QcoreError, match=r"(?i)certificate|hostname"):
            tls_stage.connect(url)


def test_a_client_may_have_a_certificate_too(
    tls_stage: Stage, authority: trustme.CA, tmp_path: Path
) -> None:
    """Q-CORE-09: for servers that ask for one, waiting and all."""
    (tmp_path / "client").mkdir()
    mine = written(authority, tmp_path / "client", "client.example")
    files = written(authority, tmp_path, "127.0.0.1")
    with other_server(files, tls_auth_clients="yes") as server:
        url = tls_url(tls_stage, server) + ca(server)
        round_trip(tls_stage, f"{url}&tls_cert={mine.certificate}&tls_key={mine.key}")
        with pytest.raises(QcoreError):
            tls_stage.connect(url)
