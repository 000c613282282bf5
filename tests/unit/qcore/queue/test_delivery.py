from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from qcore.backend import Settle, Verb
from qcore.consume.settlement import Settlement
from qcore.errors import InvalidInput, LeaseLost, LimitExceeded, Unavailable
from qcore.policy import RetryPolicy
from qcore.queue import Delivery, Queue
from tests.unit.qcore.stubs import Away, StubAdapter
from tests.unit.qcore.waiting import eventually, run_out

KEPT = 0.6
"""A lease that does not run out when the machine is busy for a moment."""

POLICY = RetryPolicy(max_attempts=3, first_delay=2.0, jitter=0.0)


class Scene:
    """A queue with one job in hand at a time."""

    def __init__(self) -> None:
        self.adapter = StubAdapter()
        self.connection = self.adapter.connect(patience="100ms")
        self.queue: Queue = self.connection.queue("q", retry=POLICY)

    def hold(self, lease: float | None = None) -> Delivery:
        """Enqueue a job and reserve it."""
        self.queue.enqueue(b"work")
        delivery = self.queue.reserve(0, lease)
        assert delivery is not None
        return delivery

    def steps(self) -> list[Settle]:
        """Every settle that was sent, start marks and beats left out."""
        flushes = self.adapter.script.passed("settle")
        steps = [step for steps in flushes for step in steps]
        return [step for step in steps if step.verb not in (Verb.EXTEND, Verb.START)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A queue in memory."""
    scene = Scene()
    yield scene
    scene.connection.close()


def fail(error: BaseException, delivery: Delivery) -> None:
    """Work that goes wrong."""
    with delivery:
        raise error


def test_work_that_is_done_is_acked(scene: Scene) -> None:
    """At the end of its block."""
    with scene.hold() as delivery:
        assert scene.steps() == []
    assert delivery.settled
    assert [step.verb for step in scene.steps()] == [Verb.ACK]


def test_work_that_fails_is_retried_by_policy_and_the_error_goes_up(scene: Scene) -> None:
    """With the delay of the policy and the error as a note."""
    delivery = scene.hold()
    with pytest.raises(OSError, match="no network"):
        fail(OSError("no network"), delivery)
    (step,) = scene.steps()
    assert (step.verb, step.millis, step.note) == (Verb.RETRY, 2000, "OSError: no network")


def test_work_that_fails_for_the_last_time_is_set_aside(scene: Scene) -> None:
    """With the reason and the error."""
    scene.queue.enqueue(b"work")
    for _ in range(2):
        (delivery,) = scene.queue.reserve_many(1, 0)
        delivery.retry()
    (delivery,) = scene.queue.reserve_many(1, 0)
    assert delivery.attempt == 3
    with pytest.raises(ValueError, match="wrong"):
        fail(ValueError("wrong"), delivery)
    (row,) = scene.queue.peek("dead")
    assert row.note == "failed 3 of 3 attempts: ValueError: wrong"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_work_that_is_interrupted_is_released(scene: Scene, error: type[BaseException]) -> None:
    """It is not the job's fault."""
    delivery = scene.hold()
    with pytest.raises(error):
        fail(error(), delivery)
    assert [step.verb for step in scene.steps()] == [Verb.RELEASE]
    assert scene.queue.stats().ready == 1


def test_a_block_leaves_alone_what_was_settled_in_it(scene: Scene) -> None:
    """Also when an error follows."""
    with scene.hold() as delivery:
        delivery.dead_letter("no such user")
    delivery = scene.hold()
    delivery.ack()
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError(), delivery)
    assert [step.verb for step in scene.steps()] == [Verb.DEAD_LETTER, Verb.ACK]


def test_a_batch_settles_deliveries_in_their_blocks(scene: Scene) -> None:
    """A receipt does not: the block does not know of it."""
    with scene.hold() as delivery:
        assert scene.queue.ack_many([delivery]) == [True]
    assert [step.verb for step in scene.steps()] == [Verb.ACK]


def test_a_lost_lease_is_an_error_at_the_end(scene: Scene) -> None:
    """The work was done, but somebody else may do it again."""
    delivery = scene.hold(lease=0.1)
    eventually(run_out(0.1))
    assert delivery.lost
    with pytest.raises(LeaseLost, match="could not ack"):
        delivery.ack()
    with pytest.raises(LeaseLost), delivery:
        pass
    assert not delivery.settled


