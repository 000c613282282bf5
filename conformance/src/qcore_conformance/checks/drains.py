"""Whether the last phase of a run shows that the queues are empty."""

from __future__ import annotations

from qcore_conformance.guarantees import Guarantees
from qcore_conformance.operations import nanoseconds
from qcore_conformance.stories import Lane, Run

__all__ = ["undrained"]


def undrained(run: Run, promised: Guarantees) -> str:
    """Say why nobody knows whether the queues are empty; nothing if they surely are.

    A queue is empty when two drains find nothing, so far apart that any job in anybody's
    hands must have come back in between, after the last fault was mended.
    """
    for (queue, group), lane in sorted(run.lanes.items()):
        if why := _not_empty(run, lane, promised):
            return f"queue {queue!r}{f' of group {group!r}' if group else ''} {why}"
    unread = {
        story.queue for story in run.stories if story.enqueued and story.lane not in run.lanes
    }
    return f"nobody ever read queue {min(unread)!r}" if unread else ""


def _not_empty(run: Run, lane: Lane, promised: Guarantees) -> str:
    if not lane.drains:
        return "was never drained"
    if not all(op.sure for op in lane.drains):
        return "has a drain that did not end well"
    last_job = max((op.begin for op in lane.drains if op.said.job is not None), default=-1)
    mended = max((fault.end for fault in run.faults), default=-1)
    empty = [op for op in lane.drains if op.said.job is None and op.begin >= max(last_job, mended)]
    apart = nanoseconds(promised.horizon)
    first, last = (empty[0], empty[-1]) if empty else (None, None)
    if first is None or last is None or first is last or last.end - first.begin < apart:
        return f"was not seen empty twice, {promised.horizon:g} s apart, after all else"
    return ""
