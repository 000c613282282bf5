"""A program that waits for a job, or holds one, until it is killed: ``wait`` or ``hold``."""

from __future__ import annotations

import os
import sys
import threading

import qcore


def wait(queue: qcore.Queue) -> None:
    """Sleep on the queue; whatever comes stays in hand."""
    queue.reserve(timeout=0, lease=0.5)
    print("waits")  # noqa: T201 - this is how it answers
    print(queue.reserve(lease=0.5))  # noqa: T201 - the same


def hold(queue: qcore.Queue) -> None:
    """Take three jobs ahead and start the first of them."""
    with queue.consume(lease=0.5) as deliveries:
        for delivery in deliveries:
            print(f"holds {delivery.job.body.decode()}")  # noqa: T201 - the same
            threading.Event().wait()


if __name__ == "__main__":
    parameters = f"{os.environ['QCORE_URL']}&lease=500ms"
    with qcore.connect(parameters) as connection:
        {"wait": wait, "hold": hold}[sys.argv[1]](connection.queue("work"))