def test_an_error_of_the_work_is_not_hidden_by_one_of_settling(scene: Scene) -> None:
    """The second is a note of the first."""
    delivery = scene.hold(lease=0.1)
    eventually(run_out(0.1))
    assert delivery.lost
    with pytest.raises(ValueError, match="wrong") as failure:
        fail(ValueError("wrong"), delivery)
    assert "could not retry" in failure.value.__notes__[0]


class Mute(Exception):
    """An error that cannot say what it is."""

    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "note"),
    [(Mute(), "Mute: (no message)"), (OSError("a\udcff"), "OSError: a\\udcff")],
    ids=["mute", "surrogate"],
)
def test_a_job_is_settled_whatever_its_error_looks_like(
    scene: Scene, error: Exception, note: str
) -> None:
    """Notes can always be stored."""
    delivery = scene.hold()
    with pytest.raises(type(error)):
        fail(error, delivery)
    assert [step.note for step in scene.steps()] == [note]


def test_the_lease_of_work_in_its_block_is_kept(scene: Scene) -> None:
    """For many times its length; nobody else gets the job."""
    with scene.hold(lease=KEPT) as delivery:
        eventually(lambda: scene.adapter.script.beats(delivery.receipt.token) == 4)
        assert not delivery.lost
        assert scene.queue.reserve(0) is None
    assert delivery.settled


def test_the_lease_of_work_outside_a_block_is_extended_by_hand(scene: Scene) -> None:
    """To a length from now, longer or shorter."""
    delivery = scene.hold(lease=0.1)
    delivery.extend(60.0)
    assert delivery.lease == 60.0
    assert delivery.until > time.monotonic() + 50
    delivery.extend(0.1)
    eventually(run_out(0.1))
    assert delivery.lost
    with pytest.raises(LeaseLost, match="extend"):
        delivery.extend(60.0)


def test_a_lease_made_shorter_in_its_block_is_kept_at_the_new_pace(scene: Scene) -> None:
    """By hand or in a batch."""
    with scene.hold(lease=30.0) as delivery:
        delivery.extend(KEPT)
        eventually(lambda: scene.adapter.script.beats(delivery.receipt.token) == 3)
        scene.queue.settle_many([Settlement(delivery, Verb.EXTEND, 2 * KEPT)])
        assert delivery.lease == 2 * KEPT
        eventually(lambda: scene.adapter.script.beats(delivery.receipt.token) == 6)
        assert not delivery.lost


def test_a_settle_ends_the_heartbeat(scene: Scene) -> None:
    """What is no longer held is no longer extended."""
    with scene.hold(lease=0.1) as delivery:
        delivery.release()
        count = len(scene.adapter.script.passed("settle"))
        end = time.monotonic() + 0.3
        eventually(lambda: time.monotonic() > end)
        assert len(scene.adapter.script.passed("settle")) == count


def test_two_settles_of_one_delivery_have_one_winner(scene: Scene) -> None:
    """The second is told that the lease is lost, and changes nothing."""
    delivery = scene.hold()
    delivery.ack()
    for again in (delivery.ack, delivery.release, delivery.retry):
        with pytest.raises(LeaseLost, match="settled before"):
            again()
    assert scene.queue.stats().acked == 1


def test_a_delivery_can_be_settled_by_its_receipt(scene: Scene) -> None:
    """From another connection."""
    delivery = scene.hold()
    with StubAdapter(memory=scene.adapter.memory).connect() as other:
        assert other.queue("q").ack_many([delivery.receipt]) == [True]
    assert scene.queue.ack_many([delivery]) == [False]
    assert delivery.lost


def test_a_settle_that_did_not_arrive_can_be_tried_again(scene: Scene) -> None:
    """Nothing was done."""
    delivery = scene.hold()
    scene.adapter.script.always["settle"] = Away()
    with pytest.raises(Unavailable):
        delivery.ack()
    del scene.adapter.script.always["settle"]
    delivery.ack()
    assert delivery.settled


def test_wrong_arguments_of_a_settle_are_refused(scene: Scene) -> None:
    """Before anything is sent; the job stays in hand."""
    delivery = scene.hold()
    with pytest.raises(InvalidInput):
        delivery.retry(-1)
    with pytest.raises(LimitExceeded):
        delivery.retry(1e12)
    with pytest.raises(InvalidInput):
        delivery.retry(0, error=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInput):
        delivery.dead_letter(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(LimitExceeded):
        delivery.extend(0.001)
    assert scene.steps() == []
    delivery.ack()
