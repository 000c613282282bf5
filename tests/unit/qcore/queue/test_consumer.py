from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qcore.backend import Verb
from qcore.errors import Closed, InvalidInput, LimitExceeded
from qcore.queue import Consumer, Delivery, Queue
from tests.unit.qcore.stubs import Away, Script, StubAdapter, listening
from tests.unit.qcore.waiting import PATIENCE, eventually

SOON = 1.0
KEPT = 0.6
"""A lease that does not run out when the machine is busy for a moment."""


class Scene:
    """A queue, and a second connection that looks on."""

    def __init__(self, adapter: StubAdapter | None = None) -> None:
        self.adapter = adapter or StubAdapter()
        self.connection = self.adapter.connect(patience="200ms")
        self.queue: Queue = self.connection.queue("q")
        self.looking = StubAdapter(memory=self.adapter.memory).connect()
        self.other: Queue = self.looking.queue("q")
        self.pool = ThreadPoolExecutor(8)

    @property
    def script(self) -> Script:
        """What happens in the broker."""
        return self.adapter.script

    def warm(self, deliveries: Consumer, jobs: int = 2) -> None:
        """Let a consumer find out that jobs are short."""
        self.other.enqueue_many([b""] * jobs)
        for _ in range(jobs):
            next(deliveries).ack()

    def take_ahead(self, deliveries: Consumer, jobs: int = 5) -> Delivery:
        """Get a delivery behind which others are taken ahead."""
        self.warm(deliveries)
        self.other.enqueue_many([b"%d" % number for number in range(jobs)])
        delivery = next(deliveries)
        while self.other.stats().held < 2:
            delivery.release()
            delivery = next(deliveries)
        return delivery

    def close(self) -> None:
        """End it all."""
        self.connection.close()
        self.looking.close()
        self.pool.shutdown()


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A queue in memory."""
    scene = Scene()
    yield scene
    scene.close()


def test_jobs_come_in_order_as_they_are_there(scene: Scene) -> None:
    """And those that come later are waited for."""
    with scene.queue.consume() as deliveries:
        scene.other.enqueue_many([b"a", b"b"])
        bodies: list[bytes] = []
        for delivery in deliveries:
            with delivery:
                bodies.append(delivery.job.body)
            if len(bodies) == 2:
                threading.Timer(0.01, scene.other.enqueue, [b"c"]).start()
            if len(bodies) == 3:
                break
    assert bodies == [b"a", b"b", b"c"]
    assert scene.other.stats().acked == 3


def test_short_jobs_are_taken_ahead_and_long_ones_are_not(scene: Scene) -> None:
    """The first alone, then as the pace allows."""
    scene.other.enqueue_many([b""] * 200)
    with scene.queue.consume(prefetch=20) as deliveries:
        for _ in range(100):
            next(deliveries).ack()
    limits = [request.limit for request in scene.script.passed("take")]
    assert limits[0] == 1
    assert max(limits) <= 20
    assert len(limits) < 60


def test_what_is_taken_ahead_has_not_started(scene: Scene) -> None:
    """Until it is handed on and worked on for a while; then the broker is told."""
    with scene.queue.consume() as deliveries:
        delivery = scene.take_ahead(deliveries)
        requests = scene.script.passed("take")
        assert {(request.limit == 1) for request in requests if request.started} == {True}
        assert not requests[-1].started
        eventually(lambda: started(scene.script))
        assert started(scene.script) == {delivery.receipt.token}


def started(script: Script) -> set[str]:
    """The tokens whose start was told."""
    steps = [step for steps in script.passed("settle") for step in steps]
    return {step.token for step in steps if step.verb is Verb.START}


def test_a_job_taken_alone_has_started_already(scene: Scene) -> None:
    """Nobody needs to be told."""
    scene.other.enqueue(b"")
    with scene.queue.consume(prefetch=1) as deliveries:
        delivery = next(deliveries)
        end = time.monotonic() + 0.05
        eventually(lambda: time.monotonic() > end)
        assert started(scene.script) == set()
        delivery.ack()


def test_leaving_releases_what_was_not_started(scene: Scene) -> None:
    """At once, in order, with nothing counted; what was handed on is its receiver's."""
    with scene.queue.consume() as deliveries:
        delivery = scene.take_ahead(deliveries)
    assert scene.other.stats().held == 1
    ready = scene.other.reserve_many(10, 0)
    assert {(one.attempt, one.crashes) for one in ready} == {(1, 0)}
    assert [one.job.body for one in ready] == sorted(one.job.body for one in ready)
    delivery.ack()


