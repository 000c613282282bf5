"""Enqueuing by a transaction: which commands, in which order."""

from __future__ import annotations

from qcore.backend import Enqueue
from qcore_redis.keys import QueueKeys
from qcore_redis.plain import storing


def job(name: str, priority: int = 0) -> Enqueue:
    """A job that is ready at once."""
    return Enqueue(id=name, envelope=name.upper().encode(), priority=priority)


def test_a_list_gets_bodies_before_elements() -> None:
    """Whoever sees a job finds its body; the first job is the next one at the right end."""
    keys = QueueKeys("n", "q", "o", "list")

    assert storing(keys, [job("a"), job("b")]) == [
        ("HSET", "qc:{n/q}:list:jobs", "a", b"A", "b", b"B"),
        ("HINCRBY", "qc:{n/q}:list:meta", "enqueued", 2),
        ("LPUSH", "qc:{n/q}:list:ready:0", "a|5|0|1|0|0", "b|5|0|1|0|0"),
    ]


def test_a_stream_gets_entries_by_level_and_is_rung_for() -> None:
    """Ringing is setting one member, so that once is enough."""
    keys = QueueKeys("n", "q", "o", "stream")

    assert storing(keys, [job("a"), job("b", 4)]) == [
        ("XADD", "qc:{n/q}:stream:new:0", "*", "id", "a", "job", b"A"),
        ("XADD", "qc:{n/q}:stream:new:4", "*", "id", "b", "job", b"B"),
        ("HINCRBY", "qc:{n/q}:stream:meta", "enqueued", 2),
        ("ZADD", "qc:{n/q}:stream:bell", 0, "0"),
    ]
