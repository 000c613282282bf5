from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import pytest

import qcore
from qcore.backend import Enqueue
from qcore.connection import Connection
from qcore.consume.commit import Effect
from qcore.errors import (
    Closed,
    Indeterminate,
    QcoreError,
    Rejected,
    Unavailable,
    UnsupportedCapability,
)
from qcore.queue import Delivery, Queue
from tests.unit.qcore.logs import captured
from tests.unit.qcore.stubs import Away, Lost, Refused, Script, StubAdapter, listening, spoilt
from tests.unit.qcore.waiting import PATIENCE, eventually

SOON = 1.0
"""Seconds in which what does not wait is done, on the slowest machine."""


T = TypeVar("T")


class Scene:
    """A connection to a scripted broker, and a second one that looks on."""

    def __init__(self, promises: qcore.Capabilities | None = None) -> None:
        self.adapter = StubAdapter(promises)
        self.connection: Connection = self.adapter.connect(patience="300ms")
        self.queue: Queue = self.connection.queue("q")
        self.looking: Connection = self.adapter.connect()
        self.other: Queue = self.looking.queue("q")
        self.pool = ThreadPoolExecutor(8)

    def close(self) -> None:
        """End it all."""
        self.script.always.clear()
        self.connection.close()
        self.looking.close()
        self.pool.shutdown()

    @property
    def script(self) -> Script:
        """What happens in the broker."""
        return self.adapter.script

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Do something in another thread."""
        return self.pool.submit(work)

    def start_reserve(self) -> Future[Delivery]:
        """Reserve without end in another thread, asleep when this returns."""
        before = len(self.script.passed("wait"))
        future = self.start(self.queue.reserve)
        eventually(lambda: len(self.script.passed("wait")) > before)
        return future


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A connection to a scripted broker."""
    scene = Scene()
    yield scene
    scene.close()


def blocked() -> tuple[threading.Event, threading.Event, Callable[[], None]]:
    """An act that says when it began, and goes on when told."""
    begun, go_on = threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    return begun, go_on, act


def standing_in_line(queue: Queue, name: str) -> int:
    """How many calls wait for the next flush."""
    flushes = queue.session._flushes  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def never(*_: object) -> list[object]:
        return []

    return len(flushes.lane(name, queue.name, never))


def test_a_lost_reply_is_asked_for_again_under_its_number(scene: Scene) -> None:
    """It takes effect once, and the caller sees nothing of it."""
    scene.script.after["enqueue"].append(Lost())
    assert scene.queue.enqueue(b"a").created
    scene.queue.enqueue(b"b")
    assert scene.script.numbers("enqueue") == [1, 1, 2]
    assert scene.other.stats().enqueued == 2


def test_a_lost_reply_of_a_settle_does_not_look_like_a_lost_lease(scene: Scene) -> None:
    """The first answer was that it was held."""
    scene.queue.enqueue(b"a")
    delivery = scene.queue.reserve(0)
    assert delivery is not None
    scene.script.after["settle"].append(Lost())
    delivery.ack()
    assert delivery.settled


def test_a_lost_reply_of_a_take_loses_no_job(scene: Scene) -> None:
    """It was leased, and its holder gets to know."""
    scene.queue.enqueue(b"a")
    scene.script.after["take"].append(Lost())
    delivery = scene.queue.reserve(0)
    assert delivery is not None
    assert delivery.number == 1


def test_without_replay_a_lost_reply_is_the_callers_to_judge() -> None:
    """The adapter cannot tell whether it was done."""
    scene = Scene(spoilt("replay"))
    scene.script.after["enqueue"].append(Lost())
    with pytest.raises(Indeterminate, match="could not enqueue jobs"):
        scene.queue.enqueue(b"a")
    assert scene.script.numbers("enqueue") == [1]
    scene.close()


def test_a_broker_that_comes_back_in_time_is_not_noticed(scene: Scene) -> None:
    """But is spoken of, once when it goes and once when it is back."""
    scene.script.before["enqueue"].extend([Away(), Away(), Away()])
    with captured() as entries:
        scene.queue.enqueue(b"a")
        scene.queue.enqueue(b"b")
    assert [entry["event"] for entry in entries] == ["broker.lost", "broker.back"]
    assert {entry["adapter"] for entry in entries} == {"memory"}
    assert scene.other.stats().enqueued == 2


