"""A program that shares an embedded server with others: ``work``, ``produce`` or ``look``."""

from __future__ import annotations

import os
import sys

import qcore


def work(queue: qcore.Queue) -> None:
    """Do what comes until told to stop."""
    print("ready")  # noqa: T201 - this is how it answers
    with queue.consume() as deliveries:
        for delivery in deliveries:
            with delivery:
                if delivery.job.body == b"stop":
                    break
                print(f"did {delivery.job.body.decode()}")  # noqa: T201 - the same


def produce(queue: qcore.Queue) -> None:
    """Enqueue twenty jobs and the end."""
    queue.enqueue_many([*(b"%d" % number for number in range(20)), b"stop"])


def look(queue: qcore.Queue) -> None:
    """Say how many were done."""
    print(f"acked {queue.stats().acked}")  # noqa: T201 - the same


if __name__ == "__main__":
    with qcore.connect(os.environ["QCORE_URL"]) as connection:
        {"work": work, "produce": produce, "look": look}[sys.argv[1]](connection.queue("shared"))
