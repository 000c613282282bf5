"""Workers that are killed at every boundary of everything they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import attrs
import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.steps import KEPT, MOVES, PRODUCTIONS, RECORDED, STEPS, Step, moved_to
from qcore_conformance.suite.aftermath import accounted, collect, contents, whereabouts
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


_ANONYMOUS = [PRODUCTIONS[name] for name in ("produce", "produce-later")]
_NAMED = [PRODUCTIONS[name] for name in ("produce-with-id", "produce-with-key")]


@pytest.mark.parametrize("step", _ANONYMOUS, ids=str)
@invariant("Q-REC-02", "Q-REC-03")
def test_what_a_killed_producer_leaves_is_whole_to_the_last_byte(bed: Bed, step: Step) -> None:
    """Bodies and headers of all its jobs, or not one job; also of those that are not due yet."""
    sweep = Sweep(bed, step)

    deaths = sweep.deaths()

    for death in deaths:
        assert possible(step, death), f"{death.where}: {death.left}"
        later = _peeked(death.queue) if "delayed" in death.left else []
        found = [one.job for one in sweep.recover(death)]
        wanted = step.makes if death.left else ()
        assert contents([*found, *later]) == contents(wanted), death.where
    sweep.forget(deaths)


@pytest.mark.parametrize("step", RECORDED.values(), ids=str)
@invariant("Q-STATE-02", "Q-REC-02")
def test_a_record_says_where_its_job_is_wherever_the_worker_died(bed: Bed, step: Step) -> None:
    """None says finished while the job can still be had, or the reverse; a result has its end."""
    sweep = Sweep(bed, step)

    deaths = sweep.deaths()

    for death in deaths:
        assert possible(step, death), f"{death.where}: {death.left}"
        _agreed(death.queue, death.where)
        sweep.recover(death)
        _agreed(death.queue, death.where)


def _agreed(queue: qcore.Queue, where: str) -> None:
    """See that the records say what the queue itself says."""
    places = {job_id: states[0] for job_id, states in whereabouts(queue).items()}
    records = [record for record in queue.get_many(KEPT) if record is not None]
    said = Counter(str(record.state) for record in records if record.id not in places)
    stats = queue.stats()
    assert said == Counter(done=stats.acked, dropped=stats.dropped), where
    assert {one.id: one.state for one in records if one.id in places} == places, where
    for record in records:
        assert record.result in (None, b"result"), where
        assert record.result is None or record.state == "done", where


def _peeked(queue: qcore.Queue) -> list[qcore.Job]:
    """The jobs that are not due yet, as far as they can be read."""
    return [one.job for one in queue.peek("delayed") if one.job is not None]


@pytest.mark.parametrize("step", _NAMED, ids=str)
@invariant("Q-REC-02", "Q-REC-03", "Q-DEDUP-02")
def test_a_killed_producer_that_tries_again_adds_only_what_is_missing(bed: Bed, step: Step) -> None:
    """Whoever takes over uses the same names, and needs not know how far the dead one had come."""
    sweep = Sweep(bed, step)

    deaths = sweep.deaths()

    for death in deaths:
        assert possible(step, death), f"{death.where}: {death.left}"
        again = death.queue.enqueue_many(step.makes)
        assert {one.created for one in again} == {not death.left}, death.where
        left = counts(death.queue)
        assert left == step.states[-1], death.where
        found = [one.job for one in sweep.recover(attrs.evolve(death, left=left))]
        assert sorted(one.id for one in found) == sorted(again), death.where
        assert contents(found) == contents(step.makes), death.where
    sweep.forget(deaths)


@pytest.mark.parametrize("step", MOVES.values(), ids=str)
@invariant("Q-REC-02", "Q-MOVE-02")
def test_a_killed_mover_leaves_each_job_in_one_of_two_queues(bed: Bed, step: Step) -> None:
    """It is there as it was, and moving on brings what is left."""
    if not bed.claims("peek", *step.needs):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('peek', *step.needs)}")
    sweep = Sweep(bed, step)

    deaths = sweep.deaths()

    _the_later_the_more(step, deaths)
    for death in deaths:
        other = sweep.queue(moved_to(death.queue))
        here, there = whereabouts(death.queue), whereabouts(other)
        assert sorted(map(len, (here, there))) == [0, 3], f"{death.where}: {here}, {there}"
        accounted(bed, death.queue)
        accounted(bed, other)
        (state,) = step.states[0]
        assert death.queue.move(other.name, state) == len(here)
        assert death.queue.stats().enqueued == 0
        assert other.stats().enqueued == 3
        if state == "delayed":
            assert other.purge(state) == 3
        else:
            collect(bed, other, 3)
        accounted(bed, other)
        assert death.queue.reserve(timeout=0) is other.reserve(timeout=0) is None
    sweep.forget(deaths)
