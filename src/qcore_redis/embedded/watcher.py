"""Keep the server of one data directory running for as long as anybody uses it, then end it.

A program, not a part of one: ``python -I -S watcher.py BINARY DIRECTORY``, on the standard library
alone, so that it starts in milliseconds and survives whatever happens to the packages around it.

Goes in: the server's binary, the data directory, and two descriptors: whoever starts this reads
standard output, standard error is the server's log. Comes out: ``watching`` as soon as the server
is started or adopted, or ``busy`` when another watcher has the directory; then, when the server
is gone, as the last word ``ended STATUS`` for one that was started here and ``gone`` for one that
was adopted.
There is no timeout: it waits, without a tick, for the last user or for the end of the server.

The locks, all by ``flock``, so that the kernel gives them back when their holder dies:

    start.lock      who starts or ends the server; held for moments
    users.lock      shared by every user for as long as it uses the server
    watcher.lock    held by this process for life
    server.lock     held by the server for life, as an inherited descriptor: the proof that no
                    second server may write the same files, even while the first does not answer
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
import threading
import time

OPTIONS = (
    *("--port", "0", "--unixsocket", "s.sock", "--unixsocketperm", "700", "--dir", "."),
    *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
    *("--maxmemory-policy", "noeviction"),
    # What Valkey 9 hands to a listener without copying it does not count against the limit of
    # that listener's buffer, so that one who never reads would fill the memory.
    *("--min-string-size-avoid-copy-reply", "0"),
)
YIELD = 0.02
"""Seconds to stand back for somebody who holds the start lock, or for a socket to appear."""
PATIENCE = 1.0
"""Seconds that the server has for its end before newcomers are let in to look for themselves."""


def main(binary: str, directory: str) -> None:
    """Watch the server of ``directory`` in a process that nobody has to wait for."""
    os.chdir(directory)
    os.umask(0o077)
    if os.fork():
        # The starter reaps this process at once and never hears of the other one.
        os._exit(0)
    watching = open_lock("watcher.lock")
    if not attempt(watching):
        say("busy")
        return
    write_pid(watching, os.getpid())
    server, is_child = start_server(binary)
    life, users, start = map(open_lock, ("server.lock", "users.lock", "start.lock"))
    # Said once nothing of the directory is missing, which somebody may remove from now on, and
    # before the thread runs, which may have the last word at once.
    say("watching")
    threading.Thread(target=end_with_server, args=(life, server, is_child), daemon=True).start()
    outlive_users(users, start, server)


def start_server(binary: str) -> tuple[int, bool]:
    """Start the server, or adopt one that runs already.

    Returns:
        Its process id, and whether it is a child of this process.
    """
    life = open_lock("server.lock")
    try:
        if not attempt(life):
            return int(os.pread(life, 20, 0) or 0), False
        # Whoever adopts the server, should this process be killed now, must not signal another one.
        os.ftruncate(life, 0)
        os.set_inheritable(life, True)  # noqa: FBT003 - it has no name to pass it by
        to_log = (os.POSIX_SPAWN_DUP2, 2, 1)
        pid = os.posix_spawn(binary, [binary, *OPTIONS], {}, file_actions=[to_log])
        write_pid(life, pid)
        return pid, True
    finally:
        os.close(life)


def end_with_server(life: int, server: int, is_child: bool) -> None:  # noqa: FBT001 - a thread's
    """Wait for the end of the server, whoever started it, and end this process."""
    fcntl.flock(life, fcntl.LOCK_EX)
    last_word = "gone"
    if is_child:
        last_word = f"ended {os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])}"
    # Given up before watcher.lock is, or the next watcher would see a server that lives.
    os.close(life)
    say(last_word)
    os._exit(0)


def outlive_users(users: int, start: int, server: int) -> None:
    """Ask the server to end whenever nobody uses it, until it does (and this process with it)."""
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)
        if attempt(start):
            shut_down(server, time.monotonic() + PATIENCE)
            fcntl.flock(start, fcntl.LOCK_UN)
        fcntl.flock(users, fcntl.LOCK_UN)
        time.sleep(YIELD)


def shut_down(server: int, until: float) -> None:
    """Send SHUTDOWN, and leave the server until the given time to end.

    NOSAVE is about snapshots, which are off: the append-only file is written out in any case.
    Without it a script that runs for long would refuse the shutdown. Where somebody removed the
    directory, and the socket with it, only a signal reaches the server, which may have ended just
    now: this process ends with it, but not in the same moment.
    """
    while time.monotonic() < until:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect("s.sock")
                client.sendall(b"SHUTDOWN NOSAVE\r\n")
                client.recv(512)
        except FileNotFoundError:
            if server and not os.access("server.lock", os.F_OK):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server, signal.SIGTERM)
        except OSError:
            pass  # it does not listen yet, or it has just ended
        time.sleep(YIELD)


def open_lock(name: str) -> int:
    """Open a lock file of the directory, not locked yet; no other program inherits it."""
    return os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def attempt(lock: int) -> bool:
    """Lock for this process alone, or return False when somebody else holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_pid(lock: int, pid: int) -> None:
    """Leave a process id in a lock file, for people and messages; locks alone decide."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, b"%d\n" % pid, 0)


def say(word: str) -> None:
    """Tell whoever started this; it may have gone long ago."""
    with contextlib.suppress(OSError):
        os.write(1, word.encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
