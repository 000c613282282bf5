"""Bring the server of a data directory up, by way of a watcher that outlives whoever did it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from qcore.errors import Unavailable
from qcore_redis.embedded.locks import PAUSE, Deadline
from qcore_redis.embedded.place import Place, answered

__all__ = ["Launch", "bring_up", "launched"]

WATCHER = Path(__file__).with_name("watcher.py")
LOST_RACES = ("busy\n", "gone\n")
GLANCE = 0.1
"""Seconds that a server may take to say that it is loading, once it is too late anyhow."""


class Launch:
    """A watcher that was just started; ``watcher.py`` says what it tells.

    Args:
        place: The data directory to watch.

    Raises:
        OSError: The process or its log cannot be made.
    """

    def __init__(self, place: Place) -> None:
        words = (sys.executable, "-I", "-S", str(WATCHER), str(place.binary), str(place.directory))
        log = place.open_log()
        self.log_start = os.fstat(log).st_size
        ear, mouth = os.pipe()
        self._ear = FileIO(ear)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - no shell reads these words
                words, stdin=subprocess.DEVNULL, stdout=mouth, stderr=log, start_new_session=True
            )
        except BaseException:
            self._ear.close()
            raise
        finally:
            os.close(mouth)
            os.close(log)
        self.said = ""
        self.over = False

    def listen(self, seconds: float) -> None:
        """Wait so long for the next word of the watcher, or for its end."""
        ears = select.poll()
        ears.register(self._ear, select.POLLIN)
        if ears.poll(seconds * 1000):
            words = os.read(self._ear.fileno(), 4096)
            self.said += words.decode()
            self.over = not words

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What was started here has gone by itself when it said something: it left a watcher behind.
        if not self.said:
            self._process.kill()
        self._ear.close()
        self._process.wait()


def bring_up(place: Place, deadline: Deadline) -> None:
    """Return as soon as the server answers and is watched; only for the holder of ``start.lock``.

    Raises:
        Unavailable: It failed to start, or does not answer by the deadline.
        OSError: Something that the start needs cannot be made.
    """
    while True:
        if not place.watched():
            up = launched(place, deadline)
        elif not (up := answered(place.ping(deadline.left()))):
            # It reads its data back, or it has ended and its watcher is about to.
            time.sleep(min(PAUSE, deadline.left()))
        if up:
            return
        if not deadline.left():
            raise _late(place)


def launched(place: Place, deadline: Deadline) -> bool:
    """Start a watcher and return whether the server answered; False asks to look again.

    Raises:
        Unavailable: The watcher or the server that it started ended at once.
    """
    with Launch(place) as launch:
        while deadline.left():
            launch.listen(PAUSE)
            if launch.over:
                if launch.said.endswith(LOST_RACES):
                    return False
                raise _failed(place, launch)
            if launch.said and answered(place.ping(deadline.left())):
                return True
    return False


def _failed(place: Place, launch: Launch) -> Unavailable:
    said = ", ".join(launch.said.splitlines()) or "no word"
    return Unavailable(
        f"the embedded server of {place.directory} could not start ({said}): the disk is full, its "
        "append-only file is damaged, or the server does not run on this machine. Its log ends "
        "with the reason:\n"
        f"{place.log_tail(launch.log_start)}"
    )


def _late(place: Place) -> Unavailable:
    if not place.served():
        # Its log would tell of an earlier one.
        return Unavailable(
            f"the embedded server of {place.directory} was not started in time: the machine is too "
            "busy, or the process that watches over the server is stopped; look for it, or allow "
            "more time by a longer timeout"
        )
    why = "it does not answer; look for a process of it that is stopped or a script that runs on"
    if place.ping(GLANCE).startswith(b"-LOADING"):
        why = "it still reads its data back; allow it more time by a longer timeout"
    return Unavailable(
        f"the embedded server of {place.directory} was not ready in time: {why}. "
        f"Its log ends with:\n{place.log_tail()}"
    )
