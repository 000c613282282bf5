"""Jobs that were delivered more than once, and why."""

from __future__ import annotations

from collections.abc import Iterator, Set as AbstractSet
from itertools import pairwise

from qcore_conformance.events import FaultKind, Verb
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.operations import nanoseconds
from qcore_conformance.stories import Run, Story, Taking
from qcore_conformance.verdicts import Finding, Result, Verdict, judge, not_claimed

__all__ = ["explained", "resurrected", "unexplained"]

_GIVEN_UP = {Verb.RELEASE: "released", Verb.RETRY: "retried"}
_PAUSES = frozenset({FaultKind.PAUSE_WORKER, FaultKind.PAUSE_SERVER})
_DEADLY = frozenset(FaultKind) - _PAUSES
"""Those after which a holder is dead, or cut off from the broker."""


def explained(run: Run, promised: Guarantees) -> Result:
    """Deliveries again, for a good reason: counted, within the bound that was set."""
    found = [
        Finding(f"delivered again: {why}", taking.take.end, story)
        for story, taking, why in _again(run, promised)
        if why
    ]
    if not promised.at_least_once:
        return judge("duplicate explained", found)
    bound = promised.duplicates
    note = f"{len(found)} of at most {'any' if bound is None else bound}"
    verdict = Verdict.PASS if bound is None or len(found) <= bound else Verdict.FAIL
    return Result("duplicate explained", verdict, (), tuple(found), note)


def unexplained(run: Run, promised: Guarantees) -> Result:
    """No job is delivered again without a reason."""
    return judge(
        "duplicate unexplained",
        (
            Finding("delivered again without any reason", taking.take.end, story)
            for story, taking, why in _again(run, promised)
            if not why
        ),
    )


def resurrected(run: Run, promised: Guarantees) -> Result:
    """No job is delivered in a reserve that began after its ack had returned."""
    if not promised.at_least_once:
        return not_claimed("resurrected")
    failures: list[Finding] = []
    counted: list[Finding] = []
    for story in run.stories:
        for taking in story.takings:
            if ended := _ended_before(story, taking, promised):
                finding = Finding("delivered after it had ended", taking.take.end, story)
                forgot = run.forgot(promised, ended, taking.take.end)
                (counted if forgot else failures).append(finding)
    return judge("resurrected", failures, counted)


def _ended_before(story: Story, taking: Taking, promised: Guarantees) -> int | None:
    """Return when the last copy of the job had ended, if that was before this delivery."""
    take = taking.take
    ends = [
        op
        for op in story.ends
        if op.sure
        and op.end <= take.begin
        and not (op.verb is Verb.DEAD and story.redriven(take.end))
    ]
    sent = sum(op.possible and op.begin <= take.end for op in story.enqueues)
    copies = min(sent, 1) if promised.idempotent else sent
    return max(op.end for op in ends) if ends and len(ends) >= copies else None


def _again(run: Run, promised: Guarantees) -> Iterator[tuple[Story, Taking, str]]:
    """Yield each delivery after the first with the reason for it, which may be empty.

    A job that came back after its end is not among them, where that is a failure of its own.
    """
    for story in run.stories:
        for before, taking in pairwise(story.takings):
            if promised.at_least_once and _ended_before(story, taking, promised):
                continue
            yield story, taking, _reason(run, promised, story, before, taking)


def _reason(run: Run, promised: Guarantees, story: Story, before: Taking, after: Taking) -> str:
    why = _reason_of(run, promised, story, before, after)
    if not why and after.take.begin <= before.take.end:  # either may have been the first
        why = _reason_of(run, promised, story, after, before)
    return why


def _reason_of(run: Run, promised: Guarantees, story: Story, before: Taking, after: Taking) -> str:
    at = after.take.end
    settles = [op for op in before.settles if op.possible and op.begin <= at]
    given_up = [op.verb for op in settles if op.verb in _GIVEN_UP]
    hidden = before.hidden_until(promised.lease, seen=at)
    if given_up:
        return _GIVEN_UP[given_up[0]]
    if story.redriven(at):
        return "redriven"
    if hidden is not None and hidden <= at + nanoseconds(promised.slack):
        return "lease over"
    if why := _misfortune(run, before, at, told=hidden is not None):
        return why
    if any(op.unknown for op in settles) or story.copies(idempotent=promised.idempotent) > 1:
        return "lost reply"
    return ""


def _misfortune(run: Run, taking: Taking, until: int, *, told: bool) -> str:
    """What happened to the holder, if anything; ``told`` is whether its lease is known."""
    if _struck(run, taking, until, _DEADLY):
        return "crash"
    # Who keeps a lease by beats loses it when it cannot beat.
    return "holder stood still" if not told and _struck(run, taking, until, _PAUSES) else ""


def _struck(run: Run, taking: Taking, until: int, kinds: AbstractSet[FaultKind]) -> bool:
    """Whether such a fault met the holder or its way to the broker."""
    return any(
        fault.said.fault in kinds and fault.strikes(taking.take.name)
        for fault in run.faults_within(taking.take.begin, until)
    )
