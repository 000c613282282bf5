from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import qcore
from qcore.errors import InvalidInput, InvalidReceipt, LimitExceeded, UnsupportedCapability
from tests.unit.qcore.stubs import StubAdapter, listening, spoilt


@pytest.fixture
def adapter() -> StubAdapter:
    """An adapter that remembers what was asked of it."""
    return StubAdapter()


@pytest.fixture
def queue(adapter: StubAdapter) -> Iterator[qcore.Queue]:
    """A queue in memory."""
    with adapter.connect() as connection:
        yield connection.queue("q")


def test_a_job_goes_in_and_comes_out(queue: qcore.Queue) -> None:
    """With its body, headers, priority and id."""
    made = queue.enqueue(b"body", headers={"k": "v"}, id="mine", priority=2)
    assert (made, made.created) == ("mine", True)
    assert not queue.enqueue(b"other", id="mine").created
    with queue.reserve(timeout=0) or pytest.fail("empty") as delivery:
        job = delivery.job
        assert (job.id, job.queue, job.body) == ("mine", "q", b"body")
        assert (job.headers, job.priority) == ({"k": "v"}, 2)
        assert delivery.value == b"body"
    assert queue.reserve(timeout=0) is None


def test_a_queue_with_a_codec_takes_values(adapter: StubAdapter) -> None:
    """And gives them back; the codec is the job's, not the queue's."""
    with adapter.connect() as connection:
        connection.queue("q", codec="json").enqueue({"a": [1, None]})
        delivery = connection.queue("q").reserve(timeout=0)
        assert delivery is not None
        assert (delivery.job.body, delivery.value) == (b'{"a":[1,null]}', {"a": [1, None]})


def test_a_job_with_its_options_is_enqueued_alone_as_among_many(adapter: StubAdapter) -> None:
    """Its options are no part of the body, whatever the codec could write."""
    with adapter.connect() as connection:
        queue = connection.queue("q", codec="json")
        made = queue.enqueue(qcore.NewJob({"a": 1}, id="mine", priority=2))
        delivery = queue.reserve(timeout=0)
        assert delivery is not None
        assert (made, delivery.value, delivery.job.priority) == ("mine", {"a": 1}, 2)
        with pytest.raises(InvalidInput, match="in the NewJob"):
            queue.enqueue(qcore.NewJob({"a": 1}), priority=2)


def test_nothing_to_enqueue_or_to_settle_asks_nobody(
    queue: qcore.Queue, adapter: StubAdapter
) -> None:
    """An empty batch is legal."""
    assert queue.enqueue_many([]) == []
    assert queue.ack_many([]) == []
    assert queue.settle_many([]) == []
    assert [name for name, *_ in adapter.script.calls] == ["open"]


def test_many_are_settled_each_in_its_own_way(queue: qcore.Queue) -> None:
    """With a report for each."""
    queue.enqueue_many([b"a", b"b", b"c", b"d"])
    a, b, c, d = queue.reserve_many(4, 0)
    d.ack()
    outcomes = queue.settle_many(
        [
            qcore.Settlement(a),
            qcore.Settlement(b.receipt, qcore.Verb.DEAD_LETTER, note="why"),
            qcore.Settlement(c, qcore.Verb.RETRY, 60.0),
            qcore.Settlement(d),
        ]
    )
    assert outcomes == [True, True, True, False]
    assert queue.stats() == qcore.QueueStats(delayed=1, dead=1, enqueued=4, acked=2)
    assert (a.settled, c.settled, d.lost) == (True, True, True)


def test_dead_jobs_are_looked_at_sent_back_and_removed(queue: qcore.Queue) -> None:
    """By name or all."""
    queue.enqueue_many([b"a", b"b", b"c"])
    for delivery in queue.reserve_many(3, 0):
        delivery.dead_letter("no such user")
    rows = queue.peek("dead", limit=2, offset=1)
    assert [(row.job and row.job.body, row.note) for row in rows] == [
        (b"b", "no such user"),
        (b"c", "no such user"),
    ]
    assert queue.redrive([rows[0].id]) == 1
    assert queue.remove([rows[1].id, "unknown"]) == 1
    assert queue.redrive() == 1
    assert queue.purge() == 2
    assert queue.stats() == qcore.QueueStats(enqueued=3, dropped=3)


