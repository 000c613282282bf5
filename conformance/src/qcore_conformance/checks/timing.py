"""Whether jobs came too early or too late.

Too late means: a reserve that began after the job had to be there came back with nothing. That
is certain whether or not anybody asked for the job in time.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import pairwise

from attrs import frozen

from qcore_conformance.events import Verb
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.operations import FOREVER, Operation, nanoseconds
from qcore_conformance.stories import Lane, Run, Story, Taking
from qcore_conformance.verdicts import Finding, Result, judge, not_claimed

__all__ = ["early", "late"]


def early(run: Run, promised: Guarantees) -> Result:
    """No job is delivered before its delay is over."""
    if not promised.delays:
        return not_claimed("early")
    slack = nanoseconds(promised.slack)
    return judge(
        "early",
        (
            Finding(f"{(due - taking.take.end) / 1e9:.3f} s early", taking.take.end, story)
            for story in run.stories
            for taking, due in _due(story)
            if taking.take.end + slack < due
        ),
    )


def _due(story: Story) -> Iterator[tuple[Taking, int]]:
    """Yield deliveries with the time before which each was surely not due."""
    if story.takings:
        starts = [_earliest(op) for op in story.enqueues if op.possible]
        yield story.takings[0], min(starts, default=0)
    for before, after in pairwise(story.takings):
        ways = before.settled(Verb.RETRY, Verb.RELEASE)
        if ways and any(op.sure for op in ways) and not story.redriven(after.take.end):
            yield after, min(_earliest(op) for op in ways)


def _earliest(op: Operation) -> int:
    return op.begin + nanoseconds(op.said.delay or 0.0)


def late(run: Run, promised: Guarantees) -> Result:
    """No reserve comes back with nothing while a job has to be there."""
    if promised.late is None and promised.recovery is None:
        return not_claimed("late")
    empties = {key: _Empties.of(lane) for key, lane in run.lanes.items()}
    return judge(
        "late",
        (
            Finding(
                f"not found {(missed - wait.ready) / 1e9:.3f} s after {wait.why}", missed, story
            )
            for story in run.stories
            if story.lane in empties and story.copies(idempotent=promised.idempotent) == 1
            for wait in _waits(story, promised)
            if (missed := _missed(run, promised, empties[story.lane], wait))
        ),
    )


@frozen
class _Wait:
    """A time in which a job lay there to be found."""

    ready: int
    """When it was surely ready."""
    bound: float
    """Seconds after which any reserve has to find it."""
    gone: int
    """When somebody may have taken or ended it."""
    why: str


@frozen
class _Empties:
    """The reserves of a lane that found nothing, by their begin, and those nobody knows of."""

    begins: Sequence[int]
    found: Sequence[Operation]
    ghosts: Sequence[Operation]

    @classmethod
    def of(cls, lane: Lane) -> _Empties:
        found = sorted(lane.empties, key=lambda op: op.begin)
        return cls([op.begin for op in found], found, lane.ghosts)

    def between(self, begin: int, end: int) -> Iterator[Operation]:
        """Yield those that began and ended within a span."""
        for op in self.found[bisect.bisect_left(self.begins, begin) :]:
            if op.begin > end:
                return
            if op.end <= end:
                yield op


def _waits(story: Story, promised: Guarantees) -> Iterator[_Wait]:
    stops = [op.begin for op in story.ends if op.possible]
    if story.enqueued and promised.late is not None:
        yield _Wait(_surely_due(story), promised.late, _next(story, 0, stops), "it was due")
    for at, taking in enumerate(story.takings, start=1):
        gone = _next(story, at, stops)
        freed = [op for op in taking.settles if op.possible]
        back = taking.visible_from(promised.lease)
        if not freed and back is not None and promised.recovery is not None:
            yield _Wait(back, promised.recovery, gone, "its lease was over")
        given_up = [op for op in freed if op.sure and op.verb in (Verb.RELEASE, Verb.RETRY)]
        if given_up == freed and len(freed) == 1 and promised.late is not None:
            yield _Wait(_latest(freed[0]), promised.late, gone, f"its {freed[0].verb}")


def _surely_due(story: Story) -> int:
    """Return when it was due whichever of its enqueues was the one that counted."""
    there = story.since.end
    starts = [op for op in story.enqueues if op.possible and op.begin <= there]
    return max(min(op.end, there) + nanoseconds(op.said.delay or 0.0) for op in starts)


def _latest(op: Operation) -> int:
    return op.end + nanoseconds(op.said.delay or 0.0)


def _next(story: Story, at: int, stops: list[int]) -> int:
    """Return the earliest time at which a delivery from ``at`` on, or an end, may have come."""
    takes = [each.take.begin for each in story.takings[at:]]
    return min(takes + stops, default=FOREVER)


def _missed(run: Run, promised: Guarantees, empties: _Empties, wait: _Wait) -> int | None:
    """Return when a reserve came back empty that had to find the job."""
    patience = nanoseconds(wait.bound + promised.slack)
    for op in empties.between(wait.ready + patience, wait.gone):
        disturbed = [fault.end for fault in run.faults_within(wait.ready, op.end)]
        hidden = [_hidden_until(each, promised) for each in empties.ghosts if each.begin <= op.end]
        if max(disturbed + hidden, default=0) + patience <= op.begin:
            return op.end
    return None


def _hidden_until(ghost: Operation, promised: Guarantees) -> int:
    """Return until when a reserve that nobody knows of may keep a job hidden."""
    if ghost.end >= FOREVER or promised.lease is None:
        return FOREVER
    return ghost.end + nanoseconds(promised.lease)
