"""The data model: every key of a queue, built here and nowhere else.

All keys of a queue share the hash tag ``{namespace/queue}``, so that they live in one slot of a
cluster and one script can change them together.

=================================  ======  =====================================================
key                                type    holds
=================================  ======  =====================================================
``qc:{n/q}:D:meta``                hash    counters; paused, timed, fair, gated; gate_front, _back;
                                           ``outbox``: serial of its last row
``qc:{n/q}:D:leased``              zset    token of a delivery -> end of its lease
``qc:{n/q}:D:started``             set     tokens of deliveries taken ahead and then started
``qc:{n/q}:D:delayed``             zset    element -> when it is due
``qc:{n/q}:D:jobs``                hash    list: id -> envelope; stream: delayed, dead, in ``fair``
``qc:{n/q}:D:dead``                zset    ref -> time of death
``qc:{n/q}:D:graves``              hash    ref of a dead job -> its element
``qc:{n/q}:D:notes``               hash    ref -> last error, or why it is dead
``qc:{n/q}:D:expires``             zset    ref of a job that has a ttl -> until when it may be taken
``qc:{n/q}:D:fair``                zset    flow|element of what waits for its turn -> its round
``qc:{n/q}:D:rounds``              zset    level|flow -> its last round; level -> the round now
``qc:{n/q}:D:slots``               zset    key|token of a job in hand that takes up a slot
``qc:{n/q}:D:parked``              zset    key|level|place|element of what waits at its gate
``qc:{n/q}:D:open``                zset    key of a gate to try -> level of who waits there first
``qc:{n/q}:D:windows``             zset    key of a gate -> when its window ends
``qc:{n/q}:D:rates``               hash    key of a gate -> how many were taken in that window
``qc:{n/q}:D:records``             hash    id of a tracked job -> its record, a JSON text
``qc:{n/q}:D:results``             hash    id of a tracked job -> its result
``qc:{n/q}:D:ends``                zset    id of a tracked job that has ended -> until when it stays
``qc:{n/q}:D:outbox``              zset    serial and text of a job to bring -> from when others may
``qc:{n/q}:D:gate``                list    a blank for a while after a pause: wakes who waited
``qc:{n/q}:D:flush:OWNER:LANE``    string  number and answer of the last flush; expires
``qc:{n/q}:D:id:ID``               string  the id that a caller gave; ``>``: moved away; expires
``qc:{n/q}:D:dedup:KEY``           string  id of the job that a dedup key stands for; expires
``qc:{n/q}:D:join:ID``             set     who asked for a job that many have to ask for; expires
``qc:{n/q}:list:ready:P``          list    elements of priority P, next at the right; blank: rings
``qc:{n/q}:list:waiters``          zset    owner -> until when it counts as alive
``qc:{n/q}:list:lapsed``           hash    owner that stopped being alive -> since when
``qc:{n/q}:list:claim:OWNER``      list    what BLMOVE gave a waiting connection, until its take
``qc:{n/q}:stream:new:P``          stream  new jobs of priority P: fields ``id``, ``job``, ``gate``
``qc:{n/q}:stream:again:P``        list    elements that came back: released, recovered, due
``qc:{n/q}:stream:bell``           zset    at most ``0``: somebody should look
=================================  ======  =====================================================

``D`` is the design, ``list`` or ``stream``: queues of the two adapters never meet.
Times are unix milliseconds of the server. An element is ``ref|level|number|attempt|crashes|lost``
with ``^gate`` and ``~tenant`` behind it if the job has them, and a token an element with
``|mark|owner`` (see ``scripts/lib/common.lua``). What gates are is told in
``scripts/lib/gates.lua``. A flow is a tenant, with ``+`` for what became due; a round is counted
within a level (see ``scripts/lib/fair.lua``). What remains of an
empty queue: ``meta``; of lists perhaps a blank, of streams the empty streams and perhaps ``bell``.

A row of the outbox is a serial in 14 hex digits and a msgpack text of queue and job, brought to
its queue by who acked, or later by who takes here (see ``docs/design/0018``).

The ends of tracked jobs are told on the channel that is named as the hash of records.

Pub/Sub stores nothing; its channels are ``qc:DB:{n/q}``, since channels ignore database numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from qcore.options import PRIORITIES

__all__ = ["LEVELS", "QueueKeys", "channel", "first_key", "meta_pattern", "queue_of_meta"]

_PREFIX = "qc:"

LEVELS: tuple[int, ...] = tuple(reversed(PRIORITIES))
"""Priorities by level: level 1 is the most urgent."""


@attrs.frozen
class QueueKeys:
    """The keys of one queue, by the names that scripts use.

    Args:
        namespace: The namespace.
        queue: The queue's name.
        owner: The nonce of this connection.
        design: ``list`` or ``stream``.
    """

    namespace: str
    queue: str
    owner: str
    design: str

    @property
    def tag(self) -> str:
        """What all keys of the queue begin with."""
        return f"qc:{{{self.namespace}/{self.queue}}}:{self.design}"

    def one(self, name: str) -> str:
        """The key of a fixed name."""
        suffix = f":{self.owner}" if name == "claim" else ""
        return f"{self.tag}:{name}{suffix}"

    def each_level(self, name: str) -> Sequence[str]:
        """The keys of a name that has one key for each level, most urgent first."""
        return [f"{self.tag}:{name}:{priority}" for priority in LEVELS]

    def flush(self, lane: str) -> str:
        """Where the answer of the last flush of a lane is kept."""
        return f"{self.tag}:flush:{self.owner}:{lane}"

    def claim_of(self, owner: str) -> str:
        """The processing list of another connection."""
        return f"{self.tag}:claim:{owner}"

    def unique(self, kind: str, word: str) -> str:
        """The key of a caller's id (``id``) or dedup key (``dedup``)."""
        return f"{self.tag}:{kind}:{word}"


def meta_pattern(namespace: str, design: str) -> str:
    """A SCAN pattern that finds the queues of a namespace; names hold no glob characters."""
    return f"qc:{{{namespace}/*}}:{design}:meta"


def queue_of_meta(key: str) -> str:
    """The queue's name in the key of its counters."""
    return key.partition("/")[2].partition("}:")[0]


def channel(namespace: str, queue: str, database: int) -> str:
    """The channel of a Pub/Sub queue."""
    return f"qc:{database}:{{{namespace}/{queue}}}"


def message(job_id: str, envelope: bytes) -> bytes:
    """What is said in a channel."""
    return b"%b\n%b" % (job_id.encode("ascii"), envelope)


def first_key(words: Sequence[Any]) -> str:
    """The first key or channel that a command names, which is on the node of all others; or ''."""
    return next(
        (word for word in words[1:] if isinstance(word, str) and word.startswith(_PREFIX)), ""
    )
