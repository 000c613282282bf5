"""The consumer processes of one run: started, told to begin, killed, ended.

Goes in: what each consumer shall do; the URL goes through the environment, since arguments can be
seen by everybody. Comes out: their events in the order of arrival, ``None`` for an end, nothing
within the timeout as ``queue.Empty``.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, Self, cast

from qcore.cli.demo.events import Event, read_event

__all__ = ["Crew"]

_PATIENCE = 10.0

Events = queue.SimpleQueue[tuple[int, Event | None]]


class _Member:
    """One consumer process, and the thread that listens to it."""

    def __init__(self, index: int, url: str, words: Sequence[str], events: Events) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        # -P: a file in the current folder must not stand in for a module.
        self._process = subprocess.Popen(  # noqa: S603 - our own program and words
            [sys.executable, "-P", "-m", "qcore.cli.demo.consumer", *words],
            env={**os.environ, "QCORE_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
        )
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)
        self._listener = threading.Thread(target=self._listen, args=(index, events), daemon=True)
        self._listener.start()

    def _listen(self, index: int, events: Events) -> None:
        for line in self._stdout:
            # A line that the kill cut off tells nothing.
            if line.endswith(b"\n"):
                events.put((index, read_event(line)))
        events.put((index, None))

    def begin(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(b"begin\n")
            self._stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def complaint(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "it said nothing")

    def ask_to_end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def close(self) -> None:
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._listener.join()
        self._stdout.close()
        self._complaints.close()


class Crew:
    """Several consumers.

    Args:
        url: The broker.
        orders: For each consumer the words that it is started with.
    """

    def __init__(self, url: str, orders: Sequence[Sequence[str]]) -> None:
        self._events: Events = queue.SimpleQueue()
        self._members: list[_Member] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for index, words in enumerate(orders):
                self._members.append(_Member(index, url, words, self._events))
            undo.pop_all()

    def __enter__(self) -> Self:
        """The crew, at work."""
        return self

    def __exit__(self, *_: object) -> None:
        """End them all."""
        self.close()

    def event(self, timeout: float) -> tuple[int, Event | None]:
        """The next event, and whose; ``None`` says that this consumer has ended.

        Raises:
            queue.Empty: If nothing came within ``timeout`` seconds.
        """
        return self._events.get(timeout=timeout)

    def begin(self, index: int) -> None:
        """Tell a consumer to begin."""
        self._members[index].begin()

    def kill(self, index: int) -> None:
        """End a consumer with SIGKILL; it is gone when this returns."""
        self._members[index].kill()

    def complaint(self, index: int) -> str:
        """The last thing that a consumer wrote to its standard error."""
        return self._members[index].complaint()

    def close(self) -> None:
        """Ask all to end, and kill those that do not within some seconds."""
        for member in self._members:
            member.ask_to_end()
        for member in self._members:
            member.close()
