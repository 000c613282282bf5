"""One user of the private server of a data directory.

Goes in: a directory. Comes out: the path of a socket on which a server answers that keeps its data
in that directory and is shared with every other user of it. A timeout is ``Unavailable``: nothing
was lost, and the same call may succeed later.

A user holds ``users.lock``, shared, until it closes or its process ends, however that ends; the
first one starts a watcher, which ends the server after the last. ``watcher.py`` tells the rest.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from qcore.clock import Clock, SystemClock
from qcore.errors import Closed, InvalidInput, QcoreError
from qcore_redis.embedded.binary import find_binary
from qcore_redis.embedded.locks import Deadline, Lock
from qcore_redis.embedded.place import Place, answered, reported
from qcore_redis.embedded.startup import Launch, bring_up

__all__ = ["EmbeddedServer"]


class EmbeddedServer:
    """A user of the server of one data directory; made by ``open``. Safe to use from any thread.

    After a fork the child becomes a user of its own when it first asks for the socket's path.
    Until then it shares its parent's place: the parent's ``close`` ends it, but when the parent is
    killed the server stays until the child ends, closes or becomes a user. A parent that is killed
    in the moments in which another of its threads opens or ensures leaves the child the start lock
    as well: nobody else can open until the child ends or starts another program.
    """

    def __init__(self, place: Place, timeout: float, clock: Clock) -> None:
        self._place = place
        self._timeout = timeout
        self._clock = clock
        self._users: Lock | None = None
        self._user_pid = 0
        self._closed = False
        # One for each process: a forked child may inherit one that is locked for ever.
        self._mutexes: dict[int, threading.Lock] = {}

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        timeout: float = 10.0,
        find: Callable[[], Path] = find_binary,
        clock: Clock | None = None,
    ) -> EmbeddedServer:
        """Join the server of a directory, starting it when it does not run.

        The directory is made when it is missing, for its owner alone. It must be on a local file
        system, and belongs to the server: nothing else may be kept in it.

        Args:
            directory: Where the server keeps its data.
            timeout: Seconds that the server may take to answer, here and in ``ensure``.
            find: What finds the server's binary.
            clock: What tells the time; the machine's clock when left out.

        Raises:
            InvalidInput: The timeout is not a positive number, or the directory no possible name.
            AdapterNotFound: No server is installed for this platform.
            Rejected: The directory cannot be used by this user.
            Unavailable: The server could not start, or did not answer in time.
        """
        if not 0 < timeout < threading.TIMEOUT_MAX:
            raise InvalidInput(f"timeout={timeout!r}: pass a positive number of seconds")
        if "\0" in str(directory):
            raise InvalidInput(f"{str(directory)!r} names no directory: it holds a NUL character")
        place = Place(directory.absolute(), find())
        server = cls(place, timeout, clock or SystemClock())
        try:
            server.ensure()
        except BaseException:
            server.close()
            raise
        return server

    @property
    def socket_path(self) -> str:
        """What a client in this process connects to, valid until ``close``.

        Raises:
            Closed: This user was closed.
            Unavailable: This is a forked child, and could not become a user of its own.
        """
        if self._closed:
            raise self._refusal()
        return self._place.socket_path() if self._is_user() else self.ensure()

    def ensure(self) -> str:
        """Return ``socket_path`` once the server answers there, starting it again if it is gone.

        Raises:
            Closed: This user was closed.
            Unavailable: The server could not start, or did not answer in time.
        """
        with self._mutex():
            if self._closed:
                raise self._refusal()
            if not self._is_user() or not answered(self._place.ping(self._timeout)):
                with reported(self._place.directory):
                    self._join(Deadline(self._timeout, self._clock))
            return self._place.socket_path()

    def close(self) -> None:
        """Stop using the server; once more does nothing.

        Returns at once. When this was the last user, the server writes its data out and ends some
        milliseconds later.
        """
        with self._mutex():
            if self._closed:
                return
            self._closed = True
            try:
                if self._is_user():
                    with contextlib.suppress(OSError, QcoreError):
                        self._leave_watched()
            finally:
                self._give_up_lock()
                self._place.close()

    def _join(self, deadline: Deadline) -> None:
        start = self._place.lock("start.lock")
        try:
            start.acquire(deadline)
            if not self._is_user():
                self._become_user(deadline)
            bring_up(self._place, deadline)
        finally:
            start.release()

    def _become_user(self, deadline: Deadline) -> None:
        users = self._place.lock("users.lock")
        users.acquire(deadline, shared=True)
        if self._users is not None:
            # Inherited by a fork: the parent keeps it.
            self._users.forget()
        self._users = users
        self._user_pid = os.getpid()

    def _leave_watched(self) -> None:
        """See that the server has a watcher to end it, in case its own was killed."""
        start = self._place.lock("start.lock")
        try:
            # Whoever else holds it starts or ends the server, and looks after the watcher too.
            if start.attempt() and not self._place.watched() and self._place.ping():
                with Launch(self._place) as watcher:
                    watcher.listen(self._timeout)
        finally:
            start.release()

    def _give_up_lock(self) -> None:
        if self._users is None:
            return
        if self._is_user():
            self._users.release()
        else:
            self._users.forget()

    def _is_user(self) -> bool:
        return self._user_pid == os.getpid()

    def _mutex(self) -> threading.Lock:
        return self._mutexes.setdefault(os.getpid(), threading.Lock())

    def _refusal(self) -> Closed:
        return Closed(f"this user of {self._place.directory} was closed; open a new one")
