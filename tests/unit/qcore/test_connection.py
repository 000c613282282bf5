from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore
from qcore.consume.session import Session
from qcore.errors import InvalidInput, LeaseLost, UnsupportedCapability
from qcore.policy import RetryPolicy
from tests.unit.qcore.forking import in_child
from tests.unit.qcore.stubs import Script, StubAdapter, spoilt

forks = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.fixture
def adapter() -> StubAdapter:
    """An adapter that remembers what was asked of it."""
    return StubAdapter()


@pytest.fixture
def connection(adapter: StubAdapter) -> Iterator[qcore.Connection]:
    """An open connection."""
    with adapter.connect() as connection:
        yield connection


def test_a_url_opens_a_connection() -> None:
    """Through the entry point of its scheme."""
    with qcore.connect("memory://shop?namespace=a") as connection:
        assert connection.adapter.scheme == "memory"
        assert connection.capabilities.adapter == "memory"
        assert connection.health() == {"latency": 0.0}
        assert connection.native(object) is None
        assert repr(connection) == "<Connection memory://shop?namespace=a>"


def test_a_password_is_not_shown() -> None:
    """Neither in the repr of a connection nor in the refusal of its URL."""
    with StubAdapter().connect() as connection:
        assert "stub" in repr(connection)
    with pytest.raises(InvalidInput) as failure:
        qcore.connect("memory://user:hunter2@shop")
    assert "hunter2" not in str(failure.value)


def test_requirements_are_checked_at_open() -> None:
    """All that is missing is listed, and nothing stays open."""
    with qcore.connect("memory://", require=["fenced", "delivery:at_least_once"]):
        pass
    with pytest.raises(UnsupportedCapability, match="durability:process"):
        qcore.connect("memory://", require=["durability:process"])


def test_what_the_server_cannot_keep_closes_the_connection_again() -> None:
    """The adapter could at best, this server cannot."""
    adapter = StubAdapter()
    adapter.server = spoilt("fenced")
    with pytest.raises(UnsupportedCapability, match="fenced"):
        qcore.Connection(adapter.opening(require=["fenced"]))
    assert adapter.script.closed == adapter.opened == 1


@pytest.mark.parametrize("name", ["", "a b", "a:b", "x" * 129, None])
def test_a_queue_has_a_plain_name(connection: qcore.Connection, name: str) -> None:
    """Checked when it is made."""
    assert connection.queue("mail").name == "mail"
    with pytest.raises(InvalidInput, match="queue name"):
        connection.queue(name)


def test_a_queue_has_a_known_codec_and_a_policy_that_can_be_kept() -> None:
    """Checked when it is made."""
    with StubAdapter(spoilt("dead_letter")).connect() as connection:
        with pytest.raises(InvalidInput, match="codec"):
            connection.queue("q", codec="pickle")
        with pytest.raises(UnsupportedCapability, match="dead_letter"):
            connection.queue("q", retry=RetryPolicy())
        assert connection.queue("q").retry.max_attempts is None
        assert connection.queue("q", retry=RetryPolicy(max_attempts=None)).retry.factor == 2.0


def test_queues_are_listed_by_name(connection: qcore.Connection) -> None:
    """Those that jobs went to."""
    for name in ("b", "a"):
        connection.queue(name).enqueue(b"")
    connection.queue("never-used")
    assert connection.queues() == ["a", "b"]


def test_the_client_underneath_can_be_had(connection: qcore.Connection) -> None:
    """If it is of the kind that is asked for."""
    assert isinstance(connection.native(Script), Script)
    assert connection.native(int) is None


def test_the_clock_is_the_callers() -> None:
    """In memory it is the broker's as well."""
    clock = qcore.ManualClock(start=1000.0)
    with qcore.connect("memory://", clock=clock) as connection:
        queue = connection.queue("q")
        queue.enqueue(b"later", delay=60)
        assert queue.reserve(0) is None
        clock.advance(60)
        delivery = queue.reserve(0)
        assert delivery is not None
        assert delivery.job.enqueued_at == 1000.0


