from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore.errors import Rejected, Unavailable
from qcore_redis.embedded.place import LOG_LIMIT, TAIL, Place, answered, reported


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An open data directory in which nothing runs."""
    place = Place(tmp_path / "data", tmp_path / "binary")
    yield place
    place.close()


@pytest.mark.parametrize(
    ("reply", "ready"),
    [
        (b"+PONG\r\n", True),
        (b"-BUSY a script runs\r\n", True),
        (b"-NOAUTH Authentication required.\r\n", True),
        (b"-LOADING the dataset in memory\r\n", False),
        (b"", False),
    ],
)
def test_only_a_server_that_takes_commands_is_ready(reply: bytes, *, ready: bool) -> None:
    """A refusal shows a server at work; loading and silence do not."""
    assert answered(reply) is ready


def test_nobody_answers_where_nothing_runs(place: Place) -> None:
    """No server is no answer, and not an error."""
    assert place.ping() == b""
    assert not place.watched()
    assert not place.served()


def test_a_server_is_seen_by_its_lock_even_if_it_does_not_answer(place: Place) -> None:
    """The holder of the lock serves; looking does not take it away."""
    server = place.lock("server.lock")
    assert server.attempt()
    assert place.served()
    assert not place.watched()
    server.release()
    assert not place.served()


def test_a_watcher_is_seen_by_its_lock(place: Place) -> None:
    """The holder of the lock watches; looking does not take it away."""
    watcher = place.lock("watcher.lock")
    assert watcher.attempt()
    assert place.watched()
    watcher.release()
    assert not place.watched()


def test_a_long_log_is_put_aside_once(place: Place) -> None:
    """The log of many starts stays bounded: the old one is kept beside the new one."""
    log = place.directory / "server.log"
    log.write_bytes(b"old\n" * LOG_LIMIT)
    new = place.open_log()
    os.write(new, b"new\n")
    os.close(new)
    assert log.read_text() == "new\n"
    assert (place.directory / "server.log.1").stat().st_size == 4 * LOG_LIMIT
    again = place.open_log()
    os.write(again, b"newer\n")
    os.close(again)
    assert log.read_text() == "new\nnewer\n"


def test_the_tail_of_the_log_is_short(place: Place) -> None:
    """A message quotes the last lines alone, and says when there are none."""
    assert "no log" in place.log_tail()
    (place.directory / "server.log").write_text("".join(f"line {n}\n" for n in range(2000)))
    assert place.log_tail().splitlines() == [f"line {n}" for n in range(2000 - TAIL, 2000)]


def test_the_tail_of_the_log_can_begin_with_one_server(place: Place) -> None:
    """What earlier servers wrote is left out on demand, also when nothing is left then."""
    earlier = "earlier\n" * 3
    log = place.directory / "server.log"
    log.write_text(f"{earlier}mine\n")
    assert place.log_tail(len(earlier)) == "mine"
    log.write_text(earlier)
    assert place.log_tail(len(earlier)) == "(nothing was written)"


def test_a_permission_that_is_missing_is_refused_for_good() -> None:
    """Trying again cannot help against permissions, but it can against a full disk."""
    with pytest.raises(Rejected, match="/data"), reported(Path("/data")):
        raise PermissionError(13, "Permission denied")
    with pytest.raises(Unavailable, match="disk is full"), reported(Path("/data")):
        raise OSError(28, "No space left on device")
