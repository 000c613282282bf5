"""Real Redis and Valkey servers, started by the tests and broken by them.

In go a binary and settings; a running server has a unix socket, and a port if asked for. It
dies with the process that started it. A server that does not come up raises ``ServerFailed``
with the end of its log; one that does not answer ``cli`` in time raises ``TimeoutError``.

    with Server(newest(), settings={"appendonly": "yes"}) as server:
        server.cli("CONFIG", "SET", "maxmemory", "8mb")
        server.kill()
        server.start()
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from . import children
from .addresses import Address, Tcp, Unix
from .binaries import Binary, available_servers, newest, oldest
from .client import RawClient, ServerError
from .resp import Value
from .tls import TlsFiles
from .waiting import scaled, wait_until

__all__ = ["Binary", "Server", "ServerFailed", "Setting", "available_servers", "newest", "oldest"]

Setting: TypeAlias = str | int | Sequence[str | int]
"""The value of a directive; a sequence for one of several words, such as ``("900", "1")``."""

_START = 30.0
_STOP = 20.0
_PORT_TRIES = 5


class ServerFailed(Exception):
    """A server did not start or stop; the message ends with what it logged last."""


class Server:
    """One server process, and the folder that keeps its data between starts.

    Args:
        binary: The program; the newest by default.
        settings: Directives of the configuration file. Persistence is off unless set.
        port: Whether to listen on a TCP port of the loopback interface, too.
        tls: Whether to listen with TLS on that port instead of plainly, and with which files.
        password: What clients have to present; ``cli`` does so by itself.
        sentinel: Whether it watches other servers instead of storing anything.

    Attributes:
        environment: What stands in its environment besides our own, from its next start on.
    """

    def __init__(
        self,
        binary: Binary | None = None,
        *,
        settings: Mapping[str, Setting] | None = None,
        port: bool = False,
        tls: TlsFiles | None = None,
        password: str | None = None,
        sentinel: bool = False,
    ) -> None:
        self.binary = newest() if binary is None else binary
        self.settings: dict[str, Setting] = dict(settings or {})
        self.environment: dict[str, str] = {}
        self.tls = tls
        self.folder = Path(tempfile.mkdtemp(prefix="qcore-"))
        self.data.mkdir()
        self.unix = Unix(self.folder / "s")
        self._password = password
        self._mode = ["--sentinel"] if sentinel else []
        self._wants_port = port or tls is not None
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def tcp(self) -> Tcp:
        """Where it listens on TCP.

        Raises:
            LookupError: It was not asked to.
        """
        if not self._wants_port:
            raise LookupError("this server has no port: build it with port=True")
        return Tcp(port=self._port)

    @property
    def address(self) -> Address:
        """The port if it has one, else the unix socket."""
        return self.tcp if self._wants_port else self.unix

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    @property
    def log(self) -> str:
        """All that it logged since it was first started."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start it with the data of last time and wait until it has loaded them.

        Raises:
            ServerFailed: It did not come up.
        """
        if self._process is not None and self._process.poll() is None:
            raise ServerFailed(f"{self.binary.name} is already running")
        for _ in range(_PORT_TRIES):
            if self._launch():
                return self
            self._port = 0
        raise ServerFailed(f"{self.binary.name} found no free port\n{self._tail()}")

    def stop(self) -> None:
        """End it with SIGTERM, so that it saves what it is set to save.

        Raises:
            ServerFailed: It did not end in time.
        """
        process = self._running()
        process.terminate()
        children.resume(process)
        try:
            process.wait(scaled(_STOP))
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"{self.binary.name} ignores SIGTERM\n{self._tail()}") from None

    @property
    def data(self) -> Path:
        """The folder where it keeps what it stores."""
        return self.folder / "data"

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        process = self._running()
        process.kill()
        process.wait()

    def pause(self) -> None:
        """Freeze it with SIGSTOP; connections stay open and nobody answers."""
        children.pause(self._running())

    def resume(self) -> None:
        """Let it go on after a pause."""
        children.resume(self._running())

    def restart(self, settings: Mapping[str, Setting] | None = None) -> None:
        """Stop it, and start it again with some settings changed for good."""
        self.stop()
        self.settings.update(settings or {})
        self.start()

    def connect(self, *, timeout: float = 5.0) -> RawClient:
        """Open a raw connection through the unix socket, logged in if there is a password."""
        client = RawClient(self.unix, timeout=scaled(timeout))
        if self._password is not None:
            client.call("AUTH", self._password)
        return client

    def cli(self, *words: str | bytes | float, timeout: float = 5.0) -> Value:
        """Run one command on a connection of its own.

        Raises:
            ServerError: The server replied with an error.
            TimeoutError: It did not reply within so many seconds.
            OSError: It is not there.
        """
        with self.connect(timeout=timeout) as client:
            return client.call(*words)

    def close(self) -> None:
        """Kill it if it runs, and remove its folder; closing twice is harmless."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed(f"{self.binary.name} is not running\n{self._tail()}")
        return self._process

    def _launch(self) -> bool:
        """Start it and wait until it answers; False if its port was taken meanwhile."""
        before = len(self.log)
        self.unix.path.unlink(missing_ok=True)
        words: list[str | Path] = [self.binary.path, self._configure(), *self._mode]
        self._process = children.spawn(words, env={**os.environ, **self.environment})
        wait_until(self._up_or_gone, within=_START, what=f"{self.binary.name} answers")
        if self._process.poll() is None:
            return True
        if "Address already in use" in self.log[before:]:
            return False
        raise ServerFailed(f"{self.binary.name} does not start\n{self._tail()}")

    def _up_or_gone(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return True
        try:
            self.cli("PING", timeout=1.0)
        except OSError:
            return False
        except ServerError as error:
            return not str(error).startswith("LOADING")
        return True

    def _configure(self) -> Path:
        """Write the configuration file, which may hold passwords, for our eyes only."""
        if self._wants_port and not self._port:
            self._port = _free_port(has_bus="cluster-enabled" in self.settings)
        lines = [_directive(name, value) for name, value in self._directives().items()]
        path = self.folder / "conf"
        path.touch(mode=0o600)
        path.write_text("".join(lines))
        return path

    def _directives(self) -> dict[str, Setting]:
        directives: dict[str, Setting] = {
            "bind": "127.0.0.1",
            "port": 0 if self.tls else self._port,
            "unixsocket": str(self.unix.path),
            "unixsocketperm": 700,
            "dir": str(self.data),
            "logfile": str(self.folder / "log"),
            "daemonize": "no",
            "save": "",
            "appendonly": "no",
        }
        if self.tls:
            directives |= {
                "tls-port": self._port,
                "tls-cert-file": str(self.tls.certificate),
                "tls-key-file": str(self.tls.key),
                "tls-ca-cert-file": str(self.tls.authority),
                "tls-auth-clients": "no",
            }
        if self._password is not None:
            directives["requirepass"] = self._password
        return directives | self.settings

    def _tail(self) -> str:
        return "\n".join(self.log.splitlines()[-20:])


def _directive(name: str, value: Setting) -> str:
    words = [value] if isinstance(value, str | int) else value
    quoted = ('"' + str(word).replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)
    return " ".join([name, *quoted]) + "\n"


def _free_port(*, has_bus: bool) -> int:
    """A port that nobody uses; with a bus, one whose port for it is in range and free as well."""
    while True:
        with socket.socket() as sock, socket.socket() as bus:
            sock.bind(("127.0.0.1", 0))
            port: int = sock.getsockname()[1]
            if not has_bus:
                return port
            # Too high a number, or a port that is taken: the next one will do.
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + _BUS))
                return port


_BUS = 10_000
"""How far from its port a node of a cluster speaks with the others."""
