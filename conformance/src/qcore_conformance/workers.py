"""Workers in processes of their own, which tests kill, freeze and talk to.

In go a URL, a colour and an act: a function of a module that plays its part in the worker. Out
come the words that the act says. Workers are forked from a server that has imported everything,
so that hundreds of them can die in a test run. A worker that fails says so, and ``heard`` raises
``WorkerFailed`` with its traceback; one that stays silent raises ``TimeoutError``.

    with Worker(acts.hold, url, Colour.SYNC, 3) as worker:
        worker.ready().go()
        worker.kill()
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import unittest.mock
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self

import attrs

import qcore

from .colours import Colour, LoopThread, connected
from .waiting import scaled, wait_until

__all__ = ["Part", "Worker", "WorkerFailed"]

P = ParamSpec("P")

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        "qcore.async_connection",
        "qcore.registry",
        "stevedore.driver",
        "structlog",
        "qcore_conformance.acts",
        "qcore_conformance.workers",
        *sorted({point.module for point in entry_points(group="qcore.backends")}),
    ]
)
_ONE_AT_A_TIME = threading.Lock()
_FAILED = "failed"


class WorkerFailed(Exception):
    """A worker ended with an error, or ended when it should not have."""


class Part:
    """What an act plays with: its connection, and the test that it talks to."""

    def __init__(self, url: str, colour: Colour, talk: Connection[Any, Any]) -> None:
        self.url = url
        self.colour = colour
        self._talk = talk
        self._loop: LoopThread | None = None

    def connect(self) -> qcore.Connection:
        """Open a connection in the worker's colour."""
        loop = self._loop = self._loop or LoopThread()
        return connected(self.url, self.colour, loop)

    def queue(self, name: str = "q") -> qcore.Queue:
        """A queue, through a new connection."""
        return self.connect().queue(name)

    def say(self, word: str, value: object = None) -> None:
        """Tell the test how far we are."""
        self._talk.send((word, value))

    def await_go(self) -> None:
        """Say that we are ready, and wait until the test is."""
        self.say("ready")
        self.hear()

    def hear(self) -> None:
        """Wait for the next go."""
        self._talk.recv()

    def linger(self) -> None:
        """Do nothing more, until we are killed."""
        self.say("done")
        threading.Event().wait()


@attrs.frozen
class _Role:
    """An act and what it is given, besides its part."""

    act: Callable[..., None]
    args: Collection[Any]
    kwargs: Mapping[str, Any]


class Worker(Generic[P]):
    """One process that plays an act.

    Args:
        act: A function of a module; gets a ``Part`` and the arguments.
        url: Where its queue is.
        colour: The colour of its connections.
        args: Further arguments of the act.
        kwargs: Likewise.
    """

    def __init__(
        self,
        act: Callable[Concatenate[Part, P], None],
        url: str,
        colour: Colour,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        self._talk, theirs = _FORKS.Pipe()
        self._said: list[tuple[str, Any]] = []
        self._listening = threading.Lock()
        self._process = _FORKS.Process(
            target=_live, args=(_Role(act, args, kwargs), url, colour, theirs), daemon=True
        )
        # The server that forks starts with the first of them, and has to find the acts.
        found_by = {"PYTHONPATH": os.pathsep.join(sys.path)}
        with _ONE_AT_A_TIME, unittest.mock.patch.dict(os.environ, found_by):
            self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid or 0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not wait([self._process.sentinel], timeout=0)

    def heard(self, word: str, *, within: float = 10.0) -> Any:
        """Wait until the worker says a word, and return what it said with it.

        Raises:
            WorkerFailed: It ended, or failed, and never said it.
            TimeoutError: It said nothing of the kind within so many seconds.
        """

        def said() -> tuple[Any] | None:
            over = not self._listen()
            for place, (spoken, value) in enumerate(self._said):
                if spoken == word:
                    del self._said[place]
                    return (value,)
            if over or any(spoken == _FAILED for spoken, _ in self._said):
                raise WorkerFailed(f"never said {word!r}, but {self._said}")
            return None

        found = wait_until(said, within=within, what=f"the worker says {word!r}")
        return found[0] if found else None

    def all_heard(self, word: str) -> list[Any]:
        """All that it has said with a word so far."""
        self._listen()
        return [value for spoken, value in self._said if spoken == word]

    def ready(self) -> Self:
        """Wait until it waits for its go."""
        self.heard("ready")
        return self

    def go(self) -> None:
        """Let it go on.

        Raises:
            WorkerFailed: It has ended.
        """
        try:
            self._talk.send("go")
        except OSError as error:
            self._listen()
            raise WorkerFailed(f"ended before its go: {self._said}") from error

    def kill(self) -> None:
        """End it with SIGKILL, and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.ended()

    def terminate(self) -> None:
        """Send SIGTERM."""
        os.kill(self.pid, signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it, and wait until it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: _state(self.pid) in "TZ", within=5.0, what="the worker stands still")

    def resume(self) -> None:
        """Let it go on after a pause."""
        os.kill(self.pid, signal.SIGCONT)

    def ended(self, *, within: float = 10.0) -> int:
        """Wait for its end and return the exit code; negative if a signal ended it.

        Raises:
            TimeoutError: It still runs after so many seconds.
        """
        if not wait([self._process.sentinel], scaled(within)):
            raise TimeoutError(f"a worker still runs after {scaled(within):g} s")
        with _ONE_AT_A_TIME:
            self._process.join()
        return self._process.exitcode or 0

    def close(self) -> None:
        """Kill it if it runs."""
        if self.running:
            self.kill()
        self._talk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _listen(self) -> bool:
        """Take in what it has said; whether there may be more to come."""
        with self._listening:
            try:
                while self._talk.poll():
                    self._said.append(self._talk.recv())
            except (EOFError, OSError):
                return False
        return True


def _live(role: _Role, url: str, colour: Colour, talk: Connection[Any, Any]) -> None:
    """What a worker does from its birth on."""
    _die_with_parent()
    try:
        role.act(Part(url, colour, talk), *role.args, **role.kwargs)
    except BaseException:
        talk.send((_FAILED, traceback.format_exc()))
        raise


def _die_with_parent() -> None:
    """Ask the kernel for SIGKILL at the death of the server that forked us, where it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _state(pid: int) -> str:
    """The state of a process, as one letter; ``Z`` if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
