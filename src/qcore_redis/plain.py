"""Enqueuing for users who may not run scripts: one transaction, and the same data afterwards.

A transaction decides nothing, so it stores only what needs no decision: jobs that are ready, and
whose ids are new. It leaves behind what ``enqueue.lua`` leaves behind, but for the kept answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from qcore.backend import Enqueue
from qcore_redis.keys import LEVELS, QueueKeys

__all__ = ["storing"]

Words = tuple[Any, ...]

_FRESH = "0|1|0|0"
"""Never delivered, before the first attempt, no crash, no lost delivery."""


def storing(keys: QueueKeys, jobs: Sequence[Enqueue]) -> list[Words]:
    """The commands that store jobs and wake a sleeper, to be run in one step.

    The first is one that a full server refuses; what makes a job visible comes behind its body.
    """
    counting = ("HINCRBY", keys.one("meta"), "enqueued", len(jobs))
    if keys.design == "stream":
        ring = ("ZADD", keys.one("bell"), 0, "0")
        return [*(_entry(keys, job) for job in jobs), counting, ring]
    bodies = [word for job in jobs for word in (job.id, job.envelope)]
    elements: defaultdict[int, list[str]] = defaultdict(list)
    for job in jobs:
        level = LEVELS.index(job.priority)
        elements[level].append(f"{job.id}|{level + 1}|{_FRESH}")
    lines = keys.each_level("ready")
    pushes = [("LPUSH", lines[level], *elements[level]) for level in sorted(elements)]
    return [("HSET", keys.one("jobs"), *bodies), counting, *pushes]


def _entry(keys: QueueKeys, job: Enqueue) -> Words:
    line = keys.each_level("new")[LEVELS.index(job.priority)]
    return ("XADD", line, "*", "id", job.id, "job", job.envelope)
