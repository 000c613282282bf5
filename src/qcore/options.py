"""What callers may pass, checked before any I/O.

Every function returns the value in the form that the layers below use, or raises an
``InvalidInput`` that names the argument, what came and what is allowed.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from datetime import datetime

import attrs
import msgspec

from qcore.capabilities import Capabilities, Limits
from qcore.codec import CODECS
from qcore.errors import InvalidInput, LimitExceeded
from qcore.record import Keep

__all__ = [
    "NOTE_LIMIT",
    "PRIORITIES",
    "Gate",
    "Join",
    "NewJob",
    "body_size",
    "check_keep",
    "codec_name",
    "count",
    "front_flag",
    "headers_of",
    "job_id",
    "kept_ms",
    "lease_seconds",
    "moment",
    "name_of",
    "note_text",
    "priority_level",
    "report_text",
    "seconds",
    "timeout_seconds",
    "ttl_seconds",
    "whole",
]

NOTE_LIMIT = 2000
"""Characters that are kept of an error or a reason."""

PRIORITIES = range(-4, 5)
"""The priority levels; larger is more urgent."""

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_JOB_ID = re.compile(r"[A-Za-z0-9._:-]+")


@attrs.frozen
class Gate:
    """Limits that jobs of one key share: how many are in hand, and how many are taken in a time.

    They come with each job, and those of the job that is about to be taken count.

    Attributes:
        key: What is limited: a customer, a host, an account.
        concurrency: So many of them are held at one time at most, over all consumers.
        rate: So many of them are taken in one window at most.
        window: Seconds of a window; goes with a rate. Windows begin at multiples of it since the
            Unix epoch, on the broker's clock.
    """

    key: str
    concurrency: int | None = attrs.field(default=None, kw_only=True)
    rate: int | None = attrs.field(default=None, kw_only=True)
    window: float | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class Join:
    """Who has to ask for a job before it is stored: the last of so many members.

    The job is named by an id of the caller's; whose body and options are stored is up to who asks
    last.

    Attributes:
        of: How many members there are.
        member: Which of them asks. The same one again does not count.
        within: Seconds for which the broker remembers, from the last that asked, who did.
    """

    of: int
    member: str
    within: float = attrs.field(default=7 * 86_400.0, kw_only=True)


@attrs.frozen(kw_only=True)
class NewJob:
    """A job to be enqueued, with the options of its own.

    Attributes:
        body: Bytes, or any value where the queue has a codec.
        headers: Text by text.
        id: An id chosen by the caller; enqueuing it again changes nothing.
        dedup: A key; enqueuing it again within the window changes nothing.
        delay: Seconds from now until it is due, on the broker's clock.
        at: When it is due: an aware ``datetime`` or seconds since the Unix epoch; not with a delay.
        priority: -4 … 4, larger is more urgent.
        ttl: Seconds after it is due in which it must be taken, else it is dropped.
        tenant: On whose behalf; tenants take turns.
        front: Whether it goes before everything that waits on its level; with neither a delay nor
            a tenant. Of several that are enqueued together the first one is next.
        gate: How many of its kind may be in hand, or taken in a time.
        keep: For how long a record of it stays behind its end; by default what the queue says.
        join: Stored only when the last of so many asks for it; goes with an id.
    """

    body: object = attrs.field(kw_only=False)
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    id: str | None = None
    dedup: str | None = None
    delay: float = 0.0
    at: datetime | float | None = None
    priority: int = 0
    ttl: float | None = None
    tenant: str | None = None
    front: bool = False
    gate: Gate | None = None
    keep: Keep | None = None
    join: Join | None = None


def seconds(name: str, value: object, *, most: float | None = None) -> float:
    """A finite number of seconds that is not negative.

    Raises:
        InvalidInput: If it is no number, negative, infinite or not a number.
        LimitExceeded: If it is above ``most``.
    """
    number = _number(name, value, "a number of seconds")
    if most is not None and number > most:
        raise LimitExceeded(f"{name} is {number:g} s, more than the limit of {most:g} s")
    return number


def _number(name: str, value: object, kind: str = "a number") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name} must be {kind}, not {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise LimitExceeded(f"{name} is far too large") from None
    if not math.isfinite(number) or number < 0:
        raise InvalidInput(f"{name} must be finite and not negative, not {_shown(value)}")
    return number


def ttl_seconds(value: object, limits: Limits) -> float:
    """The time in which a job must be taken: more than nothing.

    Raises:
        InvalidInput: If it is no number of seconds or 0.
        LimitExceeded: If it is longer than a delay may be.
    """
    number = seconds("ttl", value, most=limits.delay)
    if number == 0:
        raise InvalidInput("ttl must be more than 0 seconds: nobody can take a job in no time")
    return number


def front_flag(new: NewJob) -> bool:
    """Whether a job goes before everything that waits.

    Raises:
        InvalidInput: If it is no bool, or the job cannot be next: it is due later, or its tenant
            waits for a turn.
    """
    if not isinstance(new.front, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput(f"front must be True or False, not {_shown(new.front)}")
    if new.front and (new.delay or new.at is not None):
        raise InvalidInput("a job cannot be next and due later: give front, or a delay or at")
    if new.front and new.tenant is not None:
        raise InvalidInput("tenants take turns, which nobody passes: give front or a tenant")
    return new.front


def kept_ms(value: object, limits: Limits) -> tuple[int, int, int]:
    """For how long a record stays behind each end, in milliseconds; -1 is for ever.

    Raises:
        InvalidInput: If it is no ``Keep``, or one of its times is none.
        LimitExceeded: If one of them is longer than a delay may be.
    """
    if not isinstance(value, Keep):
        raise InvalidInput(f"keep must be a Keep, not {type(value).__name__}")
    done, dead, dropped = (
        -1 if stays is None else round(seconds(f"keep.{name}", stays, most=limits.delay) * 1000)
        for name, stays in (("done", value.done), ("dead", value.dead), ("dropped", value.dropped))
    )
    return done, dead, dropped


def check_keep(value: object, capabilities: Capabilities) -> None:
    """Refuse what a queue cannot keep of its jobs; ``None`` is nothing.

    Raises:
        InvalidInput: If it is no ``Keep``, or one of its times is none.
        UnsupportedCapability: If the adapter keeps no records.
    """
    if value is not None:
        kept_ms(value, capabilities.limits)
        capabilities.need("records")


def report_text(progress: object, meta: object, limits: Limits) -> str:
    """What a worker reports of its job, as JSON.

    Raises:
        InvalidInput: If the progress is no number from 0 to 1, or meta is not text by text.
        LimitExceeded: If meta is larger than headers may be.
    """
    said: dict[str, object] = {}
    if progress is not None:
        said["progress"] = part = _number("progress", progress)
        if part > 1:
            raise InvalidInput(f"progress must lie between 0 and 1, not {_shown(progress)}")
    if meta is not None:
        said["meta"] = headers_of(meta, limits)
    return msgspec.json.encode(said).decode()


def timeout_seconds(value: object) -> float | None:
    """A timeout: seconds, or ``None`` for no end."""
    return None if value is None else seconds("timeout", value)


def lease_seconds(value: object, limits: Limits) -> float:
    """The length of a lease, within the adapter's limits.

    Raises:
        LimitExceeded: If it is shorter or longer than the adapter keeps.
    """
    number = seconds("lease", value, most=limits.lease_max)
    if number < limits.lease_min:
        raise LimitExceeded(f"lease is {number:g} s, less than the least {limits.lease_min:g} s")
    return number


def moment(value: object) -> float:
    """A point in time as seconds since the Unix epoch.

    Raises:
        InvalidInput: If a datetime has no time zone, or the number is not finite.
    """
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidInput("at must be an aware datetime; add a time zone, such as UTC")
        return max(0.0, value.timestamp())
    return seconds("at", value)


def count(name: str, value: object, most: int) -> int:
    """A whole number from 1 to ``most``.

    Raises:
        InvalidInput: If it is no whole number or below 1.
        LimitExceeded: If it is above ``most``.
    """
    return _whole(name, value, 1, most)


def whole(name: str, value: object, most: int) -> int:
    """A whole number from 0 to ``most``.

    Raises:
        InvalidInput: If it is no whole number or below 0.
        LimitExceeded: If it is above ``most``.
    """
    return _whole(name, value, 0, most)


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(f"{name} must be a whole number from {least}, not {_shown(value)}")
    if value > most:
        raise LimitExceeded(f"{name} is {_shown(value)}, more than the limit of {most}")
    return value


def _shown(value: object) -> str:
    try:
        return reprlib.repr(value)
    except ValueError:
        # Python writes no whole number of thousands of digits.
        return "a number far too large"


def priority_level(value: object) -> int:
    """A priority level.

    Raises:
        InvalidInput: If it is no whole number.
        LimitExceeded: If it lies outside -4 … 4.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"priority must be a whole number from -4 to 4, not {_shown(value)}")
    if value not in PRIORITIES:
        raise LimitExceeded(f"priority is {_shown(value)}; it must lie between -4 and 4")
    return value