@forks
def test_a_child_has_a_session_of_its_own(
    connection: qcore.Connection, adapter: StubAdapter
) -> None:
    """Opened at first use, also when many threads use it first at once."""
    queue = connection.queue("q")
    queue.enqueue(b"the parent's")
    parent_session = queue.session

    def session(_: int) -> Session:
        return queue.session

    def work() -> str:
        before = adapter.opened
        with ThreadPoolExecutor(8) as pool:
            sessions = set(pool.map(session, range(8)))
        queue.enqueue(b"the child's")
        delivery = queue.reserve(0)
        assert delivery is not None
        delivery.ack()
        connection.close()
        fresh = parent_session not in sessions
        return f"{len(sessions)} {adapter.opened - before} {fresh} {delivery.job.body.decode()}"

    assert in_child(work) == "1 1 True the child's"
    delivery = queue.reserve(0)
    assert delivery is not None
    delivery.ack()


@forks
def test_a_child_cannot_settle_what_its_parent_holds(connection: qcore.Connection) -> None:
    """Neither singly nor in a batch nor by its block; the parent can as before."""
    queue = connection.queue("q")
    queue.enqueue(b"")
    delivery = queue.reserve(0)
    assert delivery is not None

    def enter() -> None:
        with delivery:
            raise AssertionError("worked in the child")

    def work() -> str:
        refused = 0
        for settle in (delivery.ack, lambda: queue.ack_many([delivery]), enter):
            try:
                settle()
            except LeaseLost as error:
                refused += "belongs to the parent" in str(error)
        return str(refused)

    assert in_child(work) == "3"
    delivery.ack()


@forks
def test_a_block_that_a_child_leaves_is_the_parents(connection: qcore.Connection) -> None:
    """Whatever locks the parent's heartbeat held at the time of the fork."""
    queue = connection.queue("q")
    queue.enqueue(b"")
    parent = os.getpid()
    said: list[str] = []
    with queue.reserve(0) or pytest.fail("empty") as delivery:

        def work() -> str:
            try:
                delivery.__exit__(None, None, None)
            except LeaseLost:
                return "refused"
            return "settled"

        said.append(in_child(work))
        assert os.getpid() == parent
    assert said == ["refused"]
    assert delivery.settled


@forks
def test_a_child_works_on_nothing_that_its_parent_took_ahead(
    connection: qcore.Connection, adapter: StubAdapter
) -> None:
    """It takes its own jobs, and leaving gives back nothing of the parent's."""
    queue = connection.queue("q")
    queue.enqueue_many([b"parent"] * 10)
    with queue.consume() as deliveries:
        while queue.stats().held < 2:
            next(deliveries).ack()
        held = queue.stats().held

        def work() -> str:
            queue.enqueue(b"child")
            body = next(deliveries).job.body.decode()
            deliveries.close()
            settles = len(adapter.script.passed("settle"))
            deliveries.__exit__(None, None, None)
            return f"{body} {len(adapter.script.passed('settle')) - settles}"

        assert in_child(work) == "child 0"
        assert queue.stats().held == held


@forks
def test_a_closed_connection_is_closed_in_a_child_too(adapter: StubAdapter) -> None:
    """And closing in the child does not close the parent's."""
    connection = adapter.connect()
    queue = connection.queue("q")

    def close() -> str:
        connection.close()
        try:
            queue.enqueue(b"")
        except qcore.Closed:
            return "closed"
        return "open"

    assert in_child(close) == "closed"
    queue.enqueue(b"")
    connection.close()
    assert in_child(close) == "closed"


def test_a_connection_serves_many_threads(connection: qcore.Connection) -> None:
    """No job is lost and none is given twice."""
    queue = connection.queue("q")
    start = threading.Barrier(8)

    def work(number: int) -> list[bytes]:
        start.wait()
        done: list[bytes] = []
        for turn in range(100):
            queue.enqueue(b"%d.%d" % (number, turn))
            delivery = queue.reserve(0)
            if delivery is not None:
                delivery.ack()
                done.append(delivery.job.body)
        return done

    with ThreadPoolExecutor(8) as pool:
        done = [body for part in pool.map(work, range(8)) for body in part]
    done += [one.job.body for one in queue.reserve_many(1000, 0)]
    assert sorted(done) == sorted(b"%d.%d" % (n, turn) for n in range(8) for turn in range(100))