def test_a_broker_that_stays_away_is_an_error_after_patience(scene: Scene) -> None:
    """Not much later."""
    scene.script.always["enqueue"] = Away("no route")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="could not enqueue jobs: no route") as failure:
        scene.queue.enqueue(b"a")
    assert 0.3 <= time.monotonic() - began < SOON
    assert isinstance(failure.value.__cause__, Away)


def test_a_reserve_keeps_its_timeout_when_the_broker_is_away(scene: Scene) -> None:
    """However patient other calls are."""
    scene.script.always["take"] = Away()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        scene.queue.reserve(0)
    assert time.monotonic() - began < 0.25
    assert len(scene.script.numbers("take")) == 2


def test_a_reserve_goes_on_when_the_broker_is_back(scene: Scene) -> None:
    """Without end as with a timeout."""
    scene.queue.enqueue(b"a")
    scene.script.before["take"].extend([Away(), Lost(), Away()])
    delivery = scene.queue.reserve(PATIENCE)
    assert delivery is not None
    assert delivery.number == 1


def test_looking_is_tried_again_also_when_in_doubt(scene: Scene) -> None:
    """It changes nothing."""
    scene.script.before["stats"].append(Away())
    scene.script.after["stats"].append(Lost())
    assert scene.queue.stats().enqueued == 0


def test_a_lost_reply_of_opening_leaves_nothing_in_doubt(scene: Scene) -> None:
    """Nothing was changed, so whoever tries again needs to know of one error only."""
    scene.script.before["open"].append(Lost())
    with pytest.raises(Unavailable, match="open the connection"):
        scene.adapter.connect()


def test_purging_is_tried_again_only_when_nothing_was_done(scene: Scene) -> None:
    """The count of a second purge would be a lie."""
    scene.queue.enqueue(b"a")
    scene.script.before["purge"].append(Away())
    assert scene.queue.purge() == 1
    scene.script.after["purge"].append(Lost())
    with pytest.raises(Indeterminate, match="purge"):
        scene.queue.purge()


def test_what_comes_to_the_same_is_done_again_also_when_in_doubt(scene: Scene) -> None:
    """How often does not matter."""
    outcomes: list[BaseException] = [Lost(), Away(), Lost()]

    def change() -> str:
        if outcomes:
            raise outcomes.pop()
        return "done"

    assert scene.queue.session.insist("change it", change, effect=Effect.SAME) == "done"


def test_a_change_in_doubt_is_never_called_undone(scene: Scene) -> None:
    """Though it could be repeated, nobody knows whether the last try counted."""

    def change() -> None:
        raise Lost

    for effect in (Effect.SAME, Effect.ONCE):
        with pytest.raises(Indeterminate, match="change it"):
            scene.queue.session.insist("change it", change, effect=effect)
    with pytest.raises(Unavailable, match="look at it"):
        scene.queue.session.insist("look at it", change, effect=Effect.NONE)


def test_a_refusal_is_final(scene: Scene) -> None:
    """Repeating would not help."""
    scene.script.before["enqueue"].append(Refused("no rights"))
    with pytest.raises(Rejected, match="no rights"):
        scene.queue.enqueue(b"a")
    assert scene.script.numbers("enqueue") == [1]


def test_an_error_that_the_adapter_does_not_know_passes_as_it_is(scene: Scene) -> None:
    """It is a bug, and its traceback is what helps; it is not its own cause."""
    scene.script.before["enqueue"].append(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError) as failure:
        scene.queue.enqueue(b"a")
    assert failure.value.__cause__ is None
    scene.script.before["health"].append(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError) as failure:
        scene.connection.health()
    assert failure.value.__cause__ is None


def test_takes_of_all_leases_share_a_lane(scene: Scene) -> None:
    """Brokers keep an answer for each lane, and leases are the callers' choice."""
    for number in range(1, 6):
        assert scene.queue.reserve(0, lease=float(number)) is None
    assert scene.script.numbers("take") == [1, 2, 3, 4, 5]
    assert [request.lease_ms for request in scene.script.passed("take")] == [
        *[1000, 2000, 3000, 4000, 5000]
    ]


