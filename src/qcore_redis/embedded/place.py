"""A data directory, opened, and what its server looks like from outside."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from qcore.errors import Rejected, Unavailable
from qcore_redis.embedded.address import Address
from qcore_redis.embedded.locks import PAUSE, Lock

__all__ = ["Place", "reported"]

LOG = "server.log"
LOG_LIMIT = 1 << 20
"""Bytes of the log after which the next start begins a new one and keeps the old one beside it."""
TAIL = 15
"""Lines of the log that a message quotes."""
PING_TIMEOUT = 1.0
"""Seconds after which a server that accepted a connection counts as one that does not answer."""


class Place:
    """An open data directory; made when it is missing, then for its owner alone.

    Args:
        directory: The data directory, absolute.
        binary: The server to start in it.

    Raises:
        Rejected: It is no directory, or not for this user.
        Unavailable: It cannot be made or opened for another reason.
    """

    def __init__(self, directory: Path, binary: Path) -> None:
        self.directory = directory
        self.binary = binary
        with reported(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._address = Address(directory, self.descriptor)

    def socket_path(self) -> str:
        """Return what a client of this process connects to.

        Raises:
            Unavailable: No path that is short enough can be made.
            OSError: The same, for a reason of the operating system's.
        """
        return self._address.path()

    def lock(self, name: str) -> Lock:
        """Open one of the directory's lock files."""
        return Lock(self.descriptor, name)

    def watched(self) -> bool:
        """Return whether a watcher runs; only for the holder of ``start.lock``.

        Looking takes the lock for a moment, and would turn away a watcher that is about to start.
        """
        return self._is_held("watcher.lock")

    def served(self) -> bool:
        """Return whether a server runs, answering or not; only for the holder of ``start.lock``.

        Looking may turn away a watcher that is about to start a server.
        """
        return self._is_held("server.lock")

    def ping(self, seconds: float = PING_TIMEOUT) -> bytes:
        """Return what the server answers to PING, nothing when it does not within the seconds."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(min(PING_TIMEOUT, max(seconds, PAUSE)))
                client.connect(self.socket_path())
                client.sendall(b"PING\r\n")
                return client.recv(512)
        except OSError:
            return b""

    def open_log(self) -> int:
        """Return a descriptor that appends to the server's log; the caller closes it."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        log = os.open(LOG, flags, 0o600, dir_fd=self.descriptor)
        if os.fstat(log).st_size <= LOG_LIMIT:
            return log
        os.close(log)
        os.replace(LOG, f"{LOG}.1", src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        return os.open(LOG, flags, 0o600, dir_fd=self.descriptor)

    def log_tail(self, since: int = 0) -> str:
        """Return the last lines of the server's log, as far as there is one.

        Args:
            since: Where in the file that begins which counts: an earlier server wrote the rest.
        """
        try:
            with FileIO(os.open(LOG, os.O_RDONLY, dir_fd=self.descriptor)) as log:
                log.seek(max(since, log.seek(0, os.SEEK_END) - 4096))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(lines[-TAIL:]) or "(nothing was written)"

    def close(self) -> None:
        """Give the directory back; safe in a forked child."""
        self._address.close()
        os.close(self.descriptor)

    def _is_held(self, name: str) -> bool:
        lock = self.lock(name)
        try:
            return not lock.attempt(shared=True)
        finally:
            lock.release()


def answered(reply: bytes) -> bool:
    """Return whether a reply to PING comes from a server that takes commands.

    A refusal, by a script that runs for long or by a password, comes from one that does.
    """
    return bool(reply) and not reply.startswith(b"-LOADING")


@contextmanager
def reported(directory: Path) -> Generator[None]:
    """Turn errors of the operating system into those of qcore.

    Raises:
        Rejected: Trying again cannot help.
        Unavailable: Trying again may help.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise Rejected(
            f"the data directory {directory} cannot be used: {error.strerror}; "
            "name a directory that this user may write to, or one that can be made"
        ) from error
    except OSError as error:
        raise Unavailable(
            f"the data directory {directory} cannot be used: {error}; it was removed or moved "
            "while in use, the disk is full, or its file system knows no locks (flock)"
        ) from error