def name_of(kind: str, value: object, most: int = 128) -> str:
    """The name of a queue or namespace.

    Raises:
        InvalidInput: If it has other characters than ``[A-Za-z0-9._-]`` or none.
        LimitExceeded: If it is too long.
    """
    return _word(kind, value, most, _NAME, "letters, digits, '.', '_' and '-'")


def job_id(kind: str, value: object, most: int = 128) -> str:
    """An id, dedup key or tenant chosen by the caller.

    Raises:
        InvalidInput: If it has other characters than ``[A-Za-z0-9._:-]`` or none.
        LimitExceeded: If it is too long.
    """
    return _word(kind, value, most, _JOB_ID, "letters, digits, '.', '_', ':' and '-'")


def _word(kind: str, value: object, most: int, pattern: re.Pattern[str], allowed: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{kind} must be text, not {type(value).__name__}")
    if len(value) > most:
        raise LimitExceeded(f"{kind} has {len(value)} characters, more than the limit of {most}")
    if not pattern.fullmatch(value):
        raise InvalidInput(f"{kind} {_shown(value)} is not allowed: use 1 to {most} {allowed}")
    return value


def headers_of(value: object, limits: Limits) -> Mapping[str, str]:
    """The headers of a job: text by text, valid Unicode, within the limits.

    Raises:
        InvalidInput: If a key or value is no text, or has a lone surrogate.
        LimitExceeded: If there are too many, or they are too long together.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"headers must be a mapping, not {type(value).__name__}")
    items: dict[object, object] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
    if len(items) > limits.headers:
        raise LimitExceeded(f"{len(items)} headers, more than the limit of {limits.headers}")
    checked = {_text(key): _text(item) for key, item in items.items()}
    size = sum(len(key.encode()) + len(item.encode()) for key, item in checked.items())
    if size > limits.header_bytes:
        raise LimitExceeded(f"headers have {size} bytes, the limit is {limits.header_bytes}")
    return checked


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"headers must be text by text, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"a header has a lone surrogate at {error.start}") from None
    return value


def note_text(name: str, value: object) -> str:
    """An error or a reason in a form that can be stored: cut, and escaped where it must be.

    Raises:
        InvalidInput: If it is no text.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be text, not {type(value).__name__}")
    return value[:NOTE_LIMIT].encode(errors="backslashreplace").decode()[:NOTE_LIMIT]


def body_size(body: bytes, limits: Limits) -> bytes:
    """The body, if it is within the limit.

    Raises:
        LimitExceeded: If it is larger.
    """
    if len(body) > limits.body:
        raise LimitExceeded(
            f"the body has {len(body)} bytes, the limit is {limits.body}; "
            "store it elsewhere and enqueue a reference"
        )
    return body


def codec_name(value: object) -> str:
    """The name of a codec.

    Raises:
        InvalidInput: If there is none of that name.
    """
    if value not in CODECS:
        raise InvalidInput(f"codec {_shown(value)} is unknown; use one of {', '.join(CODECS)}")
    return str(value)
