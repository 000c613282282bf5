"""Workers that pass jobs on from queue to queue, and workers that ask for one job together."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence

import qcore
from qcore_conformance.workers import Part

__all__ = ["END", "ask_for_the_end", "pass_on"]

END = "end"
"""The id of the job that is asked for, and the name of its queue."""


def pass_on(part: Part, route: Sequence[str], of: int, lease: float) -> None:
    """Do what comes at each station, pass it on to the next, and ask for the end at the last."""
    connection = part.connect()
    lines = [connection.queue(name) for name in route]
    part.say("works")
    while True:
        for line, target in zip(lines, (*route[1:], END), strict=True):
            for delivery in line.reserve_many(2, 0.01, lease):
                _say(delivery, target, of)
                with contextlib.suppress(qcore.LeaseLost):
                    delivery.ack()


def _say(delivery: qcore.Delivery, target: str, of: int) -> None:
    body = delivery.job.body
    join = qcore.Join(of, body.decode()) if target == END else None
    delivery.then(target, qcore.NewJob(body, id=END if join else None, join=join))


def ask_for_the_end(part: Part, members: Sequence[str], rounds: int) -> None:
    """Ask for a job as each of many members, in any order, again and again."""
    queue, created = part.queue(END), 0
    part.await_go()
    for _ in range(rounds):
        for member in random.sample(members, len(members)):
            join = qcore.Join(len(members), member)
            created += queue.enqueue(b"", id=END, join=join).created
    part.say("created", created)
    part.linger()
