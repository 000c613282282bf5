"""Workers that are killed at every boundary of everything they do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.steps import STEPS, Step
from qcore_conformance.suite.sweep import Death, Sweep, possible


@pytest.mark.parametrize(
    "step",
    [pytest.param(one, marks=pytest.mark.qcore_invariant(*one.ids)) for one in STEPS.values()],
    ids=str,
)
@invariant("Q-REC-02", "Q-OBS-02")
def test_a_worker_killed_at_any_boundary_leaves_each_job_in_one_place(bed: Bed, step: Step) -> None:
    """Nothing is lost, nothing is there twice, all can be had again, and the counters know it."""
    sweep = Sweep(bed, step)

    deaths = sweep.deaths()

    for death in deaths:
        assert possible(step, death), f"{death.where}: {death.left}"
    if not step.waits:
        _the_later_the_more(step, deaths)
    for death in deaths:
        found = sweep.recover(death)
        assert len({one.job.id for one in found}) == len(found), death.where
    sweep.forget(deaths)
    bed.figure(f"deaths in {step}", len(deaths), "")


def _the_later_the_more(step: Step, deaths: Sequence[Death]) -> None:
    """See that a worker had done nothing before its first request, and all after its last."""
    progress = [list(step.states).index(death.left) for death in deaths]
    last = len(step.states) - 1
    if step.states[0] != step.states[-1]:
        assert progress == sorted(progress), "a later death did less"
        assert (progress[0], progress[-2:]) == (0, [last, last]), progress
