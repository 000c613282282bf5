"""Scripts in processes of their own, which may be killed, paused and continued at any time.

In go a script and a URL; out come the lines that the script prints and its exit code. The
script finds the URL in ``QCORE_URL``, never in its arguments, which everybody could read. A
script that ends before it said what was waited for raises ``ProcessFailed`` with its output,
one that stays silent raises ``TimeoutError``, with its output as a note.

    with ScriptProcess(path, url) as worker:
        worker.wait_for("ready")
        worker.kill()
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from . import children
from .waiting import scaled, wait_until

__all__ = ["ProcessFailed", "ScriptProcess"]

_TAIL = 40


class ProcessFailed(Exception):
    """A script ended when it should not have; the message ends with its output."""


class ScriptProcess:
    """One Python script in a process of its own, which dies with this one.

    Args:
        script: The path of the script.
        url: Handed to the script as ``QCORE_URL``.
        name: Handed to the script as ``QCORE_PROCESS``: who it is in the history.
        arguments: Further arguments; no secrets.
        env: Further environment variables.
    """

    def __init__(
        self,
        script: Path,
        url: str,
        *,
        name: str = "w1",
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._argv: list[str | Path] = [sys.executable, "-u", script, *arguments]
        self._env = {**os.environ, **(env or {}), "QCORE_URL": url, "QCORE_PROCESS": name}
        self._lines: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def lines(self) -> tuple[str, ...]:
        """What it has printed so far, standard error included."""
        return tuple(self._lines)

    def start(self) -> Self:
        """Start it, once."""
        if self._process is not None:
            raise ProcessFailed(f"{self.name} was started before")
        self._process = children.spawn(self._argv, env=self._env, output=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, name=f"qcore-{self.name}", daemon=True)
        self._reader.start()
        return self

    def wait_for(self, text: str, *, within: float = 10.0) -> str:
        """Wait for a line that contains a text, and return the first such line.

        Raises:
            ProcessFailed: It ended and printed no such line.
            TimeoutError: It printed none within so many seconds.
        """

        def seen() -> str | None:
            reading = self._reader is not None and self._reader.is_alive()
            line = next((line for line in self.lines if text in line), None)
            if line is None and not reading:
                raise ProcessFailed(self._story(f"ended without printing {text!r}"))
            return line

        try:
            return wait_until(seen, within=within, what=f"{self.name} prints {text!r}") or ""
        except TimeoutError as error:
            error.add_note(self._story("printed so far"))
            raise

    def wait(self, *, within: float = 30.0) -> int:
        """Wait for its end and return the exit code; negative if a signal ended it.

        Raises:
            TimeoutError: It did not end within so many seconds.
        """
        try:
            code = self._started().wait(scaled(within))
        except subprocess.TimeoutExpired:
            raise TimeoutError(self._story(f"still runs after {scaled(within):g} s")) from None
        self._join()
        return code

    def expect(self, code: int = 0, *, within: float = 30.0) -> None:
        """Wait for its end and insist on the exit code.

        Raises:
            ProcessFailed: It ended with another one.
            TimeoutError: It did not end within so many seconds.
        """
        ended = self.wait(within=within)
        if ended != code:
            raise ProcessFailed(self._story(f"ended with {ended} instead of {code}"))

    def terminate(self) -> None:
        """Ask it to end, with SIGTERM."""
        self._started().terminate()

    def kill(self) -> None:
        """End it with SIGKILL and wait until it is gone; what it started lives on."""
        process = self._started()
        process.kill()
        process.wait()

    def kill_tree(self) -> None:
        """End it and all that it started with SIGKILL, and wait until it is gone."""
        children.kill_tree(self._started())

    def pause(self) -> None:
        """Freeze it with SIGSTOP, as a long garbage collection or a sleeping machine would."""
        children.pause(self._started())

    def resume(self) -> None:
        """Let it go on after a pause."""
        children.resume(self._started())

    def close(self) -> None:
        """Kill it and all that it started; closing twice is harmless."""
        if self._process is not None:
            self.kill_tree()
            self._join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is not None:
            error.add_note(self._story("printed"))

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._process

    def _read(self) -> None:
        stream = self._started().stdout
        if stream is None:
            return
        with stream:
            self._lines.extend(line.decode(errors="replace").rstrip("\n") for line in stream)

    def _join(self) -> None:
        # What a killed script started may still hold the pipe, so the end may not come.
        if self._reader is not None:
            self._reader.join(scaled(1.0))

    def _story(self, what: str) -> str:
        return "\n".join([f"{self.name} {what}; its last lines:", *self._lines[-_TAIL:]])
