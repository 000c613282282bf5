"""Whether the sums are right, and whether enough happened for the run to prove anything."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from qcore_conformance.events import FaultKind, Verb
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.operations import FOREVER, Operation
from qcore_conformance.stories import Run, Story, Taking
from qcore_conformance.verdicts import Finding, Result, judge

from .drains import undrained

__all__ = ["conservation", "kills_of_holders", "redeliveries", "vacuous"]

_PARTS = ("ready", "delayed", "held", "acked", "dead", "dropped")


def conservation(run: Run, promised: Guarantees) -> Result:
    """Each job ends once and in one way, and the adapter's statistics agree."""
    failures = list(_wrong_sums(run, promised))
    if promised.at_least_once and promised.fenced:
        failures += [
            Finding(why, max(op.end for op in story.ends), story)
            for story in run.stories
            if (why := _ends_twice(run, promised, story))
        ]
    unknown = undrained(run, promised) if promised.at_least_once else ""
    return judge("conservation", failures, unknown=unknown, note=_balance(run))


def _ends_twice(run: Run, promised: Guarantees, story: Story) -> str:
    """Say how the job ended more often than there were copies of it, if it did.

    What somebody found to have happened tells that a job ended, not how often.
    """
    ends = [op for op in story.ends if op.sure]
    ways = sorted({op.verb for op in ends})
    calls = sum(op.begin > 0 for op in ends)
    copies = max(1, story.copies(idempotent=promised.idempotent))
    at = max((op.end for op in ends), default=0)
    if len(ways) <= copies and calls <= copies:
        return ""
    if story.redriven(at) or run.forgot(promised, ends[0].begin, at):
        return ""
    return f"{calls} calls ended it" if len(ways) == 1 else f"ended by {' and by '.join(ways)}"


def _balance(run: Run) -> str:
    """Count where the jobs went that were enqueued for certain or seen later."""
    ends = Counter[str]()
    for story in run.stories:
        if story.enqueued or story.takings:
            sure = [op.verb for op in story.over if op.sure]
            ends[sure[0] if sure else "drain" if story.drained else "nowhere"] += 1
    parts = " + ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    return f"{ends.total()} jobs = {parts}" if parts else "no jobs"


def _wrong_sums(run: Run, promised: Guarantees) -> Iterator[Finding]:
    by_queue: dict[str, list[Operation]] = defaultdict(list)
    for op in run.operations:
        by_queue[op.lane[0]].append(op)
    for stats in (op for op in run.operations if op.verb is Verb.STATS and op.sure):
        counts = stats.said.counts or {}
        for why in _wrong_parts(counts, promised):
            yield Finding(why, stats.end)
        for why in _wrong_counts(counts, by_queue[stats.lane[0]], stats, promised):
            yield Finding(why, stats.end)


def _wrong_parts(counts: Mapping[str, int], promised: Guarantees) -> Iterator[str]:
    parts = [counts[part] for part in _PARTS if part in counts]
    whole = counts.get("enqueued", sum(parts))
    if len(parts) == len(_PARTS) and abs(whole - sum(parts)) > promised.stats_error:
        yield f"{whole} enqueued, but the parts make {sum(parts)}"


def _wrong_counts(
    counts: Mapping[str, int], ops: list[Operation], stats: Operation, promised: Guarantees
) -> Iterator[str]:
    for name, verb in (("enqueued", Verb.ENQUEUE), ("acked", Verb.ACK)):
        least, most = _bounds(ops, verb, stats)
        told = counts.get(name, least)
        if not least - promised.stats_error <= told <= most + promised.stats_error:
            yield f"{told} {name}, but the history has {least} to {most}"


def _bounds(ops: Iterable[Operation], verb: Verb, stats: Operation) -> tuple[int, int]:
    """Count the jobs of which a call surely took effect before, and may have."""
    calls = [op for op in ops if op.verb is verb and op.possible and op.begin <= stats.end]
    sure = {op.said.job for op in calls if op.sure and op.end <= stats.begin}
    return len(sure), len({op.said.job for op in calls})


def vacuous(run: Run, promised: Guarantees) -> Result:
    """Too little happened: the run proves nothing, whatever the other checks say."""
    least = promised.minimum
    calls = sum(op.sure and op.verb is not Verb.FAULT for op in run.operations)
    wanted = (
        ("calls that returned", calls, least.calls),
        ("kills of a worker that held a job", kills_of_holders(run, promised), least.kills),
        ("redeliveries", redeliveries(run), least.redeliveries),
        ("faults", len(run.faults), least.faults),
    )
    short = [f"{have} {what} of at least {need}" for what, have, need in wanted if have < need]
    return judge("vacuous", (), unknown="; ".join(short))


def redeliveries(run: Run) -> int:
    """Count deliveries after the first."""
    return sum(max(0, len(story.takings) - 1) for story in run.stories)


def kills_of_holders(run: Run, promised: Guarantees) -> int:
    """Count the kills that struck a worker while it held at least one job."""
    kills: dict[str, list[Operation]] = defaultdict(list)
    for fault in run.faults:
        if fault.said.fault is FaultKind.KILL_WORKER:
            kills[fault.said.target or ""].append(fault)
    takings = [taking for story in run.stories for taking in story.takings]
    return len({kill for each in takings for kill in _kills_of(each, kills, promised)})


def _kills_of(
    taking: Taking, kills: Mapping[str, list[Operation]], promised: Guarantees
) -> Iterator[Operation]:
    """Yield the kills that struck the holder between this delivery and its end."""
    of_holder = kills.get(taking.take.name, [])
    hidden = taking.hidden_until(promised.lease, seen=FOREVER)
    settled = [op.end for op in taking.settles if op.sure]
    until = min([FOREVER if hidden is None else hidden, *settled])
    for kill in of_holder[bisect.bisect_left(of_holder, taking.take.end, key=lambda op: op.end) :]:
        if kill.begin >= until:
            return
        yield kill
