"""The verdict over a run as text: a line for each check, then the stories of the failing jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import asdict

from .events import Event, Verb
from .operations import Operation
from .stories import Run, Story
from .verdicts import Finding, Result, Verdict

__all__ = ["tell"]

_HEAD = frozenset({"time", "process", "call", "kind", "verb", "job"})


def tell(
    verdict: Verdict,
    results: Mapping[str, Result],
    run: Run,
    *,
    seed: int | str | None,
    stories: int,
) -> str:
    """Write the report of a run.

    Args:
        verdict: The verdict over all.
        results: The answer of each check.
        run: What they were given on.
        seed: What the run's random choices were made from.
        stories: How many failing jobs of each check to tell in full.
    """
    lines = [f"{verdict.upper()}, seed {seed}"]
    lines += [_summary(result) for result in results.values()]
    for result in results.values():
        for finding in result.failures[:stories]:
            lines += ["", *_tell_finding(result, finding, run)]
        if len(result.failures) > stories:
            lines += ["", f"{result.check}: {len(result.failures) - stories} more like these"]
    return "\n".join(lines)


def _summary(result: Result) -> str:
    found = f"{len(result.failures)} failed, {len(result.counted)} counted"
    return f"  {result.check:22} {result.verdict:12} {found}  {result.note}".rstrip()


def _tell_finding(result: Result, finding: Finding, run: Run) -> Iterator[str]:
    subject = finding.story.job if finding.story else "the run"
    yield f"{result.check}: {subject}: {finding.why}, at {_clock(finding.at, run)}"
    fault = _nearest(run, finding.at)
    if fault is not None:
        ahead = (finding.at - fault.begin) / 1e9
        where = f"{ahead:.3f} s before" if ahead >= 0 else f"{-ahead:.3f} s after"
        yield f"  nearest fault: {fault.said.fault} {fault.said.target or ''}, {where}".rstrip()
    if finding.story is not None:
        yield from (_line(event, run) for event in _whole(finding.story, finding.at, run))


def _nearest(run: Run, at: int) -> Operation | None:
    return min(run.faults, key=lambda fault: abs(fault.begin - at), default=None)


def _whole(story: Story, at: int, run: Run) -> list[Event]:
    """Return all events of a job, as its group saw it, among the faults of its time."""
    calls = {_call(event) for event in run.events if _is_about(event, story)}
    own = [
        event for event in run.events if _call(event) in calls and event.job in (None, story.job)
    ]
    begin = min((event.time for event in own), default=at)
    end = max((event.time for event in own), default=at)
    faults = (event for event in run.events if event.verb is Verb.FAULT)
    near = [event for event in faults if begin <= event.time <= max(end, at)]
    return sorted(own + near, key=lambda event: event.time)


def _is_about(event: Event, story: Story) -> bool:
    mine = event.verb is Verb.ENQUEUE or (event.group or "") == story.group
    return event.job == story.job and mine


def _call(event: Event) -> tuple[str, int]:
    return event.process, event.call


def _line(event: Event, run: Run) -> str:
    said = asdict(event, filter=lambda field, value: value is not None and field.name not in _HEAD)
    details = " ".join(f"{name}={value}" for name, value in said.items())
    head = f"  {_clock(event.time, run):>10}  {event.process:8} {event.kind:6} {event.verb}"
    return f"{head} {details}".rstrip()


def _clock(time: int, run: Run) -> str:
    return f"{(time - run.start) / 1e9:.3f} s"