def test_threads_that_reserve_share_a_take(scene: Scene) -> None:
    """Each gets its own jobs."""
    begun, go_on, act = blocked()
    scene.script.before["take"].append(act)
    first = scene.start(lambda: scene.queue.reserve_many(1, 0))
    assert begun.wait(PATIENCE)
    others = [scene.start(lambda: scene.queue.reserve_many(2, 0)) for _ in range(3)]
    eventually(lambda: standing_in_line(scene.queue, "take") == 3)
    scene.other.enqueue_many([b"%d" % number for number in range(7)])
    go_on.set()
    found = [future.result(PATIENCE) for future in [first, *others]]
    assert [request.limit for request in scene.script.passed("take")] == [1, 6]
    bodies = [one.job.body for part in found for one in part]
    assert sorted(bodies) == [b"%d" % number for number in range(7)]


def test_what_an_interrupted_take_brought_is_given_back(scene: Scene) -> None:
    """Nobody saw the jobs, so nothing is counted."""
    scene.other.enqueue_many([b"a", b"b"])
    scene.script.after["take"].append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        scene.queue.reserve_many(2, 0)
    assert scene.other.stats().ready == 2
    again = scene.queue.reserve_many(2, 0)
    assert [(one.job.body, one.attempt, one.crashes) for one in again] == [
        (b"a", 1, 0),
        (b"b", 1, 0),
    ]


def test_jobs_that_came_with_an_unreadable_one_survive_an_interruption(scene: Scene) -> None:
    """Of setting it aside."""
    scene.other.enqueue(b"a")
    spoil(scene)
    scene.script.before["settle"].append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        scene.queue.reserve_many(2, 0)
    assert scene.other.stats().ready == 1


def spoil(scene: Scene) -> None:
    """Put something into the queue that is no job."""
    scene.other.session.enqueue("q", [Enqueue("spoilt", b"junk")])


def test_an_unreadable_job_is_set_aside_and_does_no_harm(scene: Scene) -> None:
    """To those before and behind it, also when setting it aside fails."""
    scene.other.enqueue(b"a")
    spoil(scene)
    scene.other.enqueue(b"b")
    scene.script.before["settle"].append(Refused())
    found = scene.queue.reserve_many(3, 0)
    assert [one.job.body for one in found] == [b"a", b"b"]

    spoil(scene)
    assert scene.queue.reserve(0) is None
    (row,) = scene.other.peek("dead")
    assert (row.id, row.job, row.raw) == ("spoilt", None, b"junk")


def test_closing_wakes_who_waits(scene: Scene) -> None:
    """At once, with the error that says so."""
    future = scene.start_reserve()
    began = time.monotonic()
    scene.connection.close()
    assert isinstance(future.exception(PATIENCE), Closed)
    assert time.monotonic() - began < SOON


def test_closing_wakes_who_was_about_to_wait(scene: Scene) -> None:
    """One who had not begun to sleep does not hear the first bell."""
    begun, go_on, act = blocked()
    scene.script.before["wait"].append(act)
    future = scene.start(scene.queue.reserve)
    assert begun.wait(PATIENCE)
    closing = scene.start(scene.connection.close)
    eventually(lambda: scene.script.closed)
    go_on.set()
    began = time.monotonic()
    assert isinstance(future.exception(PATIENCE), Closed)
    assert time.monotonic() - began < SOON
    closing.result(PATIENCE)


def test_closing_ends_the_pauses_of_a_lost_broker(scene: Scene) -> None:
    """Neither a reserve nor a flush goes on trying."""
    scene.script.always["take"] = scene.script.always["enqueue"] = Away()
    scene.adapter.script.before.clear()
    reserving = scene.start(scene.queue.reserve)
    eventually(lambda: len(scene.script.numbers("take")) > 1)
    enqueuing = scene.start(lambda: scene.queue.enqueue(b"a"))
    eventually(lambda: scene.script.numbers("enqueue"))
    began = time.monotonic()
    scene.connection.close()
    assert isinstance(reserving.exception(PATIENCE), Closed)
    assert isinstance(enqueuing.exception(PATIENCE), Unavailable | Closed)
    assert time.monotonic() - began < SOON


def test_jobs_that_arrive_while_closing_are_given_back(scene: Scene) -> None:
    """Nobody would be there to work on them."""
    scene.other.enqueue(b"a")
    begun, go_on, act = blocked()
    scene.script.after["take"].append(act)
    reserving = scene.start(scene.queue.reserve)
    assert begun.wait(PATIENCE)
    closing = scene.start(scene.connection.close)
    eventually(lambda: is_closed(scene.queue))
    go_on.set()
    assert isinstance(reserving.exception(PATIENCE), Closed)
    closing.result(PATIENCE)
    assert scene.other.stats().ready == 1


