"""What a failing run tells whoever has to find out why."""

from __future__ import annotations

from conformance.tests.kit.tape import Tape
from qcore_conformance.checker import CHECKS, check
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees, Minimum
from qcore_conformance.verdicts import Verdict


def lossy() -> Tape:
    """A run in which a job is lost after its holder was killed."""
    tape = Tape().do("enqueue", 0, sha="5af").do("enqueue", 0.5, job="other")
    tape.do("reserve", 1, receipt="r1", number=1)
    return tape.fault(FaultKind.KILL_WORKER, 2, target="w").drained().do("drain", 60, job="other")


def test_a_failure_tells_the_whole_story_of_its_job() -> None:
    """Every event of the job, the faults of its time, the nearest one, and the seed."""
    text = check(lossy().drained().events, Guarantees(), seed=4711).text()
    expected = """\
lost: p-1: lost with all that p enqueued, at 1.010 s
  nearest fault: kill-worker w, 0.990 s after
     0.000 s  p.1      invoke enqueue queue=q sha=5af
     0.010 s  p.1      ok     enqueue queue=q sha=5af
     1.000 s  w.1      invoke reserve queue=q receipt=r1 number=1
     1.010 s  w.1      ok     reserve queue=q receipt=r1 number=1"""
    assert text.startswith("FAIL, seed 4711\n")
    assert expected in text


def test_a_story_shows_the_faults_of_its_time() -> None:
    """Between the first and the last event of the job."""
    tape = lossy().do("reserve", 20, by="v", queue="elsewhere")
    assert (
        "test.1   invoke fault fault=kill-worker target=w"
        in check(tape.events, Guarantees()).text()
    )


def test_other_jobs_stay_out_of_the_story() -> None:
    """Only what concerns the failing job is told."""
    story = check(lossy().drained().events, Guarantees()).text().partition("lost: p-1")[2]
    assert "other" not in story


def test_many_failures_are_told_by_a_few() -> None:
    """The rest is counted."""
    tape = Tape()
    for at in range(10):
        tape.do("enqueue", at, job=f"p-{at}")
    text = check(tape.drained().events, Guarantees()).text(stories=2)
    assert text.count("invoke enqueue") == 2
    assert "lost: 8 more like these" in text


def test_every_check_has_a_line() -> None:
    """Also those that were not claimed."""
    text = check(lossy().events, Guarantees()).text()
    assert all(f"\n  {name} " in text for name in CHECKS)
    assert "not claimed" in text


def test_a_failure_goes_before_an_unknown_and_that_before_a_pass() -> None:
    """One broken promise breaks the run."""
    unknown = Guarantees(minimum=Minimum(kills=1))
    assert check(Tape().drained().events, Guarantees()).verdict is Verdict.PASS
    assert check(Tape().drained().events, unknown).verdict is Verdict.UNKNOWN
    broken = Tape().do("reserve", 1).drained().events
    assert check(broken, unknown).verdict is Verdict.FAIL
