"""After a crash: where each job is, that none is missing or there twice, and what comes again.

What an adapter lets one see is looked at (``stats``, ``peek``); what it hides is found out by
taking everything. Nothing here knows how a broker keeps its jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.scenes import LONG
from qcore_conformance.waiting import scaled

__all__ = [
    "CAME_AGAIN",
    "FRESH",
    "STATES",
    "Came",
    "accounted",
    "arrivals",
    "at_rest",
    "bodies",
    "collect",
    "contents",
    "counts",
    "horizon",
    "lease_of",
    "tally",
    "whereabouts",
]

STATES = ("ready", "delayed", "held", "dead")
"""Where a job can be as long as it is kept."""
FRESH = (1, 0)
"""Attempt and crashes of a job that nobody has worked on yet, as far as counts go."""
CAME_AGAIN = (2, 1)
"""Attempt and crashes of a job whose first worker died of it or beside it."""


@attrs.frozen
class Came:
    """One delivery to the watcher, and when it came by the monotonic clock."""

    at: float
    delivery: qcore.Delivery


def lease_of(bed: Bed, leases: float = 1.0) -> float | None:
    """So many short leases in seconds; ``None`` where there are no leases to ask for."""
    return leases * bed.lease if bed.claims("lease") else None


def horizon(bed: Bed, lease: float | None) -> float:
    """Seconds after the death of a holder in which all that it held is out again."""
    return (lease or 0.0) + bed.recovery


def arrivals(bed: Bed, queue: qcore.Queue, within: float) -> Iterator[Came]:
    """Deliveries, none of them settled, until the time is over."""
    deadline = time.monotonic() + within
    while (rest := deadline - time.monotonic()) > 0:
        for delivery in queue.reserve_many(100, rest, LONG if bed.claims("lease") else None):
            yield Came(time.monotonic(), delivery)


def collect(bed: Bed, queue: qcore.Queue, count: int, within: float | None = None) -> list[Came]:
    """Take so many jobs that must come, and ack them when all are there.

    Args:
        bed: The test bed.
        queue: Where they come from.
        count: How many.
        within: Seconds to wait for them; by default a short lease and its recovery.

    Raises:
        AssertionError: If fewer came, or one of them came twice.
    """
    seconds = horizon(bed, lease_of(bed)) if within is None else within
    found: list[Came] = []
    coming = arrivals(bed, queue, seconds)
    while len(found) < count and (came := next(coming, None)):
        found.append(came)
    if len(found) < count:
        places = whereabouts(queue) if bed.claims("peek") else "unknown"
        raise AssertionError(f"{len(found)} of {count} came in {seconds:g} s: {places}")
    assert len({came.delivery.job.id for came in found}) == count
    most = bed.capabilities.limits.batch
    for start in range(0, count, most):
        assert all(queue.ack_many([came.delivery for came in found[start : start + most]]))
    return found


def counts(bed: Bed, found: Iterable[Came]) -> set[tuple[int, int]]:
    """The attempts and crashes that deliveries came with; empty where nobody counts."""
    if not bed.claims("attempts"):
        return set()
    return {(came.delivery.attempt, came.delivery.crashes) for came in found}


def whereabouts(queue: qcore.Queue) -> dict[str, list[str]]:
    """Where each job is, by its id; every copy counts."""
    found: dict[str, list[str]] = {}
    for state in STATES:
        offset = 0
        while page := queue.peek(state, limit=500, offset=offset):
            offset += len(page)
            for job in page:
                found.setdefault(job.id, []).append(state)
    return found


def tally(queue: qcore.Queue) -> dict[str, int]:
    """How many jobs are in each state or gone, without what is 0 and without the total."""
    stats = attrs.asdict(queue.stats(), filter=lambda field, _: bool(field.eq))
    del stats["enqueued"]
    return {state: count for state, count in stats.items() if count}


def accounted(bed: Bed, queue: qcore.Queue) -> None:
    """See that no job is missing or in two places, and that the counters know of all of them.

    Raises:
        AssertionError: If they do not.
    """
    if bed.claims("stats"):
        stats = queue.stats()
        kept = {state: int(getattr(stats, state)) for state in STATES}
        assert stats.enqueued == sum(kept.values()) + stats.acked + stats.dropped, stats
        if bed.claims("peek"):
            _placed(queue, kept)


def _placed(queue: qcore.Queue, kept: Mapping[str, int]) -> None:
    places = whereabouts(queue)
    twice = {job: states for job, states in places.items() if len(states) > 1}
    assert not twice, f"jobs in several places: {twice}"
    seen = [state for states in places.values() for state in states]
    assert {state: seen.count(state) for state in STATES} == dict(kept)


def at_rest(bed: Bed, queue: qcore.Queue, *, dead: int = 0) -> None:
    """See that nothing is left but dead jobs, and that the counters agree.

    Raises:
        AssertionError: If something is.
    """
    accounted(bed, queue)
    if bed.claims("stats"):
        stats = queue.stats()
        assert (stats.ready, stats.delayed, stats.held, stats.dead) == (0, 0, 0, dead), stats
    else:
        assert queue.reserve(timeout=scaled(0.2)) is None


def bodies(count: int, *, prefix: str = "") -> Sequence[qcore.NewJob]:
    """Jobs that differ in every byte that may go wrong."""
    every = bytes(range(256))
    return [
        qcore.NewJob(
            f"{prefix}{number}".encode() + b"\r\n" + every,
            headers={"number": str(number), "blank": "", "sign": "\N{SNOWMAN}\r\n"},
        )
        for number in range(count)
    ]


def contents(jobs: Iterable[qcore.NewJob | qcore.Job]) -> list[tuple[object, Mapping[str, str]]]:
    """What must not change on the way, in an order of its own."""
    return sorted(((job.body, dict(job.headers)) for job in jobs), key=str)