BAD_TIMES: list[Any] = [-1, math.nan, math.inf, True, "1", 10**5000]


def test_bad_input_is_refused_before_anything_is_sent(
    queue: qcore.Queue, adapter: StubAdapter
) -> None:
    """Whatever the argument."""
    other = qcore.Receipt("other", "token")
    calls: list[Callable[[], object]] = [
        lambda: queue.enqueue("text"),
        lambda: queue.enqueue_many(b"abc"),
        lambda: queue.enqueue(b"", id="a b"),
        lambda: queue.enqueue(b"", headers={"a": "\ud800"}),
        lambda: queue.reserve_many(0),
        lambda: queue.reserve_many(10**6, 0),
        lambda: queue.reserve(0, lease=1e-9),
        lambda: queue.ack_many([other]),
        lambda: queue.ack_many([None]),
        lambda: queue.settle_many([other]),  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        lambda: queue.peek("done"),
        lambda: queue.peek(limit=0),
        lambda: queue.peek(offset=-1),
        lambda: queue.purge("held"),
        lambda: queue.redrive("abc"),
        lambda: queue.remove(["a b"]),
    ]
    for value in BAD_TIMES:
        calls += [
            partial(queue.reserve, value),
            partial(queue.reserve, 0, lease=value),
            partial(queue.enqueue, b"", delay=value),
            partial(queue.enqueue, b"", at=value),
        ]
    for call in calls:
        with pytest.raises(InvalidInput):
            call()
    assert [name for name, *_ in adapter.script.calls] == ["open"]


def test_errors_say_which_kind_they_are(queue: qcore.Queue) -> None:
    """So that a caller can tell a limit from a mistake."""
    with pytest.raises(LimitExceeded):
        queue.enqueue(b"x" * (queue.session.capabilities.limits.body + 1))
    with pytest.raises(InvalidReceipt, match="of queue 'other', not of 'q'"):
        queue.ack_many([qcore.Receipt("other", "token")])


def test_what_the_adapter_does_not_offer_is_refused_by_name() -> None:
    """Before anything is sent."""
    adapter = StubAdapter(spoilt("stats", "peek", "purge", "redrive", "dead_letter", "lease"))
    with adapter.connect() as connection:
        queue = connection.queue("q")
        calls: dict[str, Callable[[], object]] = {
            "stats": queue.stats,
            "peek": queue.peek,
            "purge": queue.purge,
            "redrive": queue.redrive,
            "dead_letter": lambda: queue.remove(["a"]),
            "lease": lambda: queue.reserve(0, lease=5.0),
        }
        for capability, call in calls.items():
            with pytest.raises(UnsupportedCapability, match=capability):
                call()
        with pytest.raises(UnsupportedCapability, match="stats"):
            connection.queues()
        assert [name for name, *_ in adapter.script.calls] == ["open"]


def test_a_queue_that_stores_misses_nothing(queue: qcore.Queue, adapter: StubAdapter) -> None:
    """Subscribing is a formality there."""
    queue.subscribe()
    assert queue.gaps == 0
    assert adapter.script.passed("subscribe") == []


def test_a_listener_subscribes_and_counts_gaps() -> None:
    """Where the adapter reaches listeners only."""
    adapter = StubAdapter(listening())
    with adapter.connect() as connection:
        queue = connection.queue("news")
        queue.subscribe()
        assert adapter.script.passed("subscribe") == ["news"]
        assert queue.gaps == 4


def test_a_queue_shows_its_name_and_adapter(queue: qcore.Queue) -> None:
    """Also when its connection is closed."""
    assert repr(queue) == "<Queue q of memory>"
