"""Shares a connection with a child, and says how both fared.

``QCORE_START`` says how the child comes about: by ``fork``, with the connection that its parent has
used, or by ``spawn``, with nothing but the URL.
"""

from __future__ import annotations

import multiprocessing
import os
import sys

import qcore

_TRIPS = 50


def say(*words: object) -> None:
    """Print a line that can be waited for."""
    sys.stdout.write(f"{' '.join(map(str, words))}\n")
    sys.stdout.flush()


def go_round(connection: qcore.Connection, name: str) -> None:
    """Send jobs to oneself; every answer has to be one's own."""
    queue = connection.queue(name)
    queue.subscribe()
    for number in range(_TRIPS):
        body = f"{name} {number}".encode()
        queue.enqueue(body)
        found = queue.reserve(timeout=20.0)
        if found is None or found.job.body != body:
            raise AssertionError(f"{name} got {found} for {body!r}")
        found.ack()
    say(name, "done")


def connect_and_go_round(name: str) -> None:
    """What a child that starts from nothing does."""
    with qcore.connect(os.environ["QCORE_URL"]) as connection:
        go_round(connection, name)


def _outcome(held: qcore.Delivery) -> str:
    try:
        held.ack()
    except qcore.QcoreError as error:
        return error.code
    return "acked"


def _fork(connection: qcore.Connection, held: qcore.Delivery) -> int:
    """Both at once; the exit code of the child."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            go_round(connection, "child")
            say("settled", _outcome(held))
            connection.close()
            code = 0
        finally:
            os._exit(code)
    go_round(connection, "parent")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _spawn(connection: qcore.Connection, held: qcore.Delivery) -> int:
    del held
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=connect_and_go_round, args=("child",))
    child.start()
    go_round(connection, "parent")
    child.join()
    return child.exitcode or 0


def main() -> None:
    """Do it."""
    with qcore.connect(os.environ["QCORE_URL"]) as connection:
        queue = connection.queue("held")
        queue.subscribe()
        queue.enqueue(b"held")
        lease = 300.0 if "lease" in connection.capabilities else None
        held = queue.reserve(timeout=20.0, lease=lease)
        if held is None:
            raise AssertionError("not even one process is served")
        start = _fork if os.environ["QCORE_START"] == "fork" else _spawn
        say("exit", start(connection, held))
        go_round(connection, "afterwards")
        held.ack()
        say("over")


if __name__ == "__main__":
    main()
