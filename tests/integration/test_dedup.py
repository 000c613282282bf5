"""An id of the caller's, or a dedup key, makes one job of many enqueues."""

from __future__ import annotations

import pytest

from qcore import NewJob
from qcore_conformance.waiting import wait_until
from tests.integration.stage import Stage, held, together


def test_the_same_id_again_changes_nothing(stage: Stage) -> None:
    """Q-CORE-07, Q-DEDUP-01: the first job stands, and the second call says so."""
    line = stage.line()
    first = line.enqueue(b"first", id="order-7:a.B_c")
    again = line.enqueue(b"again", id="order-7:a.B_c")
    assert (first, first.created) == ("order-7:a.B_c", True)
    assert (again, again.created) == (first, False)
    hand = held(line.reserve(timeout=0))
    assert (hand.job.id, hand.job.body) == (first, b"first")
    assert line.reserve(timeout=0) is None


def test_the_same_key_again_gives_the_first_id(stage: Stage) -> None:
    """Q-DEDUP-01: a dedup key stands for the job that came first."""
    line = stage.line()
    first = line.enqueue(b"first", dedup="k")
    again = line.enqueue(b"again", dedup="k")
    assert (first.created, again.created, again) == (True, False, first)
    assert line.stats().ready == 1


@pytest.mark.parametrize("kind", ["id", "dedup"])
def test_fifty_enqueues_at_once_make_one_job(stage: Stage, kind: str) -> None:
    """Q-DEDUP-01: whoever is first, all fifty learn the same id."""
    clients = [stage.connect() for _ in range(5)]

    def enqueue(number: int) -> tuple[str, bool]:
        line = clients[number % 5].queue()
        word = "the-one"
        given = line.enqueue(b"", id=word) if kind == "id" else line.enqueue(b"", dedup=word)
        return given, given.created

    come = together(50, enqueue)
    assert len({given for given, _ in come}) == 1
    assert sum(created for _, created in come) == 1
    assert stage.line().stats().enqueued == 1


def test_a_batch_may_repeat_itself(stage: Stage) -> None:
    """Q-DEDUP-01: the same id twice in one batch is one job."""
    line = stage.line()
    ids = line.enqueue_many(
        [
            NewJob(b"1", id="x"),
            NewJob(b"2", dedup="y"),
            NewJob(b"3", id="x"),
            NewJob(b"4", dedup="y"),
        ]
    )
    assert [given.created for given in ids] == [True, True, False, False]
    assert [ids[2], ids[3]] == [ids[0], ids[1]]


def test_a_finished_job_is_known_until_the_window_is_over(stage: Stage) -> None:
    """Q-DEDUP-02: within the window even a done job is not done again; after it a new one is."""
    line = stage.connect(dedup_window="400ms").queue()
    line.enqueue(b"1", id="x", dedup="y")
    held(line.reserve(timeout=0)).ack()
    assert not line.enqueue(b"2", id="x").created
    assert not line.enqueue(b"2", dedup="y").created
    wait_until(lambda: line.enqueue(b"3", id="x", dedup="y").created, within=2, what="accepted")
    assert held(line.reserve(timeout=0)).job.body == b"3"
    assert line.stats().enqueued == 2


def test_ids_and_keys_are_no_names_for_each_other(stage: Stage) -> None:
    """Q-DEDUP-01: an id and an equal dedup key do not clash, nor do those of two queues."""
    line = stage.line()
    assert line.enqueue(b"", id="same").created
    assert line.enqueue(b"", dedup="same").created
    assert stage.line("other").enqueue(b"", id="same").created


def test_a_delayed_job_is_known_too(stage: Stage) -> None:
    """Q-DEDUP-01: waiting for its time does not hide a job."""
    line = stage.line()
    assert line.enqueue(b"", id="x", delay=100).created
    assert not line.enqueue(b"", id="x").created
    stats = line.stats()
    assert (stats.delayed, stats.ready) == (1, 0)