def is_closed(queue: Queue) -> bool:
    """Whether calls are refused."""
    try:
        queue.session.check_open()
    except Closed:
        return True
    return False


def test_a_flush_under_way_ends_before_the_backend_is_closed(scene: Scene) -> None:
    """And those that stood in line behind it."""
    begun, go_on, act = blocked()
    scene.script.before["enqueue"].append(act)
    first = scene.start(lambda: scene.queue.enqueue(b"a"))
    assert begun.wait(PATIENCE)
    second = scene.start(lambda: scene.queue.enqueue(b"b"))
    eventually(lambda: standing_in_line(scene.queue, "enqueue") == 1)
    closing = scene.start(scene.connection.close)
    eventually(lambda: is_closed(scene.queue))
    assert scene.script.closed == 0
    go_on.set()
    for future in (first, second, closing):
        future.result(PATIENCE)
    assert scene.other.stats().ready == 2


def test_everything_after_closing_is_refused(scene: Scene) -> None:
    """Closing twice is not."""
    scene.queue.enqueue_many([b"a", b"b"])
    first, second = scene.queue.reserve_many(2, 0)
    scene.connection.close()
    scene.connection.close()
    assert scene.script.closed == 1
    calls: list[Callable[[], object]] = [
        lambda: scene.queue.enqueue(b""),
        lambda: scene.queue.enqueue_many([]),
        lambda: scene.queue.reserve(0),
        lambda: scene.queue.reserve_many(1, 0),
        scene.queue.consume,
        lambda: scene.queue.ack_many([]),
        lambda: scene.queue.settle_many([]),
        scene.queue.subscribe,
        scene.queue.stats,
        scene.queue.peek,
        scene.queue.purge,
        scene.queue.redrive,
        lambda: scene.queue.remove([]),
        scene.connection.queues,
        scene.connection.health,
        first.ack,
        first.release,
        first.retry,
        lambda: first.dead_letter(""),
        lambda: first.extend(1.0),
        lambda: work_in(second),
    ]
    for call in calls:
        with pytest.raises(Closed):
            call()


def work_in(delivery: Delivery) -> None:
    """Work that settles at its end."""
    with delivery:
        pass


def test_an_error_of_closing_is_explained_and_closes_all_the_same(scene: Scene) -> None:
    """Whoever ignores it leaves nothing open."""
    scene.script.before["close"].append(Away("no route"))
    with pytest.raises(Unavailable, match="could not close the connection: no route"):
        scene.connection.close()
    assert is_closed(scene.queue)
    scene.connection.close()


@pytest.mark.parametrize(("error", "kind"), [(Away(), Unavailable), (Refused(), Rejected)])
def test_a_connection_that_cannot_be_opened_leaves_nothing_open(
    error: Exception, kind: type[QcoreError]
) -> None:
    """The backend is closed again."""
    adapter = StubAdapter()
    adapter.script.before["open"].append(error)
    with pytest.raises(kind, match="could not open the connection"):
        adapter.connect()
    assert adapter.script.closed == 1


def test_an_adapter_whose_takes_end_the_job_is_never_asked_to_settle() -> None:
    """An ack is legal, everything else is refused."""
    scene = Scene(listening())
    scene.queue.enqueue(b"a")
    delivery = scene.queue.reserve(0)
    assert delivery is not None
    delivery.ack()
    delivery.ack()
    assert delivery.settled
    assert scene.queue.ack_many([delivery]) == [True]
    for refused in (delivery.release, delivery.retry, lambda: delivery.dead_letter("")):
        with pytest.raises(UnsupportedCapability):
            refused()
    assert scene.script.numbers("settle") == []
    scene.queue.subscribe()
    assert (scene.script.passed("subscribe"), scene.queue.gaps) == (["q"], 1)
    scene.close()


def test_threads_come_and_go_without_a_trace() -> None:
    """A hundred connections that were used leave neither threads nor open backends."""
    before = threading.active_count()
    adapter = StubAdapter()
    for _ in range(100):
        with adapter.connect() as connection:
            queue = connection.queue("q")
            queue.enqueue(b"")
            delivery = queue.reserve(0)
            assert delivery is not None
            with delivery:
                pass
    assert adapter.script.closed == adapter.opened == 100
    eventually(lambda: threading.active_count() <= before)
