"""A correct queue never fails, whatever happens to it, and every forgery is found."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import pytest
from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from conformance.tests.kit.model import LEASE, PROMISED, Simulation
from qcore_conformance.checker import check
from qcore_conformance.events import Event, Kind, Verb
from qcore_conformance.history import merge
from qcore_conformance.operations import nanoseconds
from qcore_conformance.stories import Story, read_run
from qcore_conformance.verdicts import Verdict

PATIENT = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much]
)
# A seed instead of drawn choices: a run makes thousands of them, and is repeated by its seed.
chances = st.integers(0, 2**32).map(random.Random)
lengths = st.integers(0, 150)


@settings(PATIENT, max_examples=200)
@given(chance=chances, steps=lengths)
def test_a_correct_queue_never_fails(chance: random.Random, steps: int) -> None:
    """Killed workers, lost replies, zombies and overlapping calls are no reason to complain."""
    report = check(Simulation(chance).run(steps), PROMISED)
    assert report.verdict is Verdict.PASS, report.text()


@pytest.mark.parametrize("seed", range(5))
def test_a_long_run_of_a_correct_queue_never_fails(seed: int) -> None:
    """And it exercises what the checks are about."""
    report = check(Simulation(random.Random(seed)).run(3000), PROMISED)
    assert report.verdict is Verdict.PASS, report.text()
    assert len(report["duplicate explained"].counted) > 50
    assert report["recovered"].counted


def stories(events: Iterable[Event]) -> tuple[Story, ...]:
    """The stories of a history."""
    return read_run(events).stories


def pick(chance: random.Random, found: Iterator[Story]) -> Story:
    """One of the stories, or give the example up."""
    some = list(found)
    assume(some)
    return chance.choice(some)


def without(events: Iterable[Event], job: str, *verbs: Verb) -> tuple[Event, ...]:
    """The history with some calls about a job taken out."""
    events = tuple(events)
    out = {
        (event.process, event.call) for event in events if event.job == job and event.verb in verbs
    }
    return tuple(event for event in events if (event.process, event.call) not in out)


@PATIENT
@given(chance=chances, steps=lengths)
def test_a_delivery_without_its_enqueue_is_found(chance: random.Random, steps: int) -> None:
    """Taking the enqueue out makes the job unexpected."""
    events = Simulation(chance).run(steps)
    story = pick(chance, (story for story in stories(events) if story.takings))
    forged = without(events, story.job, Verb.ENQUEUE)
    assert check(forged, PROMISED)["unexpected"].verdict is Verdict.FAIL


@PATIENT
@given(chance=chances, steps=lengths)
def test_a_job_without_its_end_is_found(chance: random.Random, steps: int) -> None:
    """Taking ack and drain out makes the job lost."""
    events = Simulation(chance).run(steps)
    story = pick(chance, (story for story in stories(events) if story.enqueued))
    forged = without(events, story.job, Verb.ACK, Verb.DRAIN)
    assert check(forged, PROMISED)["lost"].verdict is Verdict.FAIL


@PATIENT
@given(chance=chances, steps=lengths)
def test_a_delivery_after_the_ack_is_found(chance: random.Random, steps: int) -> None:
    """One more delivery at the end brings an acked job back to life."""
    events = Simulation(chance).run(steps)
    acked = (story for story in stories(events) if any(op.sure for op in story.ends))
    story = pick(chance, acked)
    last = max(event.time for event in events) + 1
    again = evolve(story.takings[-1].take.said, process="z.1", call=1, time=last)
    forged = merge([*events, evolve(again, kind=Kind.INVOKE), evolve(again, time=last + 1)])
    assert check(forged, PROMISED)["resurrected"].verdict is Verdict.FAIL


@PATIENT
@given(chance=chances, steps=lengths)
def test_a_delivery_right_after_another_is_found(chance: random.Random, steps: int) -> None:
    """Nobody gave it up and no lease was over, so it is unexplained and an overlap."""
    events = Simulation(chance).run(steps)
    story = pick(chance, (story for story in stories(events) if story.takings))
    first = story.takings[-1].take
    assume(first.end - first.begin < nanoseconds(LEASE - 0.1))
    again = evolve(first.said, process="z.1", call=1, number=(first.said.number or 0) + 1)
    forged = merge(
        [
            *events,
            evolve(again, kind=Kind.INVOKE, time=first.end + 1, job=None),
            evolve(again, time=first.end + 2, receipt="forged"),
        ]
    )
    report = check(forged, PROMISED)
    assert report["duplicate unexplained"].verdict is Verdict.FAIL
    assert report["overlap"].verdict is Verdict.FAIL


@PATIENT
@given(chance=chances, steps=st.integers(50, 150))
def test_a_zombie_that_is_let_in_is_found(chance: random.Random, steps: int) -> None:
    """Turning a refusal into a success breaks the fence."""
    events = Simulation(chance).run(steps)
    late = [
        op
        for story in stories(events)
        for first, second in zip(story.takings, story.takings[1:], strict=False)
        for op in first.settles
        if not op.possible and second.take.end <= op.begin
    ]
    assume(late)
    refusal = chance.choice(late).said
    forged = [
        evolve(event, kind=Kind.OK, error=None)
        if (event.process, event.call, event.kind) == (refusal.process, refusal.call, Kind.FAIL)
        else event
        for event in events
    ]
    assert check(forged, PROMISED)["fence"].verdict is Verdict.FAIL


def with_other_bytes(event: Event) -> Event:
    """The delivery of another body."""
    return evolve(event, sha="x")


def with_another_number(event: Event) -> Event:
    """A delivery that was not counted right."""
    return evolve(event, number=0)


def with_another_attempt(event: Event) -> Event:
    """An attempt that was not counted right."""
    return evolve(event, attempt=99)


def from_another_queue(event: Event) -> Event:
    """A job that leaked."""
    return evolve(event, queue="other")


@pytest.mark.parametrize(
    "forge", [with_other_bytes, with_another_number, with_another_attempt, from_another_queue]
)
@PATIENT
@given(chance=chances, steps=lengths)
def test_a_forged_delivery_is_found(
    forge: Callable[[Event], Event], chance: random.Random, steps: int
) -> None:
    """Other bytes, another count or another queue do not pass."""
    events = Simulation(chance).run(steps)
    story = pick(chance, (story for story in stories(events) if story.takings))
    told = chance.choice(story.takings).take.said
    place = (told.process, told.call, Kind.OK)
    forged = [
        forge(event) if (event.process, event.call, event.kind) == place else event
        for event in events
    ]
    assert check(forged, PROMISED).verdict is Verdict.FAIL


@PATIENT
@given(chance=chances, steps=lengths)
def test_a_run_without_its_drain_is_unknown(chance: random.Random, steps: int) -> None:
    """Whatever else it shows, nobody looked into the queue at the end."""
    events = [event for event in Simulation(chance).run(steps) if event.verb is not Verb.DRAIN]
    assume(any(story.enqueued for story in stories(events)))
    assert check(events, PROMISED)["lost"].verdict is Verdict.UNKNOWN
