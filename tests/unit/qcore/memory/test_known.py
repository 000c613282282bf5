from __future__ import annotations

from qcore.backend import Enqueue, JoinTerms
from qcore.memory.known import Known


def ask(known: Known, member: str, now: float, job: str = "end", of: int = 3) -> bool:
    """Ask for a job; whether it has to wait for others. Who asked is known for 10 seconds."""
    return known.waits_for_others(Enqueue(job, b"", join=JoinTerms(of, member, 10_000)), now)


def test_a_job_without_a_join_waits_for_nobody() -> None:
    """However often it is asked for."""
    known = Known()
    assert not known.waits_for_others(Enqueue("a", b""), 0.0)
    assert not known.waits_for_others(Enqueue("a", b""), 0.0)


def test_the_last_of_different_members_ends_a_join() -> None:
    """The same one again is no other, and each job has members of its own."""
    known = Known()
    assert [ask(known, who, 0.0) for who in ("a", "b", "a", "b")] == [True] * 4
    assert [ask(known, who, 0.0, "other", 2) for who in ("a", "c")] == [True, False]
    assert not ask(known, "c", 0.0)


def test_a_join_of_one_ends_at_once() -> None:
    """There is nobody else to ask."""
    assert not ask(Known(), "a", 0.0, of=1)


def test_a_join_that_ended_begins_anew() -> None:
    """Whether its job is known is another question."""
    known = Known()
    assert [ask(known, who, 0.0, of=2) for who in ("a", "b", "a", "b")] == [
        True,
        False,
        True,
        False,
    ]


def test_who_asked_is_known_for_a_time_from_the_last_who_did() -> None:
    """Each who asks, also again, makes it longer for all of them."""
    known = Known()
    for member, now in (("a", 0.0), ("b", 9.0), ("b", 18.0)):
        known.forget(now)
        ask(known, member, now)
    known.forget(27.999)
    assert not ask(known, "c", 27.999)


def test_who_asked_is_forgotten_at_the_end_of_that_time() -> None:
    """All of them together; of other jobs nobody is."""
    known = Known()
    ask(known, "a", 0.0)
    ask(known, "b", 1.0)
    ask(known, "a", 5.0, "other", 2)
    known.forget(11.0)
    assert [ask(known, who, 11.0) for who in ("c", "a", "b")] == [True, True, False]
    assert not ask(known, "b", 11.0, "other", 2)


def test_what_is_forgotten_later_is_forgotten_too() -> None:
    """After one join is over, the next one still has its end."""
    known = Known()
    ask(known, "a", 0.0)
    ask(known, "a", 5.0, "other", 2)
    known.forget(10.0)
    known.forget(15.0)
    assert ask(known, "b", 15.0, "other", 2)