def test_an_error_in_the_loop_releases_as_well(scene: Scene) -> None:
    """And goes up."""

    def work() -> None:
        with scene.queue.consume() as deliveries:
            scene.take_ahead(deliveries)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert scene.other.stats().held == 1


def test_leases_of_everything_in_hand_are_kept(scene: Scene) -> None:
    """Handed on or not; after closing, what was handed on."""
    with scene.queue.consume(lease=KEPT) as deliveries:
        delivery = scene.take_ahead(deliveries)
        numbers = {row.id: row.number for row in scene.other.peek("held")}
        eventually(lambda: beaten(scene.script, *numbers) >= 3)
        assert {row.id: row.number for row in scene.other.peek("held")} == numbers
        deliveries.close()
        before = scene.script.beats(delivery.receipt.token)
        eventually(lambda: scene.script.beats(delivery.receipt.token) >= before + 3)
        assert not delivery.lost
        delivery.ack()


def beaten(script: Script, *ids: str) -> int:
    """How often each of some jobs was extended at least."""
    steps = [step for steps in script.passed("settle") for step in steps]
    beats = [step.token.partition("|")[0] for step in steps if step.verb is Verb.EXTEND]
    return min(beats.count(one) for one in ids)


def test_leaving_does_not_let_go_of_work_in_another_thread(scene: Scene) -> None:
    """Its block keeps the lease; without a block it runs out."""
    scene.other.enqueue_many([b"a", b"b"])
    begun, go_on = threading.Event(), threading.Event()

    def work(delivery: Delivery) -> bool:
        with delivery:
            begun.set()
            assert go_on.wait(PATIENCE)
            return delivery.lost

    with scene.queue.consume(prefetch=1, lease=KEPT) as deliveries:
        entered = scene.pool.submit(work, next(deliveries))
        bare = next(deliveries)
        assert begun.wait(PATIENCE)
    eventually(lambda: bare.lost)
    go_on.set()
    assert entered.result(PATIENCE) is False


def test_closing_from_another_thread_ends_the_iteration(scene: Scene) -> None:
    """At once, without an error; also before anything came."""
    with scene.queue.consume() as deliveries:
        ending = scene.pool.submit(list[Delivery], deliveries)
        eventually(lambda: scene.script.passed("wait"))
        began = time.monotonic()
        deliveries.close()
        assert ending.result(PATIENCE) == []
        assert time.monotonic() - began < SOON
        deliveries.close()
        assert list(deliveries) == []


def test_closing_one_who_was_about_to_wait_is_heard(scene: Scene) -> None:
    """The first bell rings before it sleeps."""
    begun, go_on = threading.Event(), threading.Event()

    def act() -> None:
        begun.set()
        assert go_on.wait(PATIENCE)

    scene.script.before["wait"].append(act)
    with scene.queue.consume() as deliveries:
        ending = scene.pool.submit(list[Delivery], deliveries)
        assert begun.wait(PATIENCE)
        deliveries.close()
        go_on.set()
        began = time.monotonic()
        assert ending.result(PATIENCE) == []
        assert time.monotonic() - began < SOON


def test_closing_the_connection_ends_the_iteration(scene: Scene) -> None:
    """And releases what was taken ahead, although the block goes on."""
    with scene.queue.consume() as deliveries:
        scene.take_ahead(deliveries)
        scene.connection.close()
        assert list(deliveries) == []
        assert scene.other.stats().held == 1


