"""Who listens in a store: each hears each message once, until it keeps too many."""

from __future__ import annotations

from qcore.backend import Enqueue
from qcore.memory.ears import Ears

MIB = b"." * (1 << 20)


def bodies(jobs: list[Enqueue]) -> list[str]:
    """The ids, which name the messages here."""
    return [job.id for job in jobs]


def test_everybody_hears_in_order_and_takes_alone() -> None:
    """At most as much as is asked for."""
    ears = Ears()
    first, second, other = ears.open("a"), ears.open("a"), ears.open("b")
    assert [ears.tell("a", Enqueue(name, b"")) for name in "123"] == [2, 2, 2]
    assert bodies(first.take(2)) == ["1", "2"]
    assert first.pending
    assert bodies(first.take(2)) == ["3"]
    assert bodies(second.take(10)) == ["1", "2", "3"]
    assert (first.pending, other.pending) == (False, False)


def test_who_listens_no_more_is_not_counted() -> None:
    """Harmless twice, and where nobody listens."""
    ears = Ears()
    ear = ears.open("a")
    for _ in range(2):
        ears.close("a", ear)
    ears.close("b", ear)
    assert ears.tell("a", Enqueue("1", b"")) == 0
    assert not ear.pending


def test_who_does_not_keep_up_is_cut_off_with_what_it_has() -> None:
    """At 32 MiB; others are not, and what was taken makes room."""
    ears = Ears()
    slow, quick = ears.open("a"), ears.open("a")
    for number in range(32):
        assert ears.tell("a", Enqueue(str(number), MIB)) == 2
    quick.take(1)
    assert ears.tell("a", Enqueue("more", b".")) == 1
    assert (slow.is_cut, quick.is_cut) == (True, False)
    slow.take(1)
    assert ears.tell("a", Enqueue("later", b".")) == 1
    assert bodies(slow.take(100)) == [str(number) for number in range(1, 32)]
    assert bodies(quick.take(100))[-2:] == ["more", "later"]
