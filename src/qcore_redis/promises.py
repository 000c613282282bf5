"""What each adapter promises at best, before a server lowers it."""

from __future__ import annotations

import attrs

from qcore.backend import Setup
from qcore.capabilities import NO_LOG, Capabilities, Claim, Limits

__all__ = ["FAILOVER", "LIST", "PUBSUB", "STREAMS", "in_cluster", "reached", "without_scripts"]

_NO_LISTENERS = {
    "receivers": "a queue that stores does not know who listens",
    "gap": "a queue that stores misses nothing",
}

_NO_LOG_HERE = dict.fromkeys(NO_LOG, "a job that is done is gone; redis+streams can keep a log")

_YES = Claim(value=True)

_LEASED = (
    *("fenced", "lease", "extend", "release", "retry", "dead_letter", "redrive", "attempts"),
    *("delay", "priority", "idempotent_id", "dedup", "replay", "stats", "peek", "purge"),
    *("take_at_full_memory", "pause", "cancel", "ttl", "reschedule", "fair", "records"),
    *("at_front", "concurrency", "rate", "move", "then", "tell", "join"),
)
"""What only a queue that stores can offer."""

_STORED = {
    "delivery": Claim("at_least_once"),
    "settlement": Claim("explicit"),
    "durability": Claim("power"),
    "scope": Claim("network"),
    "order": Claim("fifo"),
    "wake": Claim("native"),
    **dict.fromkeys(_LEASED, _YES),
    "thread_safe": _YES,
}

LIST = Capabilities(
    adapter="redis+list",
    # Of two jobs that were given to two sleepers, the later one may be taken first.
    claims={**_STORED, "order": Claim("fifo_single"), "reentry": Claim("head")},
    refusals={**_NO_LISTENERS, **_NO_LOG_HERE},
)

STREAMS = Capabilities(
    adapter="redis+streams",
    claims={**_STORED, "reentry": Claim("before_new")},
    refusals={**_NO_LISTENERS, **NO_LOG},
).lowered("at_front", value=False, why="a stream takes what is new at its end alone")

_NOTHING_KEPT = "Pub/Sub hands a job to whoever listens and keeps nothing"

PUBSUB = Capabilities(
    adapter="redis+pubsub",
    claims={
        "delivery": Claim("at_most_once"),
        "settlement": Claim("automatic"),
        "durability": Claim("none"),
        "scope": Claim("network"),
        "order": Claim("fifo_single"),
        "wake": Claim("native"),
        "receivers": _YES,
        "gap": _YES,
        "thread_safe": _YES,
    },
    limits=Limits(),
    refusals=dict.fromkeys((*_LEASED, "reentry", *NO_LOG), _NOTHING_KEPT),
)


FAILOVER = "a failover loses what its replica had not heard of yet"


def in_cluster(best: Capabilities) -> Capabilities:
    """What is promised where queues lie apart: each in the slot of its own."""
    if "move" not in best:
        return best
    return best.lowered("move", value=False, why="queues of a cluster live on different nodes")


def reached(best: Capabilities, setup: Setup) -> Capabilities:
    """What is promised where the URL leads."""
    if setup.topology == "cluster":
        return in_cluster(best)
    if setup.topology in ("unix", "embedded"):
        # Only one host reaches a unix socket.
        return attrs.evolve(best, claims={**best.claims, "scope": Claim("host")})
    if setup.topology == "sentinel" and best.value("durability") != "none":
        return best.lowered("durability", "none", FAILOVER)
    return best


_NO_SCRIPTS = "this user may not run scripts (EVAL, EVALSHA), and can enqueue plain jobs alone"


def without_scripts(best: Capabilities) -> Capabilities:
    """What is left to a user who may not run scripts: storing jobs that are ready at once."""
    # A transaction cannot know whether a sleeper on another list must be rung for.
    kept = {"priority"} if best.adapter == STREAMS.adapter else set[str]()
    for name in _LEASED:
        if name in best and name not in kept:
            best = best.lowered(name, value=False, why=_NO_SCRIPTS)
    return best
