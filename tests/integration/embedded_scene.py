"""Real users, watchers and servers of one data directory, none of which outlives the test."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import psutil

from qcore_redis.embedded import EmbeddedServer

PROGRAM = Path(__file__).with_name("embedded_user.py")


def eventually(condition: Callable[[], bool], promise: str, seconds: float = 10.0) -> None:
    """Return as soon as the condition holds; fail, naming the promise, when it never does."""
    end = time.monotonic() + seconds
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {promise}"
        tick.wait(0.01)


def ask(path: str, *words: str) -> str:
    """Send one command and return the answer as it came, without its last line end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        sized = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        client.sendall(f"*{len(words)}\r\n{sized}".encode())
        return client.recv(4096).decode().removesuffix("\r\n")


class User:
    """Another process that uses the server."""

    def __init__(self, scene: Scene) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - no shell reads these words
            [sys.executable, str(PROGRAM), str(scene.directory)],
            cwd=scene.root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def order(self, word: str) -> None:
        """Say what to do without waiting for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """Wait for what came of the oldest order that is not answered yet."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def do(self, word: str) -> str:
        """Say what to do and wait for what came of it."""
        self.order(word)
        return self.answer()

    def kill(self) -> None:
        """End it as a crash would: it can clean up nothing."""
        self._process.kill()
        with self._process:
            pass


class Scene:
    """A data directory and everybody who has to do with it.

    Args:
        root: A directory of this test alone; the data directory is made in it by the first user.
        name: The name of the data directory.
    """

    def __init__(self, root: Path, name: str = "data") -> None:
        self.root = root
        self.directory = root / name
        self._users: list[User] = []
        self._servers: list[EmbeddedServer] = []

    def user(self) -> User:
        """Start another process that will use the server."""
        self._users.append(User(self))
        return self._users[-1]

    def open(self, timeout: float = 10.0) -> EmbeddedServer:
        """Use the server from this process."""
        self._servers.append(EmbeddedServer.open(self.directory, timeout=timeout))
        return self._servers[-1]

    def watchers(self) -> list[int]:
        """Return the process ids of the watchers."""
        return [process.pid for process in self._processes("watcher.py")]

    def looks_of_the_watcher(self) -> int:
        """Return how often the watcher woke up: not at all while the server has a user."""
        (watcher,) = self._processes("watcher.py")
        return watcher.num_ctx_switches().voluntary

    def awaits_an_end(self) -> bool:
        """Return whether a watcher waits for the end of a server: it has a thread that does."""
        for process in self._processes("watcher.py"):
            # The one that forks the watcher ends at any time.
            with contextlib.suppress(psutil.Error):
                if process.num_threads() > 1:
                    return True
        return False

    def servers(self) -> list[int]:
        """Return the process ids of the servers."""
        return [process.pid for process in self._processes("unixsocket:")]

    def users(self) -> int:
        """Return how many other processes use the server, or did."""
        return sum(1 for _ in self._processes(PROGRAM.name))

    def lock(self, name: str) -> FileIO:
        """Hold a lock as somebody else would, until the file is closed."""
        file = FileIO(self.directory / name, "a+")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def is_held(self, name: str) -> bool:
        """Return whether anybody holds a lock; a dying process may be unseen and still hold it."""
        return not self._can_lock(name, fcntl.LOCK_EX)

    def is_used(self) -> bool:
        """Return whether the server has a user: those share their lock, a watcher would not."""
        return self.is_held("users.lock") and self._can_lock("users.lock", fcntl.LOCK_SH)

    def kill_watcher(self) -> int:
        """Kill the one watcher, wait until the kernel took its locks, and return its process id."""
        (watcher,) = self.watchers()
        os.kill(watcher, signal.SIGKILL)
        eventually(lambda: not self.is_held("watcher.lock"), "the watcher is gone")
        return watcher

    def has_ended(self) -> bool:
        """Return whether neither a server nor a watcher is left."""
        return not self.watchers() and not self.servers()

    def end(self) -> None:
        """End everybody, as often as it takes: a watcher may be about to start a server."""
        with contextlib.ExitStack() as whatever_fails:
            whatever_fails.callback(
                eventually, self._is_empty_after_killing, "the test leaves no process behind"
            )
            for user in self._users:
                whatever_fails.callback(user.kill)
            for server in self._servers:
                whatever_fails.callback(server.close)

    def _can_lock(self, name: str, how: int) -> bool:
        with (self.directory / name).open("r+") as lock:
            try:
                fcntl.flock(lock, how | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def _is_empty_after_killing(self) -> bool:
        left = [process.pid for process in self._processes("")]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    def _processes(self, word: str) -> Iterator[psutil.Process]:
        """Yield the live processes that work in the scene and have the word in their command."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                inside = Path(process.cwd()).is_relative_to(self.root)
                if inside and word in " ".join(process.cmdline()):
                    yield process
