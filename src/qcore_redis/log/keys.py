"""The data model of a log: one stream for all groups, and the keys of each group.

===================================  ======  ===================================================
key                                  type    holds
===================================  ======  ===================================================
``qc:{n/q}:log:entries``             stream  every entry: fields ``id``, ``n`` and ``job``
``qc:{n/q}:log:index``               hash    job's id -> its entry
``qc:{n/q}:log:meta``                hash    number of the newest and of the newest dropped entry
``qc:{n/q}:log:id:ID``               string  the id that a caller gave; expires after the window
``qc:{n/q}:log:dedup:KEY``           string  job's id that a dedup key stands for; expires
``qc:{n/q}:log:g:GROUP:meta``        hash    turn, where it stands, counters; paused since when
``qc:{n/q}:log:g:GROUP:leased``      zset    token of a delivery -> end of its lease
``qc:{n/q}:log:g:GROUP:started``     set     tokens of deliveries taken ahead and then started
``qc:{n/q}:log:g:GROUP:delayed``     zset    element -> when it is due
``qc:{n/q}:log:g:GROUP:back``        list    elements that came back: released, recovered, due
``qc:{n/q}:log:g:GROUP:jobs``        hash    id -> envelope of a dead or redriven job
``qc:{n/q}:log:g:GROUP:dead``        zset    ref -> time of death
``qc:{n/q}:log:g:GROUP:graves``      hash    ref of a dead job -> its element
``qc:{n/q}:log:g:GROUP:notes``       hash    ref -> last error, or why it is dead
``qc:{n/q}:log:g:GROUP:bell``        zset    at most ``0``: somebody should look
``qc:{n/q}:log:g:GROUP:gate``        list    a blank for a while after a pause: wakes who waited
``qc:{n/q}:log:g:GROUP:flush:O:L``   string  answer of the last flush of a lane; expires
===================================  ======  ===================================================

What stays for good are ``meta`` of the log and of each group, and perhaps a bell; entries and their
index stay until retention.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from qcore_redis.keys import QueueKeys

__all__ = ["DEFAULT", "LogKeys", "parted"]

DEFAULT = "default"

_OF_THE_LOG: Mapping[str, str] = {"entries": "entries", "index": "index", "totals": "meta"}
"""What scripts call the keys that all groups share."""


def parted(line: str) -> tuple[str, str]:
    """The queue and the group of a line."""
    queue, _, group = line.partition("/")
    return queue, group or DEFAULT


@attrs.frozen
class LogKeys(QueueKeys):
    """The keys of one log as one group uses them.

    Args:
        group: The group's name.
    """

    group: str

    def one(self, name: str) -> str:
        """The key of a fixed name."""
        if name in _OF_THE_LOG:
            return f"{self.tag}:{_OF_THE_LOG[name]}"
        return f"{self.tag}:g:{self.group}:{name}"

    def flush(self, lane: str) -> str:
        """Where the answer of the last flush of a lane is kept."""
        return self.one(f"flush:{self.owner}:{lane}")
