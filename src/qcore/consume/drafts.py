"""From what a caller passes to what crosses the seam: checked, encoded, given an id.

Every option is first seen to be right, and then to be one that the adapter offers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from qcore.backend import Enqueue, Enqueued, GateLimits
from qcore.capabilities import Capabilities, Limits
from qcore.codec import encode_body, encode_envelope
from qcore.consume.terms import gate_limits, join_terms
from qcore.errors import InvalidInput, LimitExceeded
from qcore.job import Job, JobId
from qcore.options import (
    Gate,
    NewJob,
    body_size,
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

__all__ = ["Drafter", "checked_due", "job_ids"]


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
        if isinstance(jobs, str | bytes | bytearray | memoryview | Mapping | NewJob):
            raise InvalidInput("jobs must be a list of jobs; use enqueue for a single one")
        listed = list(jobs)
        if len(listed) > capabilities.limits.batch:
            raise LimitExceeded(
                f"{len(listed)} jobs at once, the limit is {capabilities.limits.batch}; "
                "enqueue them in parts"
            )
        return [self._draft(_new_job(item), capabilities) for item in listed]

    def _draft(self, new: NewJob, capabilities: Capabilities) -> Enqueue:
        priority = _level(new, capabilities)
        tenant, front = _turn(new, capabilities)
        delay_ms, at_ms = self._due(new, capabilities)
        given, dedup = _keys(new, capabilities)
        ttl_ms, keep_ms = self._stay(new, capabilities)
        gate = None if new.gate is None else _gate(new.gate, capabilities)
        join = None if new.join is None else join_terms(new.join, given, capabilities.limits)
        job = self._job(new, given or self.new_id(), capabilities, tracked=keep_ms is not None)
        return Enqueue(
            job.id,
            encode_envelope(job),
            priority,
            delay_ms=delay_ms,
            at_ms=at_ms,
            unique=given is not None,
            dedup=dedup,
            ttl_ms=ttl_ms,
            tenant=tenant,
            front=front,
            gate=gate,
            keep_ms=keep_ms,
            join=join,
        )

    def _due(self, new: NewJob, capabilities: Capabilities) -> tuple[int, int | None]:
        delay = seconds("delay", new.delay, most=capabilities.limits.delay)
        if new.at is None:
            if delay:
                capabilities.need("delay")
            return round(delay * 1000), None
        due = moment(new.at)
        if delay:
            raise InvalidInput("give a delay or a moment, not both: delay and at")
        capabilities.need("delay")
        return 0, _at_ms(due, capabilities.limits, self.now())

    def _stay(
        self, new: NewJob, capabilities: Capabilities
    ) -> tuple[int | None, tuple[int, int, int] | None]:
        ttl = None if new.ttl is None else ttl_seconds(new.ttl, capabilities.limits)
        keep = new.keep or self.keep
        kept = None if keep is None else kept_ms(keep, capabilities.limits)
        if ttl is not None:
            capabilities.need("ttl")
        if kept is not None:
            capabilities.need("records")
        return None if ttl is None else max(1, round(ttl * 1000)), kept

    def _job(self, new: NewJob, name: str, capabilities: Capabilities, *, tracked: bool) -> Job:
        limits = capabilities.limits
        return Job(
            id=name,
            queue=self.queue,
            body=body_size(encode_body(self.codec, new.body), limits),
            headers=headers_of(new.headers, limits),
            enqueued_at=self.now(),
            codec=self.codec,
            priority=new.priority,
            tracked=tracked,
        )


def _new_job(item: object) -> NewJob:
    if not isinstance(item, NewJob):
        return NewJob(item)
    inner = item.body
    if not isinstance(inner, NewJob):
        return item
    # Some codecs can write the options as a body, which nobody wants.
    if item != NewJob(inner):
        raise InvalidInput(
            "the job is a NewJob, which has options of its own, and others stand beside it; "
            "give all of them in the NewJob, or the body with options"
        )
    return _new_job(inner)


def _level(new: NewJob, capabilities: Capabilities) -> int:
    priority = priority_level(new.priority)
    if priority:
        capabilities.need("priority")
    return priority


def _keys(new: NewJob, capabilities: Capabilities) -> tuple[str | None, str | None]:
    most = capabilities.limits.name
    given = None if new.id is None else job_id("id", new.id, most)
    dedup = None if new.dedup is None else job_id("dedup", new.dedup, most)
    # It names its job, so that an adapter may lack both; what was asked for is the join.
    if new.join is not None:
        capabilities.need("join")
    if given is not None:
        capabilities.need("idempotent_id")
    if dedup is not None:
        capabilities.need("dedup")
    return given, dedup


def _turn(new: NewJob, capabilities: Capabilities) -> tuple[str | None, bool]:
    tenant = None if new.tenant is None else job_id("tenant", new.tenant, capabilities.limits.name)
    front = front_flag(new)
    if tenant is not None:
        capabilities.need("fair")
    if front:
        capabilities.need("at_front")
    return tenant, front


def _gate(gate: Gate, capabilities: Capabilities) -> GateLimits:
    limited = gate_limits(gate, capabilities.limits)
    if limited.concurrency is not None:
        capabilities.need("concurrency")
    if limited.rate is not None:
        capabilities.need("rate")
    return limited


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
    return 0, _at_ms(moment(at), limits, now)


def _at_ms(due: float, limits: Limits, now: float) -> int:
    seconds("at", max(0.0, due - now), most=limits.delay)
    return round(due * 1000)


def job_ids(outcomes: Sequence[Enqueued]) -> list[JobId]:
    """What the caller gets for each job."""
    return [JobId(one.id, created=one.created, receivers=one.receivers) for one in outcomes]
