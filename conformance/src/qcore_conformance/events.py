"""The events of a history, and the one line of JSON that each of them is.

A call begins with an ``invoke`` event and ends with ``ok`` (it returned), ``fail`` (it was
certainly not applied) or ``info`` (nobody knows). A call that has no end was under way when
its process died. An ``ok`` without an ``invoke`` tells of something that was found to have
happened at some time before.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, TypedDict

from attrs import converters, evolve, field, fields_dict, frozen, validators

__all__ = ["CorruptHistory", "Details", "Event", "FaultKind", "Kind", "Verb"]


class CorruptHistory(Exception):
    """A line of a history cannot be read, so that a verdict over it would be worth nothing."""


class Kind(StrEnum):
    """Where in its call an event stands."""

    INVOKE = "invoke"
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


class Verb(StrEnum):
    """What was called, or what happened to a job."""

    ENQUEUE = "enqueue"
    RESERVE = "reserve"
    EXTEND = "extend"
    ACK = "ack"
    RELEASE = "release"
    RETRY = "retry"
    DEAD = "dead"
    """The job was put among the dead letters, by a call or by the broker."""
    DROP = "drop"
    """The job was removed for good reason: purged, cancelled, or its time was over."""
    REDRIVE = "redrive"
    """A dead job was made reservable again."""
    DRAIN = "drain"
    """A reserve of the last phase, which empties the queue."""
    SUBSCRIBE = "subscribe"
    STATS = "stats"
    FAULT = "fault"
    """Something was broken; the call lasts until it is mended."""


class FaultKind(StrEnum):
    """What was broken on purpose."""

    KILL_WORKER = "kill-worker"
    PAUSE_WORKER = "pause-worker"
    CUT = "cut"
    """Connections were lost, or the line was bad."""
    RESTART_SERVER = "restart-server"
    KILL_SERVER = "kill-server"
    PAUSE_SERVER = "pause-server"
    POWER_LOSS = "power-loss"
    FAILOVER = "failover"


class Details(TypedDict, total=False):
    """What a call site can say about a call, before it or after it."""

    queue: str
    group: str
    """Who reads, where several groups get the same jobs; on all calls but enqueue."""
    job: str
    sha: str
    """A digest of the body, to see that it arrived as it was sent."""
    receipt: str
    number: int
    """The delivery number."""
    attempt: int
    lease: float
    """Seconds for which the job is leased, counted by the broker."""
    delay: float
    """Seconds before the job may be delivered."""
    priority: int
    key: str
    """The key within which order is kept."""
    error: str
    fault: FaultKind
    target: str
    """The name of the process that a fault struck; empty for the server or the whole line."""
    counts: dict[str, int]
    """The numbers that the adapter's statistics gave, by state."""


def _short(key: str) -> dict[str, str]:
    return {"key": key}


@frozen(kw_only=True)
class Event:
    """One line of a history; times are CLOCK_MONOTONIC nanoseconds."""

    time: int = field(validator=validators.instance_of(int), metadata=_short("t"))
    process: str = field(validator=validators.instance_of(str), metadata=_short("p"))
    call: int = field(validator=validators.instance_of(int), metadata=_short("n"))
    """The number of the call within its process."""
    kind: Kind = field(converter=Kind, metadata=_short("e"))
    verb: Verb = field(converter=Verb, metadata=_short("f"))
    queue: str | None = field(default=None, metadata=_short("q"))
    group: str | None = field(default=None, metadata=_short("grp"))
    job: str | None = None
    sha: str | None = None
    receipt: str | None = field(default=None, metadata=_short("rcpt"))
    number: int | None = field(default=None, metadata=_short("num"))
    attempt: int | None = field(default=None, metadata=_short("att"))
    lease: float | None = None
    delay: float | None = None
    priority: int | None = field(default=None, metadata=_short("prio"))
    key: str | None = None
    error: str | None = field(default=None, metadata=_short("err"))
    fault: FaultKind | None = field(default=None, converter=converters.optional(FaultKind))
    target: str | None = field(default=None, metadata=_short("on"))
    counts: dict[str, int] | None = None

    def after(self, invoke: Event) -> Event:
        """Return the event with what its ``invoke`` said and it did not repeat."""
        missing = {
            name: said
            for name in _NAMES
            if getattr(self, name) is None and (said := getattr(invoke, name)) is not None
        }
        return evolve(self, **missing)

    def line(self) -> bytes:
        """Write the event as one line of JSON, without what was not said."""
        said = {short: getattr(self, name) for name, short in _NAMES.items()}
        spoken = {short: value for short, value in said.items() if value is not None}
        return json.dumps(spoken, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Event:
        """Read one line.

        Raises:
            CorruptHistory: It is not the line of an event.
        """
        try:
            said: dict[str, Any] = json.loads(line)
            return cls(**{_LONG[short]: value for short, value in said.items()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptHistory(f"{line[:200]!r} is not an event: {error!r}") from error


_NAMES = {
    name: str(attribute.metadata.get("key", name)) for name, attribute in fields_dict(Event).items()
}
_LONG = {short: name for name, short in _NAMES.items()}
