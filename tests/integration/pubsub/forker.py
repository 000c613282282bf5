"""Listens, forks, and lets parent and child each say what they hear."""

from __future__ import annotations

import os
import sys

import qcore


def say(*words: object) -> None:
    """Tell the test."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


with qcore.connect(os.environ["QCORE_URL"]) as connection:
    queue = connection.queue("work")
    queue.subscribe()
    child = os.fork()
    who = "parent" if child else "child"
    queue.subscribe()
    say(who, "listening")
    while True:
        delivery = queue.reserve(30.0)
        if delivery is None or delivery.job.body == b"end":
            break
        say(who, "heard", delivery.job.body.decode(), "gaps", queue.gaps)
if child:
    os.waitpid(child, 0)
