"""Names of queues: each works and is its own, or is refused; none is a pattern."""

from __future__ import annotations

import contextlib

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import drained

_SPECIAL = ":{}*?[]\\ /#%|+$^.,;&=<>@!~_-'\"\0\n\t"
_ODD = (
    *(f"a{character}b" for character in _SPECIAL),
    *("aXb", "ab", "a", "A", "0", "-", ".", "..", "_", "*", "", " ", "a*", "?b", "[ab]", "a[X]b"),
    *("ä", "a\u0308", "日本", "😀", "\u202ea", "a\ud800", "NaN", "null", "q:meta", "{q}", "q}:x{q"),
)


@invariant("Q-NAME-01")
def test_odd_names_are_refused_or_lead_to_queues_of_their_own(bed: Bed) -> None:
    """Neither do two of them share a queue, nor does one lead into another's."""
    longest = bed.capabilities.limits.name
    plain = ["n" * longest, "n" * (longest - 1) + "m", "n" * (longest - 1), "n"]
    queues = _accepted(bed, [*_ODD, *plain])
    for queue in queues.values():
        queue.subscribe()

    for name, queue in queues.items():
        queue.enqueue(name.encode())

    assert {*plain, "a", "A", "aXb"} <= queues.keys()
    found = {
        name: [one.job.body.decode() for one in drained(each)] for name, each in queues.items()
    }
    assert found == {name: [name] for name in queues}
    bed.figure("odd names that work", len(queues), f"of {len(_ODD) + len(plain)}")


def _accepted(bed: Bed, names: list[str]) -> dict[str, qcore.Queue]:
    """The queues that can be opened; the others are refused at once, as a wrong input."""
    queues: dict[str, qcore.Queue] = {}
    for name in names:
        with contextlib.suppress(qcore.InvalidInput):
            queues[name] = bed.connection.queue(name)
    return queues


@invariant("Q-NAME-01")
def test_a_name_that_is_too_long_is_refused(bed: Bed) -> None:
    """When the queue is opened."""
    with pytest.raises(qcore.LimitExceeded, match=str(bed.capabilities.limits.name)):
        bed.connection.queue("n" * (bed.capabilities.limits.name + 1))


@invariant("Q-NAME-01")
@pytest.mark.parametrize("name", [None, 1, b"q", True, 1.5, ["q"]], ids=repr)
def test_a_name_is_text(bed: Bed, name: object) -> None:
    """Anything else is refused when the queue is opened."""
    with pytest.raises(qcore.InvalidInput):
        bed.connection.queue(name)  # type: ignore[arg-type]


@invariant("Q-NAME-01")
def test_what_is_done_to_a_queue_is_done_to_no_other(bed: Bed) -> None:
    """Counting, looking and dropping: no character of a name stands for another."""
    if not bed.claims("stats", "peek", "purge"):
        raise NotApplicable(f"{bed.capabilities.adapter} cannot be looked into")
    names = ("a*b", "a?b", "a.b", "a_b", "a%b", "a-b", "aXb", "a[X]b", "aXXb", "a", "ab", "b")
    queues = _accepted(bed, list(names))
    for number, queue in enumerate(queues.values()):
        queue.enqueue_many([queue.name.encode()] * (number + 1))

    assert bed.connection.queues() == sorted(queues)
    for number, queue in enumerate(queues.values()):
        assert queue.stats().ready == number + 1
        assert {job.job.body.decode() for job in queue.peek() if job.job} == {queue.name}
        assert queue.purge() == number + 1
        left = [each.stats().ready for each in queues.values()]
        assert left == [0] * (number + 1) + list(range(number + 2, len(left) + 1))
