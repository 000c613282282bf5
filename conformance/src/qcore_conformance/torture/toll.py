"""What a round cost, in numbers that add up over rounds.

In go the checker's report on a round; out comes a ``Toll``. Nothing here reads a clock or a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import attrs

from qcore_conformance.checker import Report
from qcore_conformance.checks.totals import kills_of_holders
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.measuring import percentile
from qcore_conformance.operations import Operation, seconds
from qcore_conformance.stories import Run, Taking
from qcore_conformance.verdicts import Verdict

__all__ = ["BROKEN", "Toll", "toll_of", "total"]

BROKEN: Sequence[str] = (
    "lost",
    "unexpected",
    "resurrected",
    "overlap",
    "fence",
    "duplicate unexplained",
    "attempts",
    "early",
    "conservation",
)
"""The checks of which each failure is a promise broken."""

_STRUCK = (FaultKind.KILL_WORKER, FaultKind.PAUSE_WORKER)


@attrs.frozen
class Toll:
    """The numbers of one round, or of several.

    Attributes:
        verdict: What the checker says.
        jobs: Jobs that were enqueued for certain, or seen later.
        deliveries: How often one was handed out.
        faults: Faults by kind.
        kills_of_holders: Kills that struck a worker with a job in its hands.
        broken: Failures by check.
        explained: Deliveries again, for a good reason.
        unknown_enqueues: Jobs whose enqueue ended unknown and that were delivered after all.
        recoveries: Seconds from a kill or freeze to the next delivery of each job that was held.
        stories: The whole story of what failed, in words; empty if nothing did.
    """

    verdict: Verdict
    jobs: int = 0
    deliveries: int = 0
    faults: Mapping[str, int] = attrs.field(factory=dict[str, int])
    kills_of_holders: int = 0
    broken: Mapping[str, int] = attrs.field(factory=dict[str, int])
    explained: int = 0
    unknown_enqueues: int = 0
    recoveries: Sequence[float] = ()
    stories: str = ""

    def recovery(self, part: float) -> float:
        """The percentile of the recovery times in seconds; 0 if nothing had to be recovered."""
        return percentile(self.recoveries, part) if self.recoveries else 0.0


def toll_of(report: Report, promised: Guarantees) -> Toll:
    """Count what a report says."""
    run = report.run
    return Toll(
        verdict=report.verdict,
        jobs=sum(bool(story.enqueued or story.takings) for story in run.stories),
        deliveries=sum(len(story.takings) for story in run.stories),
        faults=Counter(str(op.said.fault) for op in run.faults),
        kills_of_holders=kills_of_holders(run, promised),
        broken={name: len(report[name].failures) for name in BROKEN},
        explained=len(report["duplicate explained"].counted),
        unknown_enqueues=len(report["recovered"].counted),
        recoveries=sorted(_recoveries(run)),
        stories="" if report.verdict is Verdict.PASS else report.text(),
    )


def _recoveries(run: Run) -> Iterator[float]:
    """How long each job was away whose holder was struck before it had settled it."""
    strikes: dict[str, list[Operation]] = {}
    for fault in run.faults:
        if fault.said.fault in _STRUCK:
            strikes.setdefault(fault.said.target or "", []).append(fault)
    for story in run.stories:
        for before, after in pairwise(story.takings):
            struck = _struck_in(before, after, strikes)
            if struck is not None:
                yield seconds(after.take.end - struck.begin)


def _struck_in(
    before: Taking, after: Taking, strikes: Mapping[str, Sequence[Operation]]
) -> Operation | None:
    """The first fault that struck the holder between two deliveries, if it was still holding."""
    until = min([after.take.end, *(op.begin for op in before.settles if op.possible)])
    mine = strikes.get(before.take.name, ())
    return next((op for op in mine if before.take.end <= op.begin < until), None)


def total(tolls: Sequence[Toll]) -> Toll:
    """Add rounds up; the worst verdict counts."""
    verdicts = {toll.verdict for toll in tolls}
    worst = next((one for one in (Verdict.FAIL, Verdict.UNKNOWN) if one in verdicts), Verdict.PASS)
    return Toll(
        verdict=worst,
        jobs=sum(toll.jobs for toll in tolls),
        deliveries=sum(toll.deliveries for toll in tolls),
        faults=_sum([toll.faults for toll in tolls]),
        kills_of_holders=sum(toll.kills_of_holders for toll in tolls),
        broken=_sum([toll.broken for toll in tolls]),
        explained=sum(toll.explained for toll in tolls),
        unknown_enqueues=sum(toll.unknown_enqueues for toll in tolls),
        recoveries=sorted(one for toll in tolls for one in toll.recoveries),
        stories="\n\n".join(toll.stories for toll in tolls if toll.stories),
    )


def _sum(parts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    whole = Counter[str]()
    for part in parts:
        whole.update(part)
    return {name: whole[name] for part in parts for name in part}