def test_jobs_that_arrive_while_closing_are_released(scene: Scene) -> None:
    """Between the take and the buffer."""
    scene.other.enqueue(b"")
    with scene.queue.consume() as deliveries:
        scene.script.after["take"].append(deliveries.close)
        assert list(deliveries) == []
    assert scene.other.stats().ready == 1


def test_a_signal_handler_may_close(scene: Scene) -> None:
    """In the middle of a settle of the same thread, which could not go on otherwise."""
    with scene.queue.consume() as deliveries:
        delivery = scene.take_ahead(deliveries)

        def close(*_: object) -> None:
            deliveries.close()

        before = signal.signal(signal.SIGUSR1, close)
        scene.script.before["settle"].append(lambda: signal.raise_signal(signal.SIGUSR1))
        delivery.ack()
        signal.signal(signal.SIGUSR1, before)
        assert list(deliveries) == []
        assert scene.other.stats().held == 0
    assert scene.other.stats().acked >= 3


def test_several_threads_may_iterate(scene: Scene) -> None:
    """Each job goes to one of them."""
    count = 300
    scene.other.enqueue_many([b"%d" % number for number in range(count)])
    seen: list[bytes] = []

    def work() -> None:
        for delivery in deliveries:
            with delivery:
                seen.append(delivery.job.body)
                if len(seen) == count:
                    deliveries.close()

    with scene.queue.consume() as deliveries:
        for future in [scene.pool.submit(work) for _ in range(4)]:
            future.result(PATIENCE)
    assert sorted(seen) == sorted(b"%d" % number for number in range(count))
    eventually(lambda: scene.other.stats().acked == count)


def test_a_broker_that_is_away_for_a_while_ends_nothing(scene: Scene) -> None:
    """The iteration goes on when it is back."""
    with scene.queue.consume() as deliveries:
        scene.script.always["take"] = Away()
        threading.Timer(0.1, scene.script.always.clear).start()
        scene.other.enqueue(b"a")
        assert next(deliveries).job.body == b"a"


def test_what_was_lost_in_the_buffer_is_not_handed_on(scene: Scene) -> None:
    """Somebody else may work on it."""
    with scene.queue.consume(lease=0.2) as deliveries:
        delivery = scene.take_ahead(deliveries)
        scene.script.always["settle"] = Away()
        eventually(lambda: delivery.lost)
        scene.script.always.clear()
        theirs = {one.job.body for one in scene.other.reserve_many(10, 0)}
        scene.other.enqueue(b"new")
        mine = next(deliveries).job.body
        assert mine not in theirs


def test_a_consumer_is_used_in_a_block(scene: Scene) -> None:
    """Otherwise nobody would give back what it takes ahead."""
    scene.other.enqueue(b"")
    with pytest.raises(InvalidInput, match=r"with queue\.consume\(\) as deliveries"):
        next(scene.queue.consume())
    assert scene.other.stats().ready == 1


def test_wrong_arguments_are_refused_at_once(scene: Scene) -> None:
    """Not when the first job is asked for."""
    calls: list[tuple[type[Exception], Callable[[], object]]] = [
        (InvalidInput, lambda: scene.queue.consume(0)),
        (InvalidInput, lambda: scene.queue.consume(prefetch=True)),
        (LimitExceeded, lambda: scene.queue.consume(prefetch=10**6)),
        (LimitExceeded, lambda: scene.queue.consume(lease=0.001)),
        (InvalidInput, lambda: scene.queue.consume(lease=float("nan"))),
    ]
    for error, call in calls:
        with pytest.raises(error):
            call()
    scene.connection.close()
    with pytest.raises(Closed):
        scene.queue.consume()


def test_a_listener_takes_nothing_ahead_and_forgets_what_it_handed_on() -> None:
    """What cannot be given back is not taken; nothing is kept, as there is no lease."""
    scene = Scene(StubAdapter(listening()))
    scene.queue.enqueue_many([b""] * 20)
    with scene.queue.consume() as deliveries:
        for _ in range(20):
            next(deliveries).ack()
    assert {request.limit for request in scene.script.passed("take")} == {1}
    assert scene.script.passed("settle") == []
    scene.close()
