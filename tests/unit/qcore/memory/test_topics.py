"""Topics within a process: found by URL, shared with the queues of the same name."""

from __future__ import annotations

import asyncio

import pytest

import qcore
from qcore.memory import adapter, topics
from qcore.memory.topics import MemoryTopicsAdapter


def test_the_adapter_is_found_by_its_url() -> None:
    """And promises at open what it promises before."""
    with qcore.connect("memory+pubsub://") as connection:
        assert connection.adapter is topics
        assert connection.capabilities == topics.promises()
    assert topics.scheme == "memory+pubsub"


def test_a_store_is_shared_by_its_name_and_its_namespace() -> None:
    """With acks of ``memory://``, and with nobody else."""
    with (
        qcore.connect("memory://topics?namespace=a") as jobs,
        qcore.connect("memory+pubsub://topics?namespace=a") as near,
        qcore.connect("memory+pubsub://topics?namespace=b") as far,
        qcore.connect("memory+pubsub://") as alone,
    ):
        ears = [one.queue("news") for one in (near, far, alone)]
        for ear in ears:
            ear.subscribe()
        queue = jobs.queue("q")
        queue.enqueue(b"")
        with queue.reserve() as delivery:
            delivery.tell("news", b"done")
        heard = [ear.reserve(timeout=0) for ear in ears]
        assert [one and one.job.body for one in heard] == [b"done", None, None]


def test_a_job_of_the_same_name_is_no_message() -> None:
    """A queue and a topic never meet."""
    with (
        qcore.connect("memory://topics") as jobs,
        qcore.connect("memory+pubsub://topics") as listening,
    ):
        ear = listening.queue("news")
        ear.subscribe()
        jobs.queue("news").enqueue(b"a job")
        assert ear.reserve(timeout=0) is None
        listening.queue("news").enqueue(b"a message")
        assert jobs.queue("news").stats().ready == 1


def test_closing_stops_listening() -> None:
    """Nobody counts it any more."""
    with qcore.connect("memory+pubsub://topics") as speaking:
        with qcore.connect("memory+pubsub://topics") as listening:
            listening.queue("news").subscribe()
            assert speaking.queue("news").enqueue(b"").receivers == 1
        assert speaking.queue("news").enqueue(b"").receivers == 0


def test_who_was_cut_off_hears_again_behind_a_gap() -> None:
    """After what it had."""
    part = b"." * (1 << 20)
    with (
        qcore.connect("memory+pubsub://topics") as speaking,
        qcore.connect("memory+pubsub://topics") as listening,
    ):
        ear, mouth = listening.queue("news"), speaking.queue("news")
        ear.subscribe()
        while mouth.enqueue(part[:-100]).receivers:
            pass
        kept = 0
        while ear.reserve(timeout=0) is not None:
            kept += 1
        assert (ear.gaps, kept) == (1, 32)
        assert mouth.enqueue(b"again").receivers == 1
        assert ear.reserve().job.body == b"again"


@pytest.mark.parametrize("url", ["memory+pubsub://host:1", "memory+pubsub://x?lease=2s"])
def test_what_a_topic_has_no_use_for_is_refused(url: str) -> None:
    """It may be meant for something else."""
    with pytest.raises(qcore.InvalidUrl):
        qcore.connect(url)


def test_tasks_hear_too() -> None:
    """A task that waits is woken by an ack."""

    async def scenario() -> bytes:
        async with (
            qcore.connect_async("memory://topics") as jobs,
            qcore.connect_async("memory+pubsub://topics") as listening,
        ):
            ear = listening.queue("news")
            await ear.subscribe()
            hearing = asyncio.create_task(ear.reserve(timeout=None))
            queue = jobs.queue("q")
            await queue.enqueue(b"")
            async with await queue.reserve() as delivery:
                delivery.tell("news", b"done")
            return (await hearing).job.body

    assert asyncio.run(scenario()) == b"done"


def test_stores_of_another_adapter_are_others() -> None:
    """Nothing is shared behind its back."""
    assert isinstance(topics, MemoryTopicsAdapter)
    assert topics._stores is adapter  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
