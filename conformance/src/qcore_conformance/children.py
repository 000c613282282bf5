"""Starting processes that cannot outlive the one that started them, and looking at the tree.

In go an argument vector and an environment, out comes a ``Popen``. On Linux the kernel
kills such a process as soon as its parent is gone, however that ended; elsewhere it is an
ordinary child. Whoever starts a process ends it by its id, and nothing here ends others.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

__all__ = ["kill_tree", "pause", "resume", "spawn", "tree"]

# Asks the kernel for SIGKILL at the death of the parent (PR_SET_PDEATHSIG is 1), makes sure
# that the parent has not died before, and becomes the program proper.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own.

    Args:
        argv: The program by its full path, and its arguments. Everybody on the machine can
            read these, so no secret may be among them.
        env: The whole environment; that of this process by default.
        output: Where standard output and standard error go, as ``Popen`` takes it.
    """
    command = [str(word) for word in argv]
    if sys.platform == "linux":
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - what to run is the whole point of this room
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    return _starter(os.getpid()).submit(start).result()


@functools.cache
def _starter(pid: int) -> ThreadPoolExecutor:
    """Return the thread that starts the processes of this process.

    The kernel counts a process as orphaned when the *thread* that started it ends, so that
    thread has to live as long as the whole process. A fork needs a thread of its own.
    """
    return ThreadPoolExecutor(1, thread_name_prefix=f"qcore-starter-{pid}")


def pause(process: subprocess.Popen[bytes]) -> None:
    """Stop a child with SIGSTOP and return when it stands still, or has ended."""
    process.send_signal(signal.SIGSTOP)
    if process.poll() is None:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def resume(process: subprocess.Popen[bytes]) -> None:
    """Let a paused child go on; does nothing to one that has ended."""
    process.send_signal(signal.SIGCONT)


def tree(root: int) -> tuple[int, ...]:
    """Return the ids of the processes below ``root``, and of all others of its session.

    A session stays together when a process in the middle of the tree has died. Where the
    system shows no process table under ``/proc`` the answer is empty.
    """
    table = _table()
    found = {root}
    grown = True
    while grown:
        more = {
            pid for pid, (parent, session) in table.items() if parent in found or session == root
        }
        grown = not more <= found
        found |= more
    return tuple(sorted(found - {root}))


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and all that it started, and wait for the child's end.

    Each process is stopped before the table is read again, so that none can start another
    one unseen.
    """
    stopped: set[int] = set()
    if process.poll() is None:
        pause(process)
    elif process.pid in _table():  # it was gone, and the system has given its id to a stranger
        return
    while fresh := set(tree(process.pid)) - stopped:
        for pid in fresh:
            _send(pid, signal.SIGSTOP)
        stopped |= fresh
    for pid in stopped:
        _send(pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _table() -> dict[int, tuple[int, int]]:
    """Read parent and session of every process."""
    table: dict[int, tuple[int, int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        # The name stands in parentheses and may contain anything, parentheses too.
        fields = text.rpartition(")")[2].split()
        table[int(path.parent.name)] = (int(fields[1]), int(fields[3]))
    return table
