"""Who held a job when, who settled it, and how its deliveries were counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from qcore_conformance.events import Verb
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.operations import Operation, nanoseconds
from qcore_conformance.stories import ENDS, Run, Story, Taking
from qcore_conformance.verdicts import Finding, Result, judge, not_claimed

__all__ = ["attempts", "fence", "overlap"]


def overlap(run: Run, promised: Guarantees) -> Result:
    """No job is delivered while the lease of an earlier delivery is surely alive."""
    leased = promised.lease or any(op.said.lease for op in run.operations)
    if not promised.at_least_once or not leased:
        return not_claimed("overlap")
    return judge(
        "overlap",
        (
            Finding("delivered under a live lease", second.take.end, story)
            for story, first, second in _pairs(run, promised)
            if _overlaps(promised, first, second)
            and not run.forgot(promised, first.take.begin, second.take.end)
        ),
    )


def fence(run: Run, promised: Guarantees) -> Result:
    """No settle succeeds after the job was delivered once more."""
    if not promised.fenced:
        return not_claimed("fence")
    return judge(
        "fence",
        (
            Finding(f"{op.verb} by a holder who had lost it", op.end, story)
            for story, first, second in _pairs(run, promised)
            if _follows(first, second)
            for op in first.settles + first.extends
            if op.sure and _late(story, op, second)
            if not run.forgot(promised, first.take.begin, op.end)
        ),
    )


def attempts(run: Run, promised: Guarantees) -> Result:
    """The delivery number grows with each delivery, the attempt with each retry or expiry."""
    if not promised.attempts:
        return not_claimed("attempts")
    return judge(
        "attempts",
        (
            found
            for story in run.stories
            if story.copies(idempotent=promised.idempotent) == 1
            for found in _miscounts(run, story)
            if not run.forgot(promised, story.enqueues[0].begin, found.at)
        ),
    )


def _pairs(run: Run, promised: Guarantees) -> Iterator[tuple[Story, Taking, Taking]]:
    """Yield all pairs of deliveries of jobs of which there was surely one copy."""
    for story in run.stories:
        if story.copies(idempotent=promised.idempotent) <= 1:
            for first, second in combinations(story.takings, 2):
                yield story, first, second


def _follows(first: Taking, second: Taking) -> bool:
    """Whether the second delivery surely came after the first."""
    numbers = first.take.said.number, second.take.said.number
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] < numbers[1]
    return first.take.end <= second.take.begin


def _overlaps(promised: Guarantees, first: Taking, second: Taking) -> bool:
    if _follows(first, second):
        return _live(promised, first, second)
    return _live(promised, first, second) and _live(promised, second, first)


def _live(promised: Guarantees, holder: Taking, other: Taking) -> bool:
    """Whether the holder surely had the job when the other got it."""
    got = other.take.end
    hidden = holder.hidden_until(promised.lease, seen=got)
    freed = holder.freed_at()
    if hidden is None or (freed is not None and freed <= got):
        return False
    return got + nanoseconds(promised.slack) < hidden


def _late(story: Story, op: Operation, second: Taking) -> bool:
    """Whether a settle took effect although the next delivery had begun.

    Between an end and a later delivery one has to be wrong even when they were concurrent.
    """
    if op.verb is Verb.DEAD and story.redriven(second.take.end):
        return False
    if op.verb in ENDS:
        return second.take.begin < op.end
    return second.take.end <= op.begin


def _miscounts(run: Run, story: Story) -> Iterator[Finding]:
    first = story.takings[0] if story.takings else None
    if first is not None and first.take.said.number is not None:
        yield from _wrong_start(run, story, first)
    for before, after in pairwise(story.takings):
        numbers = before.take.said.number, after.take.said.number
        if numbers[0] is None or numbers[1] is None:
            continue
        jump = numbers[1] - numbers[0]
        at = after.take.end
        if jump < 1:
            yield Finding(f"delivery number {numbers[1]} after {numbers[0]}", at, story)
        elif jump > 1 and not _ghosts(run, story, before.take.begin, at):
            yield Finding(f"delivery number jumped from {numbers[0]} to {numbers[1]}", at, story)
        elif why := _wrong_growth(story, before, after, jump):
            yield Finding(why, at, story)


def _wrong_start(run: Run, story: Story, first: Taking) -> Iterator[Finding]:
    number, attempt, at = first.take.said.number or 0, first.take.said.attempt, first.take.end
    if number < 1 or (number > 1 and not _ghosts(run, story, story.enqueues[0].begin, at)):
        yield Finding(f"the first delivery has the number {number}", at, story)
    if attempt is not None and not 1 <= attempt <= max(1, number):
        yield Finding(f"the first delivery is attempt {attempt}", at, story)


def _wrong_growth(story: Story, before: Taking, after: Taking, jump: int) -> str:
    """Compare attempts: a retry adds one, a release none, an expiry one if work had begun."""
    old, new = before.take.said.attempt, after.take.said.attempt
    if old is None or new is None or story.redriven(after.take.end):
        return ""
    grown = new - old
    least = any(op.sure for op in before.settled(Verb.RETRY))
    released = any(op.sure for op in before.settled(Verb.RELEASE))
    most = jump - 1 + (0 if released else 1)
    if least <= grown <= most:
        return ""
    ending = "a retry" if least else "a release" if released else "an expiry"
    return f"attempt {new} after attempt {old} and {ending}"


def _ghosts(run: Run, story: Story, begin: int, end: int) -> bool:
    """Whether somebody may have taken the job without the history knowing."""
    ghosts = run.lane_of(story).ghosts
    return bool(run.faults_within(begin, end)) or any(
        op.begin <= end and op.end >= begin for op in ghosts
    )
