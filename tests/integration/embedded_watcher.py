"""The watcher of an embedded server, to which one thing happens at the worst moment.

Usage: ``python embedded_watcher.py MOMENT WATCHER BINARY DIRECTORY``. Moments: ``overtaken``, where
a thread runs to its end before the one that started it goes on; ``killed``, as soon as it has
started the server; ``robbed`` of its directory, as soon as it has said that it watches and the
server answers; ``deaf``, which is robbed, and signals a server that it is late to know ended.
"""

from __future__ import annotations

import os
import runpy
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from qcore_redis.embedded.place import Place


def overtake() -> None:
    """Let each new thread have the processor to itself."""
    threading.Thread.start = threading.Thread.run  # type: ignore[method-assign]


def kill() -> None:
    """End this process right after it started another one."""
    spawn: Callable[..., int] = os.posix_spawn

    def spawn_last(*args: object, **options: object) -> None:
        spawn(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    os.posix_spawn = spawn_last  # type: ignore[assignment]


def rob() -> None:
    """Remove the working directory right after a word was said in it."""
    write = os.write

    def write_and_remove(descriptor: int, text: bytes) -> int:
        written = write(descriptor, text)
        if text == b"watching\n":
            place = Place(Path.cwd(), Path())
            while not place.ping():
                time.sleep(0.01)
            shutil.rmtree(place.directory)
        return written

    os.write = write_and_remove  # type: ignore[assignment]


def deafen() -> None:
    """Rob it, and keep the end of the server from it until it has sent more signals."""
    rob()
    kill, wait = os.kill, os.waitpid
    signals = threading.Semaphore(0)

    def kill_and_count(pid: int, number: int) -> None:
        try:
            kill(pid, number)
        finally:
            signals.release()

    def wait_for_signals(pid: int, options: int) -> tuple[int, int]:
        ended = wait(pid, options)
        while signals.acquire(blocking=False):
            pass
        # The first may be under way, the second finds nobody, the third shows that it lives.
        for _ in range(3):
            signals.acquire()
        return ended

    os.kill, os.waitpid = kill_and_count, wait_for_signals


if __name__ == "__main__":
    moments = {"overtaken": overtake, "killed": kill, "robbed": rob, "deaf": deafen}
    moments[sys.argv[1]]()
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
