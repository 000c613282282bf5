"""What is set aside is kept, and comes back when asked for."""

from __future__ import annotations

import pytest

from qcore import InvalidInput
from qcore_conformance.waiting import wait_until
from tests.integration.stage import Stage, held, together


def bury(stage: Stage, *bodies: bytes, priority: int = 0) -> list[str]:
    """Enqueue jobs and set them aside; returns their ids."""
    line = stage.line()
    ids: list[str] = []
    for body in bodies:
        ids.append(line.enqueue(body, priority=priority, headers={"k": "v"}))
        held(line.reserve(timeout=0)).dead_letter(f"no {body.decode()}")
    return ids


def test_a_dead_job_is_kept_with_its_reason(stage: Stage) -> None:
    """Q-DLQ-01: once, with body, headers, counts and reason, and never delivered again."""
    (job_id,) = bury(stage, b"job")
    line = stage.line()
    (dead,) = line.peek("dead")
    assert dead.job is not None
    assert (dead.id, dead.job.body, dead.job.headers) == (job_id, b"job", {"k": "v"})
    assert (dead.note, dead.number, dead.attempt, dead.crashes) == ("no job", 1, 1, 0)
    assert line.reserve(timeout=0) is None
    assert (line.stats().dead, line.stats().held) == (1, 0)


def test_dead_jobs_lie_in_the_order_of_their_death(stage: Stage) -> None:
    """Q-DLQ-01: peek shows the oldest first, by pages."""
    bodies = [b"%d" % number for number in range(5)]
    line = stage.line()
    for body in bodies:
        bury(stage, body)
        # Deaths are told apart by the millisecond.
        wait_until(lambda: line.reserve(timeout=0.002) is None, within=1, what="time passes")
    seen = [one.job.body for one in line.peek("dead", limit=2, offset=1) if one.job]
    assert seen == bodies[1:3]


def test_redrive_starts_afresh(stage: Stage) -> None:
    """Q-DLQ-03: attempt 1, crashes 0, the delivery number goes on, nothing else changes."""
    line = stage.line()
    line.enqueue(b"job", headers={"k": "v"}, priority=-2)
    held(line.reserve(timeout=0)).retry()
    stage.let_delays_end()
    old = held(line.reserve(timeout=0))
    assert old.attempt == 2
    old.dead_letter("bad")
    assert line.redrive() == 1
    new = held(line.reserve(timeout=0))
    assert (new.job, new.number, new.attempt, new.crashes) == (old.job, 3, 1, 0)
    assert line.peek("dead") == []
    new.ack()
    assert line.stats().acked == 1


def test_redrive_takes_what_is_named(stage: Stage) -> None:
    """Q-REDRIVE-01: some of them, all of them, or none that is not there."""
    ids = bury(stage, b"1", b"2", b"3")
    line = stage.line()
    assert line.redrive([]) == 0
    assert line.redrive(["nobody"]) == 0
    assert line.redrive([ids[1], "nobody", ids[1]]) == 1
    assert [one.id for one in line.peek()] == [ids[1]]
    assert line.redrive() == 2
    assert line.redrive() == 0
    assert (line.stats().ready, line.stats().dead) == (3, 0)


def test_a_redriven_job_can_die_again(stage: Stage) -> None:
    """Q-REDRIVE-01: as often as it must, being one job all the time."""
    (job_id,) = bury(stage, b"job")
    line = stage.line()
    for number in (2, 3):
        assert line.redrive([job_id]) == 1
        hand = held(line.reserve(timeout=0))
        assert (hand.job.id, hand.number) == (job_id, number)
        hand.dead_letter("again")
    (dead,) = line.peek("dead")
    assert dead.note == "again"
    stats = line.stats()
    assert (stats.enqueued, stats.dead, stats.ready) == (1, 1, 0)


def test_many_redrive_at_once(stage: Stage) -> None:
    """Q-REDRIVE-01: eight that redrive everything make one copy of each."""
    line = stage.line()
    line.enqueue_many([b"%d" % number for number in range(50)])
    for hand in line.reserve_many(50, timeout=0):
        hand.dead_letter("bad")
    clients = [stage.connect() for _ in range(8)]
    assert sum(together(8, lambda number: clients[number].queue().redrive())) == 50
    come = sorted(hand.job.body for hand in line.reserve_many(100, timeout=0))
    assert come == sorted(b"%d" % number for number in range(50))


def test_remove_drops_what_is_named(stage: Stage) -> None:
    """Q-OBS-04: dead jobs can be dropped one by one; others are not touched."""
    ids = bury(stage, b"1", b"2")
    line = stage.line()
    ready = line.enqueue(b"ready")
    assert line.remove([ids[0], ready, "nobody", ids[0]]) == 1
    assert line.remove([]) == 0
    stats = line.stats()
    assert (stats.dead, stats.ready, stats.dropped) == (1, 1, 1)
    with pytest.raises(InvalidInput):
        line.remove("one text")


def test_jobs_die_with_an_id_that_comes_again(stage: Stage) -> None:
    """Q-DEDUP-02, Q-DLQ-01: a later job of the same id does not disturb the dead one."""
    line = stage.connect(dedup_window="50ms").queue()
    line.enqueue(b"first", id="x")
    held(line.reserve(timeout=0)).ack()
    wait_until(lambda: line.enqueue(b"second", id="x").created, within=2, what="accepted again")
    held(line.reserve(timeout=0)).dead_letter("bad")
    assert line.redrive(["x"]) == 1
    hand = held(line.reserve(timeout=0))
    assert hand.job.body == b"second"
    hand.ack()
    stats = line.stats()
    assert (stats.enqueued, stats.acked, stats.dead) == (2, 2, 0)
