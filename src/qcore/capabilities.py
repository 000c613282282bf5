"""Capabilities: named promises of an adapter, as values that code and tests read.

An adapter starts from what it can do at best; the server it finds may lower that. ``require`` at
open compares the effective set with what a program relies on: a bare name (``"fenced"``) must be
offered, a pair (``"durability:process"``) must be offered at that value or a stronger one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from qcore.errors import UnsupportedCapability

__all__ = ["KNOWN", "NO_LOG", "Capabilities", "Claim", "Limits", "as_log"]

Value = bool | str | float
"""What a promise may be worth."""

_SCALES: Mapping[str, tuple[str, ...]] = {
    "delivery": ("at_most_once", "at_least_once"),
    "durability": ("none", "process", "power", "replicated"),
    "scope": ("process", "host", "network"),
    "order": ("none", "fifo_single", "fifo"),
}
"""Ordered values: each one promises more than those before it."""

KNOWN: Mapping[str, str] = {
    "delivery": "at_most_once or at_least_once",
    "settlement": "explicit, or automatic where taking a job ends it",
    "durability": "what stored jobs survive: none, process, power, replicated",
    "scope": "who can share a queue: process, host, network",
    "order": "order of first deliveries within a priority level",
    "reentry": "where a released, recovered or due job comes back: head, tail, before_new",
    "wake": "native, or polled with its interval",
    "fenced": "a settle by someone who lost the delivery is refused",
    "lease": "a taken job stays hidden for a time and comes back if its holder dies",
    "extend": "a lease can be made longer",
    "release": "a job can be given back without counting",
    "retry": "a job can be given back with a delay, counted",
    "dead_letter": "jobs past their limits are set aside and kept",
    "redrive": "dead letters can be sent back",
    "attempts": "attempts, crashes and deliveries are counted",
    "delay": "a job can be enqueued for later",
    "priority": "levels from -4 to 4",
    "idempotent_id": "enqueuing a caller's id again changes nothing within the window",
    "dedup": "enqueuing a dedup key again changes nothing within the window",
    "replay": "a flush whose reply was lost takes effect once when sent again",
    "stats": "counts by state",
    "peek": "jobs can be looked at without touching them",
    "purge": "waiting or dead jobs can be dropped",
    "pause": "a queue can be told to deliver nothing for a while, and still accept everything",
    "cancel": "a job can be dropped by its id, wherever it is",
    "ttl": "a job that nobody takes within its time is dropped",
    "reschedule": "a delayed job can be made due at another time",
    "fair": "tenants take turns, so that nobody waits behind another's backlog",
    "at_front": "a job can be enqueued before everything that waits on its level",
    "concurrency": "at most so many jobs of a key are in hand at one time, over all consumers",
    "rate": "at most so many jobs of a key are taken in one window of time",
    "records": "what became of a job, and its result, can be asked for, also behind its end",
    "move": "jobs can be moved to another queue, each in one step",
    "then": "an ack can enqueue further jobs in the same step, in any queue",
    "tell": "an ack can tell those who listen to a topic, in the same step",
    "join": "a job that many ask for is stored once, when the last of them has asked",
    "groups": "any number of named readers, each with progress and dead letters of its own",
    "history": "what was enqueued stays for a time, and can be read again by id and by time",
    "take_at_full_memory": "a full server still hands out and settles what it stores",
    "thread_safe": "one connection serves many threads",
    "receivers": "an enqueue says how many subscribers heard it",
    "gap": "a subscription says when it may have missed something",
}
"""Every capability and what it means, for messages and documents."""

NO_LOG: Mapping[str, str] = dict.fromkeys(
    ("groups", "history"), "a job that is done is gone; add mode=log to the URL to keep a log"
)
"""Why a queue that could be a log refuses what only a log can do."""

_NOT_IN_A_LOG: Mapping[str, str] = {
    "priority": "entries of a log keep the order in which they were enqueued",
    "delay": "an entry of a log is there from the moment at which it is enqueued",
    "cancel": "an entry of a log is there for every group",
    "ttl": "an entry of a log stays until retention",
    "reschedule": "an entry of a log is there from the moment at which it is enqueued",
    "fair": "entries of a log keep the order in which they were enqueued",
    "at_front": "entries of a log keep the order in which they were enqueued",
    "concurrency": "every group takes each entry of a log in its order",
    "rate": "every group takes each entry of a log in its order",
    "records": "an entry of a log has a state of its own in every group",
    "move": "an entry of a log is there for every group",
    "then": "every group settles an entry of a log, and each would enqueue what follows it",
    "tell": "every group settles an entry of a log, and each would tell of it",
    "join": "an entry of a log is there from the moment at which it is enqueued",
}


@attrs.frozen
class Claim:
    """One capability as an adapter offers it here and now.

    Attributes:
        value: ``True``, or the value promised, such as ``"process"``.
        native: ``False`` if the adapter emulates it with other means.
        why: Why it is weaker than the adapter's best, if it is.
    """

    value: Value
    native: bool = True
    why: str = ""


@attrs.frozen
class Limits:
    """Numeric limits; one more is refused with ``LimitExceeded`` before any I/O.

    Attributes:
        body: Bytes of one body.
        headers: Headers of one job.
        header_bytes: Bytes of all header names and values of one job together.
        batch: Jobs in one ``enqueue_many``, ``reserve_many`` or ``settle_many``.
        delay: Seconds that a job may wait before it is due.
        lease_min: Shortest lease in seconds.
        lease_max: Longest lease in seconds.
        name: Characters of a queue name, namespace or caller's id.
    """

    body: int = 1 << 20
    headers: int = 64
    header_bytes: int = 16 << 10
    batch: int = 1000
    delay: float = 10 * 366 * 86_400.0
    lease_min: float = 0.1
    lease_max: float = 7 * 86_400.0
    name: int = 128


@attrs.frozen
class Capabilities:
    """The effective promises of one open connection.

    Args:
        adapter: The scheme of the adapter.
        claims: What is offered; a name that is missing is refused.
        limits: Numeric limits.
        refusals: Why a missing capability is missing, by name.
        facts: What was found out about the server: version, persistence, and so on.
    """

    adapter: str
    claims: Mapping[str, Claim]
    limits: Limits = Limits()
    refusals: Mapping[str, str] = attrs.field(factory=dict[str, str])
    facts: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    def __contains__(self, requirement: str) -> bool:
        """Whether a bare name or a ``name:value`` pair is offered."""
        name, _, wanted = requirement.partition(":")
        claim = self.claims.get(name)
        if claim is None or claim.value is False:
            return False
        return not wanted or _reaches(name, claim.value, wanted)

    def __iter__(self) -> Iterator[str]:
        """The names that are offered."""
        return (name for name in self.claims if name in self)

    def value(self, name: str) -> Value | None:
        """What is promised for ``name``; ``None`` if nothing is."""
        claim = self.claims.get(name)
        return None if claim is None else claim.value

    def missing(self, require: Iterable[str]) -> list[str]:
        """The requirements that are not met, sorted."""
        return sorted(item for item in require if item not in self)

    def need(self, name: str) -> None:
        """Refuse an operation that needs ``name``.

        Raises:
            UnsupportedCapability: If it is not offered.
        """
        if name not in self:
            raise UnsupportedCapability(self.adapter, name, self.refusals.get(name, ""))

    def lowered(self, name: str, value: Value, why: str) -> Capabilities:
        """The same promises with one of them made weaker, and the reason kept."""
        if value is False:
            claims = {key: claim for key, claim in self.claims.items() if key != name}
            return attrs.evolve(self, claims=claims, refusals={**self.refusals, name: why})
        claim = attrs.evolve(self.claims[name], value=value, why=why)
        return attrs.evolve(self, claims={**self.claims, name: claim})


def as_log(work: Capabilities) -> Capabilities:
    """What an adapter promises of a log that promises this of a queue for work."""
    for name, why in _NOT_IN_A_LOG.items():
        work = work.lowered(name, value=False, why=why)
    more = dict.fromkeys(NO_LOG, Claim(value=True))
    refusals = {name: why for name, why in work.refusals.items() if name not in more}
    return attrs.evolve(work, claims={**work.claims, **more}, refusals=refusals)


def _reaches(name: str, value: Value, wanted: str) -> bool:
    scale = _SCALES.get(name)
    if scale is None or wanted not in scale or value not in scale:
        return str(value) == wanted
    return scale.index(str(value)) >= scale.index(wanted)
