"""A password gets its user in, and is seen nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from qcore import QcoreError, Rejected
from qcore_conformance.servers import Server
from tests.integration.conftest import open_stage
from tests.integration.stage import EDGES, Place, Stage, held, places

PASSWORD = "c@n:a/r#y ?&%\u00e9"
QUOTED = quote(PASSWORD, safe="")


@pytest.fixture(params=places(EDGES), ids=str)
def locked_stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A server that asks for a password."""
    place: Place = request.param
    with Server(place.binary, password=PASSWORD, port=True) as server:
        yield from open_stage(place, server)


def urls(stage: Stage, userinfo: str) -> list[str]:
    """The server over its unix socket and over TCP."""
    at = f"://{userinfo}@" if userinfo else "://"
    unix = stage.url(patience="100ms")
    tcp = f"{stage.server.tcp.url(stage.place.adapter)}/0?{unix.partition('?')[2]}"
    return [url.replace("://", at) for url in (unix, tcp)]


def test_every_character_may_be_in_a_password(locked_stage: Stage) -> None:
    """Q-CORE-09: percent-encoded, for the default user and for one with a name."""
    locked_stage.server.cli("ACL", "SETUSER", "w@:", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    for userinfo in (f":{QUOTED}", f"default:{QUOTED}", f"w%40%3A:{QUOTED}"):
        for url in urls(locked_stage, userinfo):
            line = locked_stage.connect(url).queue()
            line.enqueue(b"job")
            held(line.reserve(timeout=0.1)).ack()


@pytest.mark.parametrize("userinfo", ["", ":wrong", "nobody:wrong"])
def test_a_wrong_password_is_refused_for_good(locked_stage: Stage, userinfo: str) -> None:
    """Q-ERR-01: trying again does not help, and the error says that it is about access."""
    for url in urls(locked_stage, userinfo):
        with pytest.raises(Rejected) as caught:
            locked_stage.connect(url)
        assert not caught.value.retryable


def test_a_password_is_shown_nowhere(
    locked_stage: Stage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Q-CORE-09: in no text, repr, log, error or traceback of whatever went right or wrong."""
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    for url in urls(locked_stage, f":{QUOTED}"):
        client = locked_stage.connect(url)
        connection = getattr(client, "connection", client)
        line = client.queue()
        seen += [repr(connection), str(connection), f"{client.capabilities}", repr(vars(client))]
        line.enqueue(b"job")
    locked_stage.server.stop()
    for url in urls(locked_stage, f":{QUOTED}"):
        seen.append(failing(locked_stage, url))
        seen.append(failing(locked_stage, f"{url}&unknown=1"))
        seen.append(failing(locked_stage, url.replace("redis+", "redix+")))
        seen.append(
            failing(locked_stage, url.replace("/0?", "/x?").replace("+unix://", "+unix:x//"))
        )
    locked_stage.server.start()
    seen.append(failing(locked_stage, urls(locked_stage, f"nobody:{QUOTED}")[1]))
    captured = capfd.readouterr()
    seen += [caplog.text, captured.out, captured.err]
    secrets = (PASSWORD, QUOTED, "c@n:a", "c%40n")
    assert not [text for text in seen for secret in secrets if secret in text]


def failing(stage: Stage, url: str) -> str:
    """All that is said about a connection that cannot be opened."""
    with pytest.raises(QcoreError) as caught:
        stage.connect(url)
    error = caught.value
    told = "".join(traceback.format_exception(error))
    return f"{error}\n{error!r}\n{told}"
