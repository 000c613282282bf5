from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from qcore.backend import Settle, TakenJob, Verb
from qcore.capabilities import Capabilities, Claim
from qcore.clock import ManualClock
from qcore.consume.delivery import BaseDelivery
from qcore.consume.keeper import Keeper
from qcore.errors import Closed, Unavailable
from qcore.job import Job
from tests.unit.qcore.stubs import drafter
from tests.unit.qcore.waiting import PATIENCE, eventually

LEASE = 0.15
KEPT = 0.6
"""A lease that does not run out when the machine is busy for a moment."""

LEASED = Capabilities("acme", {name: Claim(value=True) for name in ("lease", "extend")})


def delivery(name: str = "a", lease: float = LEASE, queue: str = "q") -> BaseDelivery:
    """A delivery that was just taken."""
    taken = TakenJob(token=f"{name}|1|me", id=name, envelope=b"")
    return BaseDelivery(
        Job(name, queue, b""),
        taken,
        lease=lease,
        asked_at=time.monotonic(),
        ahead=True,
        capabilities=LEASED,
        monotonic=time.monotonic,
        drafter=drafter,
    )


class Settler:
    """A session that only settles, and remembers what."""

    def __init__(self) -> None:
        self.flushes: list[tuple[str, list[Settle]]] = []
        self.errors: list[Exception] = []
        self.gone: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.inside = threading.Event()

    def settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """Hold what is not gone."""
        self.inside.set()
        assert self.gate.wait(20)
        self.flushes.append((queue, list(steps)))
        if self.errors:
            raise self.errors.pop(0)
        return [step.token not in self.gone for step in steps]

    def count(self, verb: Verb, name: str = "a") -> int:
        """How often a job was settled so."""
        steps = [step for _, steps in list(self.flushes) for step in steps]
        return sum(step.verb is verb and step.token == f"{name}|1|me" for step in steps)


@pytest.fixture
def settler() -> Settler:
    """What the keeper sends with."""
    return Settler()


@pytest.fixture
def keeper(settler: Settler) -> Iterator[Keeper]:
    """A keeper that is closed at the end."""
    keeper = Keeper(lambda: settler, time.monotonic)
    yield keeper
    settler.gate.set()
    keeper.close(PATIENCE)


def test_a_lease_is_extended_for_as_long_as_it_is_kept(keeper: Keeper, settler: Settler) -> None:
    """By its own length, before it runs out."""
    one = delivery(lease=KEPT)
    keeper.keep(one, "me")
    eventually(lambda: settler.count(Verb.EXTEND) == 4)
    assert not one.lost
    assert {step.millis for _, steps in settler.flushes for step in steps} == {600}


def test_deliveries_of_two_queues_are_both_kept_if_their_tokens_are_the_same(
    keeper: Keeper, settler: Settler
) -> None:
    """A token names a delivery within its queue; callers choose ids, and may do so twice."""
    one, other = delivery(queue="q", lease=KEPT), delivery(queue="other", lease=KEPT)
    for kept in (one, other):
        keeper.keep(kept, "me")
    eventually(lambda: settler.count(Verb.EXTEND) >= 6)
    assert {queue for queue, _ in settler.flushes} == {"q", "other"}
    assert not one.lost
    assert not other.lost
    keeper.drop(one)
    settler.flushes.clear()
    eventually(lambda: settler.count(Verb.EXTEND) >= 3)
    assert {queue for queue, _ in settler.flushes[1:]} == {"other"}


def test_nothing_happens_before_there_is_something_to_keep(settler: Settler) -> None:
    """Neither a thread nor a session."""
    keeper = Keeper(lambda: pytest.fail("connected"), time.monotonic)
    assert not keeper.running
    keeper.close(PATIENCE)
    assert settler.flushes == []


def test_what_was_dropped_is_left_alone(keeper: Keeper, settler: Settler) -> None:
    """Its lease may run out, and others are kept as before."""
    one, other = delivery("a"), delivery("b")
    keeper.keep(one, "me")
    keeper.keep(other, "me")
    keeper.drop(one)
    eventually(lambda: settler.count(Verb.EXTEND, "b") >= 3)
    assert settler.count(Verb.EXTEND, "a") == 0


def test_a_delivery_is_kept_until_its_last_holder_leaves(keeper: Keeper, settler: Settler) -> None:
    """A consumer that leaves does not let go of what somebody works on in a block of its own."""
    one, other = delivery("a"), delivery("b")
    for kept in (one, other):
        keeper.keep(kept, "consumer")
    keeper.keep(one, "block")
    keeper.leave("consumer")
    eventually(lambda: settler.count(Verb.EXTEND, "a") >= 3)
    assert settler.count(Verb.EXTEND, "b") == 0
    keeper.leave("block")
    before = settler.count(Verb.EXTEND, "a")
    eventually(lambda: one.lost)
    assert settler.count(Verb.EXTEND, "a") <= before + 1


def test_the_start_of_work_is_told_once(keeper: Keeper, settler: Settler) -> None:
    """Soon, and apart from the beats."""
    keeper.keep(delivery(lease=30.0), "me", mark=True)
    eventually(lambda: settler.count(Verb.START) == 1)
    assert settler.count(Verb.EXTEND) == 0


