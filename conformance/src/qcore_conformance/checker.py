"""The verdict over a history: which promises it shows kept, broken, or not put to the test.

In go the merged events of a run and the guarantees it is held to; out comes a ``Report``. The
whole is a pure function, so a history kept from a failed run gives the same verdict again.

    report = check(load(folder), Guarantees(lease=2.0, recovery=1.0, fenced=True), seed=seed)
    assert report.verdict is Verdict.PASS, report.text()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import frozen

from .checks import duplicates, leases, losses, ordering, timing, totals
from .events import Event
from .guarantees import Guarantees
from .report import tell
from .stories import Run, read_run
from .verdicts import Result, Verdict

__all__ = ["CHECKS", "Report", "check"]

CHECKS: Mapping[str, Callable[[Run, Guarantees], Result]] = {
    "unexpected": losses.unexpected,
    "lost": losses.lost,
    "recovered": losses.recovered,
    "duplicate explained": duplicates.explained,
    "duplicate unexplained": duplicates.unexplained,
    "resurrected": duplicates.resurrected,
    "overlap": leases.overlap,
    "fence": leases.fence,
    "attempts": leases.attempts,
    "order": ordering.order,
    "priority": ordering.priority,
    "early": timing.early,
    "late": timing.late,
    "conservation": totals.conservation,
    "vacuous": totals.vacuous,
}
"""All checks by name, in the order of the report."""


@frozen(eq=False)
class Report:
    """What the checker says about one run.

    Args:
        verdict: ``fail`` if any check failed; else ``unknown`` if any could not tell.
        results: The answer of each check, by name.
        run: The run as it was read.
        seed: What the run's random choices were made from.
    """

    verdict: Verdict
    results: Mapping[str, Result]
    run: Run
    seed: int | str | None

    def __getitem__(self, check: str) -> Result:
        """The answer of one check."""
        return self.results[check]

    def text(self, *, stories: int = 3) -> str:
        """Write the report, with the whole story of the first failing jobs of each check."""
        return tell(self.verdict, self.results, self.run, seed=self.seed, stories=stories)


def check(
    events: Iterable[Event], promised: Guarantees, *, seed: int | str | None = None
) -> Report:
    """Hold a history to what was promised.

    Args:
        events: The merged history, in the order of time, as ``load`` gives it.
        promised: What the adapter claims; the rest is not judged.
        seed: Printed with every failure, so that it can be repeated.
    """
    run = read_run(events)
    results = {name: judge(run, promised) for name, judge in CHECKS.items()}
    return Report(_overall(result.verdict for result in results.values()), results, run, seed)


def _overall(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
        if verdict in found:
            return verdict
    return Verdict.PASS
