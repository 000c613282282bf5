"""What the memory adapter promises, which is the same everywhere."""

from __future__ import annotations

from qcore.capabilities import NO_LOG, Capabilities, Claim

__all__ = ["PROMISES"]

PROMISES = Capabilities(
    adapter="memory",
    claims={
        "delivery": Claim("at_least_once"),
        "settlement": Claim("explicit"),
        "durability": Claim("none"),
        "scope": Claim("process"),
        "order": Claim("fifo"),
        "reentry": Claim("head"),
        "wake": Claim("native"),
        **{
            name: Claim(value=True)
            for name in [
                "fenced",
                "lease",
                "extend",
                "release",
                "retry",
                "dead_letter",
                "redrive",
                "attempts",
                "delay",
                "priority",
                "idempotent_id",
                "dedup",
                "replay",
                "stats",
                "peek",
                "purge",
                "pause",
                "cancel",
                "ttl",
                "reschedule",
                "fair",
                "at_front",
                "concurrency",
                "rate",
                "records",
                "move",
                "thread_safe",
            ]
        },
    },
    refusals={
        "receivers": "a queue that stores does not know who listens",
        "gap": "a queue that stores misses nothing",
        **NO_LOG,
        "take_at_full_memory": "the queue shares its memory with the program",
    },
)