def test_work_that_ends_at_once_costs_no_mark(settler: Settler) -> None:
    """A settle says that it had started."""
    clock = ManualClock()
    keeper = Keeper(lambda: settler, clock.monotonic)
    for number in range(50):
        one = delivery(f"j{number}", lease=30.0)
        keeper.keep(one, "me", mark=True)
        keeper.drop(one)
    keeper.keep(delivery("last", lease=30.0), "me", mark=True)
    clock.advance(1.0)
    eventually(lambda: settler.count(Verb.START, "last") == 1)
    keeper.close(PATIENCE)
    assert sum(len(steps) for _, steps in settler.flushes) == 1


def test_beats_of_one_queue_share_a_flush(keeper: Keeper, settler: Settler) -> None:
    """Another queue has one of its own."""
    settler.gate.clear()
    keeper.keep(delivery("first", lease=0.1), "me", mark=True)
    assert settler.inside.wait(20)
    for name in "abc":
        keeper.keep(delivery(name), "me", mark=True)
    keeper.keep(delivery("d", queue="other"), "me", mark=True)
    end = time.monotonic() + LEASE / 3
    eventually(lambda: time.monotonic() > end)
    settler.gate.set()
    eventually(lambda: len(settler.flushes) >= 3)
    (_, *flushes) = [(queue, {step.token[0] for step in steps}) for queue, steps in settler.flushes]
    assert any(queue == "q" and {"a", "b", "c"} <= names for queue, names in flushes)
    assert ("other", {"d"}) in flushes


def test_a_delivery_that_somebody_else_holds_is_lost(keeper: Keeper, settler: Settler) -> None:
    """It is told so, and left alone from then on."""
    one = delivery()
    settler.gone.add("a|1|me")
    keeper.keep(one, "me")
    eventually(lambda: one.lost)
    assert time.monotonic() < one.until
    assert settler.count(Verb.EXTEND) == 1


def test_a_beat_that_passes_a_settle_reports_no_loss(keeper: Keeper, settler: Settler) -> None:
    """The broker no longer knows the delivery because its owner just ended it."""
    one = delivery()
    settler.gate.clear()
    settler.gone.add("a|1|me")
    keeper.keep(one, "me", mark=True)
    assert settler.inside.wait(20)
    keeper.drop(one)
    one.noted(Verb.ACK, held=True)
    settler.gate.set()
    eventually(lambda: settler.flushes)
    keeper.close(PATIENCE)
    assert not one.lost


@pytest.mark.parametrize("error", [Unavailable("away"), OSError("a bug of the adapter")])
def test_a_beat_that_failed_is_followed_by_the_next(
    keeper: Keeper, settler: Settler, error: Exception
) -> None:
    """Whatever went wrong, other leases depend on this thread."""
    settler.errors.append(error)
    keeper.keep(delivery(), "me")
    eventually(lambda: settler.count(Verb.EXTEND) >= 3)


def test_a_session_that_cannot_be_opened_is_tried_again(settler: Settler) -> None:
    """At the next beat."""
    tries: list[int] = []

    def connect() -> Settler:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("away")
        return settler

    keeper = Keeper(connect, time.monotonic)
    keeper.keep(delivery(), "me")
    eventually(lambda: settler.count(Verb.EXTEND) >= 1)
    keeper.close(PATIENCE)


def test_a_session_that_was_closed_is_no_loss(keeper: Keeper, settler: Settler) -> None:
    """Nobody knows whether the lease still stands."""
    one = delivery(lease=0.3)
    settler.errors += [Closed("x")] * 5
    keeper.keep(one, "me", mark=True)
    eventually(lambda: settler.flushes)
    assert not one.lost


def test_an_old_delivery_is_extended_before_its_lease_ends(
    keeper: Keeper, settler: Settler
) -> None:
    """However long it was held before anybody asked to keep it."""
    one = delivery(lease=1.0)
    end = one.until
    eventually(lambda: time.monotonic() > end - 0.6)
    keeper.keep(one, "me")
    eventually(lambda: settler.count(Verb.EXTEND) == 1)
    assert not one.lost
    assert one.until > end


def test_a_lease_made_shorter_by_hand_is_kept_at_its_new_pace(
    keeper: Keeper, settler: Settler
) -> None:
    """The next beat comes before the new end, not before the old one."""
    one = delivery(lease=30.0)
    keeper.keep(one, "me")
    one.renewed(KEPT, time.monotonic())
    keeper.replan(one)
    eventually(lambda: settler.count(Verb.EXTEND) == 3)
    assert not one.lost


def test_a_closed_keeper_keeps_nothing(keeper: Keeper, settler: Settler) -> None:
    """Its thread is gone, and what comes later starts no other."""
    before = threading.active_count()
    keeper.keep(delivery(lease=30.0), "me")
    assert threading.active_count() > before
    keeper.close(PATIENCE)
    keeper.close(PATIENCE)
    keeper.keep(delivery("b"), "me")
    keeper.leave("me")
    keeper.replan(delivery("b"))
    assert threading.active_count() <= before
    assert settler.flushes == []
