"""The model objects to adapters that are broken on purpose, and to none that keeps its word."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs
import pytest

import qcore
from qcore.backend import Enqueue, Enqueued, Settle, Taken, TakeRequest
from qcore.memory.store import MemoryQueue
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.harnesses import MemoryHarness
from qcore_conformance.model.machine import Counting, Storing
from qcore_conformance.model.order import Line
from qcore_conformance.model.play import Machine, play

SEED = 7

enqueue, take, settle, stats = (
    MemoryQueue.enqueue,
    MemoryQueue.take,
    MemoryQueue.settle,
    MemoryQueue.stats,
)
lease_anew = MemoryQueue.lease_anew


@pytest.fixture
def bed() -> Iterator[Bed]:
    """A bed around the adapter in memory."""
    harness, name = MemoryHarness(f"memory://{uuid.uuid4().hex}"), "t"
    with qcore.connect(harness.url(name)) as connection:
        made = Bed(harness, Colour.SYNC, name, connection.capabilities, tier=0, seed=SEED)
        yield made
        made.close()


def ignores_priority(self: MemoryQueue, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
    """All jobs are of one level."""
    return enqueue(self, [attrs.evolve(one, priority=0) for one in jobs], now)


def forgets_names(self: MemoryQueue, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
    """No id and no key was ever seen before."""
    return enqueue(self, [attrs.evolve(one, unique=False, dedup=None) for one in jobs], now)


def forgets_delays(self: MemoryQueue, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
    """Everything is due at once."""
    return enqueue(self, [attrs.evolve(one, delay_ms=0) for one in jobs], now)


def stores_backwards(self: MemoryQueue, jobs: Sequence[Enqueue], now: float) -> list[Enqueued]:
    """The last of a batch comes first."""
    return enqueue(self, jobs[::-1], now)[::-1]


def forgets_attempts(self: MemoryQueue, request: TakeRequest, owner: str, now: float) -> Taken:
    """Every attempt is the first."""
    found = take(self, request, owner, now)
    return attrs.evolve(found, jobs=[attrs.evolve(one, attempt=1) for one in found.jobs])


def forgets_deliveries(self: MemoryQueue, request: TakeRequest, owner: str, now: float) -> Taken:
    """Every delivery is the first."""
    found = take(self, request, owner, now)
    return attrs.evolve(found, jobs=[attrs.evolve(one, number=1) for one in found.jobs])


def hands_out_twice(self: MemoryQueue, request: TakeRequest, owner: str, now: float) -> Taken:
    """What is in hand is ready as well."""
    found = take(self, request, owner, now)
    settle(self, [Settle(one.token, qcore.Verb.RELEASE) for one in found.jobs[1:]], now)
    return found


def hands_out_together(self: MemoryQueue, request: TakeRequest, owner: str, now: float) -> Taken:
    """A job that killed its holder is one of many."""
    found = take(self, request, owner, now)
    rest = request.limit - len(found.jobs)
    if found.jobs and rest:
        more = take(self, attrs.evolve(request, limit=rest), owner, now)
        return attrs.evolve(more, jobs=[*found.jobs, *more.jobs])
    return found


def never_recovers(self: MemoryQueue, taken: Taken, until: float) -> Taken:
    """The jobs of a lost holder are lost with it."""
    return lease_anew(self, taken, until + 600)


def loses_what_is_released(self: MemoryQueue, steps: Sequence[Settle], now: float) -> list[bool]:
    """A release is the end of a job, and is not counted."""
    release = qcore.Verb.RELEASE
    changed = [
        attrs.evolve(one, verb=qcore.Verb.RETRY, millis=600_000) if one.verb is release else one
        for one in steps
    ]
    return settle(self, changed, now)


def settles_too_late(self: MemoryQueue, steps: Sequence[Settle], now: float) -> list[bool]:
    """A lease that is over still counts."""
    acks = all(one.verb is qcore.Verb.ACK for one in steps)
    return settle(self, steps, 0.0 if acks else now)


def says_yes_always(self: MemoryQueue, steps: Sequence[Settle], now: float) -> list[bool]:
    """Nobody hears that his delivery was lost."""
    return [True for _ in settle(self, steps, now)]


def cancels_nothing(self: MemoryQueue, job_id: str) -> None:
    """No job is found."""
    del self, job_id


def does_not_pause(self: MemoryQueue) -> None:
    """Everything goes on."""
    del self


def counts_wrongly(self: MemoryQueue) -> qcore.QueueStats:
    """What is held is shown as ready."""
    found = stats(self)
    return attrs.evolve(found, held=0, ready=found.ready + found.held)


def forgets_the_dropped(self: MemoryQueue) -> qcore.QueueStats:
    """What was dropped was never there."""
    found = stats(self)
    return attrs.evolve(found, dropped=0, enqueued=found.enqueued - found.dropped)


Broken: TypeAlias = Callable[..., object]

BROKEN: Mapping[str, Sequence[Broken]] = {
    "enqueue": (ignores_priority, forgets_names, forgets_delays, stores_backwards),
    "take": (
        forgets_attempts,
        forgets_deliveries,
        hands_out_twice,
        hands_out_together,
    ),
    "lease_anew": (never_recovers,),
    "settle": (loses_what_is_released, settles_too_late, says_yes_always),
    "cancel": (cancels_nothing,),
    "pause": (does_not_pause,),
    "stats": (counts_wrongly, forgets_the_dropped),
}
BY_COUNTS = (forgets_names, loses_what_is_released, hands_out_twice, *BROKEN["stats"])


def objection(bed: Bed, machine: type[Machine]) -> list[str]:
    """What the model has to say, line by line."""
    with pytest.raises(AssertionError) as caught:
        play(bed, machine, 60, shortening=0.5)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("name", "broken"),
    [(name, one) for name, several in BROKEN.items() for one in several],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_model_objects_to_what_is_broken(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, name: str, broken: Broken
) -> None:
    """And tells the calls that show it, with their answers and the seed."""
    monkeypatch.setattr(MemoryQueue, name, broken)
    error, seed, *calls = objection(bed, Storing)
    assert error.startswith("Differs: ")
    assert f"--qcore-seed={SEED}" in seed
    assert all(f"{number}. " in call for number, call in enumerate(calls, 1))


@pytest.mark.parametrize("broken", BY_COUNTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_counts_alone_betray_some(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, broken: Broken
) -> None:
    """Though nothing else is looked at."""
    (name,) = (name for name, several in BROKEN.items() if broken in several)
    monkeypatch.setattr(MemoryQueue, name, broken)
    objection(bed, Counting)


def test_the_model_objects_to_another_order_than_the_declared_one(bed: Bed) -> None:
    """The memory keeps its word of ``head``, and no other."""
    bed.capabilities = bed.capabilities.lowered("reentry", "tail", "")
    assert "before" in objection(bed, Storing)[0]


def test_the_model_leaves_open_what_an_adapter_leaves_open(bed: Bed) -> None:
    """Whoever promises no order is free to keep one."""
    bed.capabilities = bed.capabilities.lowered("reentry", "undefined", "")
    play(bed, Storing, 5)
    bed.capabilities = bed.capabilities.lowered("order", "none", "")
    play(bed, Storing, 5)


def test_places_are_as_exact_as_the_declaration() -> None:
    """At the head what came back last is first; before the new, they wait for each other."""
    head, grouped = Line("head", ordered=True), Line("before_new", ordered=True)
    for line in (head, grouped):
        new, first, second = line.new(), line.returned(), line.returned()
        assert first.before(new)
        assert second.before(new)
        assert second.before(first) == (line is head)
        assert not first.before(second)
        assert line.redriven().before(line.new())
        assert line.redriven().before(new) == (line is grouped)
