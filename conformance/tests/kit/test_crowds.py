"""What two consumers were handed is judged in the order in which the broker handed it out."""

from __future__ import annotations

from qcore_conformance.crowds import Handed, too_early

_FIRST = Handed("a", asked_at=0.0, came_at=0.1, number=1)


def test_what_comes_again_within_the_lease_comes_too_early() -> None:
    """The job was still held by the first."""
    again = Handed("a", asked_at=0.4, came_at=0.5, number=2)

    assert too_early([_FIRST, again], after=1.0) == [again]


def test_what_comes_again_behind_the_lease_is_in_time() -> None:
    """The broker kept the lease, and no more."""
    again = Handed("a", asked_at=1.0, came_at=1.1, number=2)

    assert too_early([_FIRST, again], after=1.0) == []


def test_what_a_frozen_server_sent_first_may_arrive_last() -> None:
    """Its reply lay on the way; the job was handed on in time."""
    late = Handed("a", asked_at=0.0, came_at=1.3, number=1)
    again = Handed("a", asked_at=1.0, came_at=1.2, number=2)

    assert too_early([again, late], after=1.0) == []


def test_one_job_says_nothing_of_another() -> None:
    """Each job has a lease of its own."""
    other = Handed("b", asked_at=0.1, came_at=0.2, number=1)

    assert too_early([_FIRST, other], after=1.0) == []
