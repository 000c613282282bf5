"""The model: whatever is called in whatever order, each answer is one of those that are allowed."""

from __future__ import annotations

from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.model.listening import Listening
from qcore_conformance.model.machine import Counting, Storing
from qcore_conformance.model.play import play


@invariant("Q-MODEL-01")
def test_every_answer_is_one_that_the_model_allows(bed: Bed) -> None:
    """Over all calls, on several queues and connections, seen whole after each step."""
    stores = bed.capabilities.value("delivery") == "at_least_once"
    play(bed, Storing if stores else Listening, bed.many(100))


@invariant("Q-OBS-01")
def test_the_counts_add_up_after_each_step(bed: Bed) -> None:
    """Enqueued is what is there, done or dropped: after any calls, with nothing else looked at."""
    play(bed, Counting, bed.many(50))
