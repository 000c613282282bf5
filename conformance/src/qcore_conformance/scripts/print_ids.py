"""Enqueues before and after a fork, in both processes, and prints the ids."""

from __future__ import annotations

import os

import qcore

JOBS = 50


def enqueue_and_print(queue: qcore.Queue) -> None:
    """Enqueue some jobs and print a line for each."""
    lines = [f"id {queue.enqueue(b'')}\n" for _ in range(JOBS)]
    os.write(1, "".join(lines).encode())


def main() -> None:
    """Do it."""
    with qcore.connect(os.environ["QCORE_URL"]) as connection:
        queue = connection.queue("ids")
        enqueue_and_print(queue)
        child = os.fork()
        enqueue_and_print(queue)
        if not child:
            os._exit(0)
        _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
