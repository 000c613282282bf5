"""What the memory adapters promise, which is the same everywhere."""

from __future__ import annotations

from qcore.capabilities import NO_LOG, Capabilities, Claim

__all__ = ["PROMISES", "TOPIC_PROMISES"]

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
                "then",
                "tell",
                "join",
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

TOPIC_PROMISES = Capabilities(
    adapter="memory+pubsub",
    claims={
        "delivery": Claim("at_most_once"),
        "settlement": Claim("automatic"),
        "durability": Claim("none"),
        "scope": Claim("process"),
        "order": Claim("fifo_single"),
        "wake": Claim("native"),
        "receivers": Claim(value=True),
        "gap": Claim(value=True),
        "thread_safe": Claim(value=True),
    },
    refusals=dict.fromkeys(
        ("reentry", *(name for name, claim in PROMISES.claims.items() if claim.value is True)),
        "a topic hands a job to whoever listens and keeps nothing",
    ),
)
