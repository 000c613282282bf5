"""What was delivered though never enqueued, and what was enqueued and never seen again."""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from qcore_conformance.guarantees import Guarantees, Order
from qcore_conformance.operations import FOREVER
from qcore_conformance.stories import Run, Story
from qcore_conformance.verdicts import Finding, Result, Verdict, judge

from .drains import undrained

__all__ = ["lost", "recovered", "unexpected"]

_COUNTED_ID = re.compile(r"(.+)-(\d+)")


def unexpected(run: Run, promised: Guarantees) -> Result:
    """Nothing is delivered that was not enqueued, with these bytes, into this queue."""
    del promised
    return judge("unexpected", (found for story in run.stories for found in _strange(story)))


def _strange(story: Story) -> Iterator[Finding]:
    seen = [each.take for each in story.takings] + [op for op in story.ends if op.sure]
    for op in seen:
        sources = [each for each in story.enqueues if each.possible and each.begin <= op.end]
        if not sources:
            reason = "whose enqueue was not applied" if story.enqueues else "that nobody enqueued"
            yield Finding(f"{op.verb} of a job {reason}", op.end, story)
        elif op.lane[0] not in {each.lane[0] for each in sources}:
            yield Finding(f"{op.verb} out of queue {op.lane[0]!r}, not its own", op.end, story)
        elif _differs(op.said.sha, {each.said.sha for each in sources}):
            yield Finding(f"{op.verb} with other bytes than were enqueued", op.end, story)


def _differs(sha: str | None, sent: set[str | None]) -> bool:
    return sha is not None and None not in sent and sha not in sent


def recovered(run: Run, promised: Guarantees) -> Result:
    """Count jobs whose enqueue ended unknown and that were delivered after all."""
    del promised
    found = (
        Finding("an enqueue that ended unknown took effect", story.takings[0].take.end, story)
        for story in run.stories
        if story.takings and not story.enqueued and any(op.unknown for op in story.enqueues)
    )
    return judge("recovered", (), found)


def lost(run: Run, promised: Guarantees) -> Result:
    """No job whose enqueue returned disappears, except where the promise has a gap."""
    if promised.at_least_once:
        gone = [story for story in run.stories if not (story.over or story.drained)]
        allowed = _forgotten(run, promised)
    else:
        gone = [story for story in run.stories if not story.takings and _was_heard(run, story)]
        allowed = _in_fault(run, promised)
    gone = [story for story in gone if story.enqueued]
    where = _positions(run.stories, gone)
    found = {story: Finding(f"lost {where(story)}", story.last, story) for story in gone}
    failures = [finding for story, finding in found.items() if not allowed(story)]
    if unknown := undrained(run, promised):
        return Result("lost", Verdict.UNKNOWN, (), tuple(found.values()), unknown)
    return judge("lost", failures, (each for each in found.values() if each not in failures))


def _was_heard(run: Run, story: Story) -> bool:
    """Whether the group had subscribed before the job was enqueued, if it has to."""
    subscribes = run.lane_of(story).subscribes
    if story.enqueued is None or not subscribes:
        return True
    return any(op.sure and op.end <= story.since.begin for op in subscribes)


def _forgotten(run: Run, promised: Guarantees) -> Callable[[Story], bool]:
    return lambda story: run.forgot(promised, story.since.begin, FOREVER)


def _in_fault(run: Run, promised: Guarantees) -> Callable[[Story], bool]:
    """Tell whether a fault struck before the reader had moved on to a later job."""
    lanes: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for story in run.stories:
        if story.enqueued and story.takings and promised.order is not Order.NONE:
            lanes[story.lane].append((story.since.begin, story.takings[0].take.end))
    moved_on = {lane: _first_end_from(pairs) for lane, pairs in lanes.items()}

    def allowed(story: Story) -> bool:
        reader = moved_on.get(story.lane)
        until = reader(story.since.end) if reader else FOREVER
        return bool(run.faults_within(story.since.begin, until))

    return allowed


def _first_end_from(pairs: list[tuple[int, int]]) -> Callable[[int], int]:
    """Return a function that finds the least end of all spans that begin from a time on."""
    pairs = sorted(pairs)
    least = [FOREVER]
    for _, end in reversed(pairs):
        least.append(min(least[-1], end))
    least.reverse()
    begins = [begin for begin, _ in pairs]
    return lambda time: least[bisect.bisect_left(begins, time)]


def _positions(stories: Iterable[Story], gone: Iterable[Story]) -> Callable[[Story], str]:
    """Tell where in its producer's run a job stood, by the counter in its id."""
    missing = {story.job for story in gone}
    kept: dict[str, list[int]] = defaultdict(list)
    for story in stories:
        counted = _COUNTED_ID.fullmatch(story.job)
        if counted and story.enqueued and story.job not in missing:
            kept[counted[1]].append(int(counted[2]))

    def where(story: Story) -> str:
        counted = _COUNTED_ID.fullmatch(story.job)
        if counted is None:
            return "and never seen again"
        others = kept.get(counted[1], [])
        if not others:
            return f"with all that {counted[1]} enqueued"
        if int(counted[2]) < min(others):
            return f"at the start of what {counted[1]} enqueued"
        if int(counted[2]) > max(others):
            return f"at the end of what {counted[1]} enqueued"
        return f"in the middle of what {counted[1]} enqueued"

    return where
