"""Whether jobs were first delivered in the promised order.

A job counts as overtaken only if two things are certain: it was enqueued before the other call
began, and its own delivery began after the other one had returned. Jobs that somebody may have
taken unseen, and jobs that are delayed, stand outside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator

from attrs import frozen

from qcore_conformance.guarantees import Guarantees, Order
from qcore_conformance.operations import FOREVER
from qcore_conformance.stories import Run, Story
from qcore_conformance.verdicts import Finding, Result, judge, not_claimed

__all__ = ["order", "priority"]


@frozen(eq=False)
class _Place:
    """A job between its enqueue and its first delivery."""

    story: Story
    since: int
    """When its enqueue began."""
    ready: int
    """When its enqueue had returned."""
    asked: int
    """When the reserve that returned it began."""
    given: int
    """When that reserve had returned."""
    level: int


def order(run: Run, promised: Guarantees) -> Result:
    """Jobs of a queue and a level are first delivered in the order of their enqueues."""
    places = _places(run)
    match promised.order:
        case Order.NONE:
            return not_claimed("order")
        case Order.FIFO_KEY:
            return judge("order", _overtakers(places, _lane_and_key, _over))
        case Order.FIFO_SINGLE:
            places = [each for each in places if _is_single(run, each.story)]
        case Order.FIFO:
            pass
    return judge("order", _overtakers(places, _lane_and_level, lambda place: place.asked))


def priority(run: Run, promised: Guarantees) -> Result:
    """No job is delivered while a more urgent one of its queue is ready."""
    if not promised.priority:
        return not_claimed("priority")
    lanes: dict[tuple[str, str], list[_Place]] = defaultdict(list)
    for place in _places(run):
        lanes[place.story.lane].append(place)
    return judge("priority", (found for lane in lanes.values() for found in _passed_over(lane)))


def _places(run: Run) -> list[_Place]:
    return [
        _Place(
            story=story,
            since=story.since.begin,
            ready=story.since.end,
            asked=story.takings[0].take.begin,
            given=story.takings[0].take.end,
            level=story.since.said.priority or 0,
        )
        for story in run.stories
        if story.enqueued and story.takings and _is_plain(run, story)
    ]


def _is_plain(run: Run, story: Story) -> bool:
    """Whether the first delivery that we know of was surely the first of all."""
    first = story.takings[0].take
    if story.since.said.delay or len(story.enqueues) > 1:
        return False
    if first.said.number is not None:
        return first.said.number == 1
    return not any(ghost.begin <= first.end for ghost in run.lane_of(story).ghosts)


def _is_single(run: Run, story: Story) -> bool:
    """Whether one process alone filled the queue and one alone emptied it."""
    queue = story.queue
    producers = {op.name for each in run.stories if each.queue == queue for op in each.enqueues}
    return len(producers) == 1 and len(run.lane_of(story).consumers) == 1


def _lane_and_level(place: _Place) -> Hashable:
    return place.story.lane, place.level


def _lane_and_key(place: _Place) -> Hashable:
    # A job without a key is in order with nothing but itself.
    key = place.story.since.said.key
    return place.story.lane, place.story.job if key is None else ("key", key)


def _over(place: _Place) -> int:
    return min((op.begin for op in place.story.over), default=FOREVER)


def _overtakers(
    places: Iterable[_Place], line: Callable[[_Place], Hashable], gone: Callable[[_Place], int]
) -> Iterator[Finding]:
    """Find jobs delivered before an earlier one of their line was gone.

    Args:
        places: The jobs to look at.
        line: Tells which jobs are in order with each other.
        gone: Tells the earliest time at which a job no longer held back those behind it.
    """
    lines: dict[Hashable, list[_Place]] = defaultdict(list)
    for place in places:
        lines[line(place)].append(place)
    for members in lines.values():
        ahead = sorted(members, key=lambda place: place.ready)
        slowest: _Place | None = None
        passed = 0
        for place in sorted(members, key=lambda place: place.since):
            while passed < len(ahead) and ahead[passed].ready < place.since:
                slowest = _later(slowest, ahead[passed], gone)
                passed += 1
            if slowest is not None and gone(slowest) > place.given:
                yield Finding(f"delivered before {slowest.story.job}", place.given, place.story)


def _later(one: _Place | None, other: _Place, gone: Callable[[_Place], int]) -> _Place:
    return other if one is None or gone(other) > gone(one) else one


def _passed_over(lane: list[_Place]) -> Iterator[Finding]:
    """Find jobs delivered although a more urgent one had been ready before the reserve."""
    for level in {place.level for place in lane}:
        urgent = sorted((each for each in lane if each.level > level), key=lambda p: p.ready)
        slowest: _Place | None = None
        passed = 0
        for place in sorted((each for each in lane if each.level == level), key=lambda p: p.asked):
            while passed < len(urgent) and urgent[passed].ready < place.asked:
                slowest = _later(slowest, urgent[passed], lambda p: p.asked)
                passed += 1
            if slowest is not None and slowest.asked > place.given:
                yield Finding(f"delivered before {slowest.story.job}", place.given, place.story)
