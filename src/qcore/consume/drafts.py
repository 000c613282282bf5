"""From what a caller passes to what crosses the seam: checked, encoded, given an id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from qcore.backend import Enqueue, Enqueued, GateLimits
from qcore.capabilities import Capabilities, Limits
from qcore.codec import encode_body, encode_envelope
from qcore.errors import InvalidInput, LimitExceeded
from qcore.job import Job, JobId
from qcore.options import (
    Gate,
    NewJob,
    body_size,
    count,
    front_flag,
    headers_of,
    job_id,
    kept_ms,
    moment,
    priority_level,
    seconds,
    ttl_seconds,
)
from qcore.record import Keep

__all__ = ["Drafter", "checked_due", "gate_limits", "job_ids"]

_GATE_LIMIT = 1_000_000
"""The largest concurrency and the largest rate."""
_SHORTEST_WINDOW = 0.01


@attrs.frozen
class Drafter:
    """Makes the seam's values for the jobs of one queue.

    Args:
        queue: The queue's name.
        codec: How values become bytes.
        new_id: Makes an id for a job that came without one.
        now: Tells the producer's time, in seconds since the Unix epoch.
        keep: What is kept of a job that does not say so itself.
    """

    queue: str
    codec: str
    new_id: Callable[[], str]
    now: Callable[[], float]
    keep: Keep | None = None

    def draft(self, jobs: Iterable[object], capabilities: Capabilities) -> list[Enqueue]:
        """Check and encode jobs; a plain value is a job without options.

        Raises:
            InvalidInput: If an argument is wrong.
            LimitExceeded: If there are too many, or one is too large.
            UnsupportedCapability: If one asks for what the adapter does not offer.
        """
        if isinstance(jobs, str | bytes | bytearray | memoryview | Mapping):
            raise InvalidInput("jobs must be a list of jobs; use enqueue for a single one")
        listed = list(jobs)
        if len(listed) > capabilities.limits.batch:
            raise LimitExceeded(
                f"{len(listed)} jobs at once, the limit is {capabilities.limits.batch}; "
                "enqueue them in parts"
            )
        return [
            self._draft(item if isinstance(item, NewJob) else NewJob(item), capabilities)
            for item in listed
        ]

    def _draft(self, new: NewJob, capabilities: Capabilities) -> Enqueue:
        limits = capabilities.limits
        priority = priority_level(new.priority)
        delay = seconds("delay", new.delay, most=limits.delay)
        due = None if new.at is None else moment(new.at)
        if delay and due is not None:
            raise InvalidInput("give a delay or a moment, not both: delay and at")
        given = None if new.id is None else job_id("id", new.id, limits.name)
        dedup = None if new.dedup is None else job_id("dedup", new.dedup, limits.name)
        _need(capabilities, delay=delay > 0 or due is not None, priority=priority != 0)
        ttl = None if new.ttl is None else ttl_seconds(new.ttl, limits)
        keep = new.keep or self.keep
        kept = None if keep is None else kept_ms(keep, limits)
        _need(capabilities, ttl=ttl is not None, records=kept is not None)
        _need(capabilities, idempotent_id=given is not None, dedup=dedup is not None)
        tenant = None if new.tenant is None else job_id("tenant", new.tenant, limits.name)
        front = front_flag(new)
        _need(capabilities, fair=tenant is not None, at_front=front)
        gate = None if new.gate is None else gate_limits(new.gate, limits)
        _need(capabilities, concurrency=gate is not None and gate.concurrency is not None)
        _need(capabilities, rate=gate is not None and gate.rate is not None)
        now = self.now()
        if due is not None:
            seconds("at", max(0.0, due - now), most=limits.delay)
        job = Job(
            id=given or self.new_id(),
            queue=self.queue,
            body=body_size(encode_body(self.codec, new.body), limits),
            headers=headers_of(new.headers, limits),
            enqueued_at=now,
            codec=self.codec,
            priority=priority,
            tracked=kept is not None,
        )
        return Enqueue(
            id=job.id,
            envelope=encode_envelope(job),
            priority=priority,
            delay_ms=round(delay * 1000),
            at_ms=None if due is None else round(due * 1000),
            unique=given is not None,
            dedup=dedup,
            ttl_ms=None if ttl is None else max(1, round(ttl * 1000)),
            tenant=tenant,
            front=front,
            gate=gate,
            keep_ms=kept,
        )


def checked_due(delay: object, at: object, limits: Limits, now: float) -> tuple[int, int | None]:
    """When a job shall be due: the milliseconds of a delay, and of a moment if that is given.

    Raises:
        InvalidInput: If it is no time, or not exactly one of the two is given.
        LimitExceeded: If it is too far away.
    """
    if (delay is None) == (at is None):
        raise InvalidInput("give a delay or a moment, one of both: delay or at")
    if at is None:
        return round(seconds("delay", delay, most=limits.delay) * 1000), None
    due = moment(at)
    seconds("at", max(0.0, due - now), most=limits.delay)
    return 0, round(due * 1000)


def gate_limits(gate: object, limits: Limits) -> GateLimits:
    """The limits of a gate, as they cross the seam.

    Raises:
        InvalidInput: If it is no gate, limits nothing, or has a rate or a window alone.
        LimitExceeded: If a number is too large.
    """
    if not isinstance(gate, Gate):
        raise InvalidInput(f"gate must be a qcore.Gate, not {type(gate).__name__}")
    key = job_id("gate key", gate.key, limits.name)
    if gate.concurrency is None and gate.rate is None:
        raise InvalidInput("a gate must limit something: give it a concurrency, a rate or both")
    if (gate.rate is None) != (gate.window is None):
        raise InvalidInput("a rate is so many in a window: give a gate both or none of them")
    concurrency = gate.concurrency
    if concurrency is not None:
        concurrency = count("concurrency", concurrency, _GATE_LIMIT)
    rate = None if gate.rate is None else count("rate", gate.rate, _GATE_LIMIT)
    return GateLimits(key, concurrency, rate, _window_ms(gate.window, limits))


def _window_ms(window: object, limits: Limits) -> int:
    if window is None:
        return 0
    number = seconds("window", window, most=limits.delay)
    if number < _SHORTEST_WINDOW:
        raise InvalidInput(f"window must be {_SHORTEST_WINDOW} seconds or more, not {number:g}")
    return round(number * 1000)


def _need(capabilities: Capabilities, **asked: bool) -> None:
    for name, is_asked in asked.items():
        if is_asked:
            capabilities.need(name)


def job_ids(outcomes: Sequence[Enqueued]) -> list[JobId]:
    """What the caller gets for each job."""
    return [JobId(one.id, created=one.created, receivers=one.receivers) for one in outcomes]
