"""Looking into a queue changes nothing, and what is counted is there."""

from __future__ import annotations

import pytest

from qcore import InvalidInput, NewJob, QueueStats
from tests.integration.actors import Line
from tests.integration.stage import Stage, held, together


def fill(line: Line) -> None:
    """Put jobs into every state: 6 ready on three levels, 3 delayed, 2 held, 2 dead."""
    line.enqueue_many([b"dead 1", b"dead 2", b"held 1", b"held 2", b"retried"])
    dead_1, dead_2, _, _, retried = line.reserve_many(5, timeout=0)
    dead_1.dead_letter("bad 1")
    dead_2.dead_letter("bad 2")
    retried.retry(1000, error="once")
    line.enqueue_many(
        [
            *(NewJob(b"ready %d" % number, priority=number % 3 - 1) for number in range(6)),
            NewJob(b"later", delay=2000),
            NewJob(b"latest", delay=3000),
        ]
    )


def conserved(stats: QueueStats) -> bool:
    """Whether nothing came from nowhere and nothing vanished."""
    there = stats.ready + stats.delayed + stats.held + stats.dead
    return stats.enqueued == there + stats.acked + stats.dropped


def test_stats_count_every_state(stage: Stage) -> None:
    """Q-OBS-01: each job is counted where it is, and once."""
    line = stage.line()
    assert line.stats() == QueueStats()
    fill(line)
    stats = line.stats()
    assert (stats.ready, stats.delayed, stats.held, stats.dead) == (6, 3, 2, 2)
    assert (stats.enqueued, conserved(stats)) == (13, True)


def test_peek_shows_each_job_where_it_is(stage: Stage) -> None:
    """Q-OBS-04: with body, counts and the time until something happens to it."""
    line = stage.line()
    fill(line)
    seen = {
        state: [(one.job.body, one.number, one.attempt) for one in line.peek(state) if one.job]
        for state in ("ready", "delayed", "held", "dead")
    }
    assert [body for body, _, _ in seen["ready"]] == [
        b"ready %d" % number for number in (2, 5, 1, 4, 0, 3)
    ]
    assert seen["delayed"] == [(b"retried", 1, 2), (b"later", 0, 1), (b"latest", 0, 1)]
    assert sorted(seen["held"]) == [(b"held 1", 1, 1), (b"held 2", 1, 1)]
    assert sorted(seen["dead"]) == [(b"dead 1", 1, 1), (b"dead 2", 1, 1)]
    assert line.peek("ready")[0].due_in is None
    due = [one.due_in or 0 for one in line.peek("delayed")]
    assert [round(seconds / 1000) for seconds in due] == [1, 2, 3]
    assert all(0 < (one.due_in or 0) <= 30 for one in line.peek("held"))


def test_a_note_belongs_to_its_job(stage: Stage) -> None:
    """Q-OBS-04: the error of one job is not shown at another that was enqueued with it."""
    line = stage.line()
    line.enqueue_many([NewJob(b"%d" % level, priority=level) for level in (-1, 0, 1)])
    first, second, _ = line.reserve_many(3, timeout=0)
    first.retry(1000, error="first")
    second.dead_letter("second")
    assert [one.note for one in line.peek("delayed")] == ["first"]
    assert [one.note for one in line.peek("dead")] == ["second"]
    assert [one.note for one in line.peek("held")] == [""]


@pytest.mark.parametrize("state", ["ready", "delayed", "held", "dead"])
def test_pages_follow_each_other(stage: Stage, state: str) -> None:
    """Q-OBS-04: page by page is the same as all at once, and there is an end."""
    line = stage.line()
    fill(line)
    whole = [one.id for one in line.peek(state)]
    for size in (1, 2, 4):
        pages = [line.peek(state, limit=size, offset=at) for at in range(0, len(whole) + 4, size)]
        assert [one.id for page in pages for one in page] == whole


def test_looking_changes_nothing(redis_stage: Stage) -> None:
    """Q-OBS-04: every key is the same to the byte after stats, peek and the list of queues."""
    line = redis_stage.line()
    fill(line)
    before = redis_stage.stored()
    for state in ("ready", "delayed", "held", "dead"):
        line.peek(state)
        line.peek(state, limit=3, offset=2)
    line.stats()
    redis_stage.client.queues()
    redis_stage.client.health()
    assert redis_stage.stored() == before


def test_looking_at_nothing_makes_nothing(redis_stage: Stage) -> None:
    """Q-OBS-04: a queue that was never used is empty, and stays unknown."""
    line = redis_stage.line()
    assert line.stats() == QueueStats()
    for state in ("ready", "delayed", "held", "dead"):
        assert line.peek(state) == []
        assert state == "held" or line.purge(state) == 0
    assert line.redrive() == 0
    assert redis_stage.client.queues() == []
    assert redis_stage.stored() == {}


def test_what_rings_is_no_job(stage: Stage) -> None:
    """Q-OBS-01: blank elements are neither counted nor shown nor purged, and hide no job."""
    line = stage.line()
    line.enqueue(b"low", priority=-3)
    assert (line.stats().ready, len(line.peek())) == (1, 1)
    line.enqueue(b"normal")
    assert [one.job.body for one in line.peek(limit=1) if one.job] == [b"normal"]
    assert [one.job.body for one in line.peek(limit=1, offset=1) if one.job] == [b"low"]
    line.enqueue(b"high", priority=3)
    held(line.reserve(timeout=0)).ack()
    assert line.stats().ready == 2
    assert line.purge() == 2
    assert (line.stats().ready, line.stats().dropped) == (0, 2)


def test_purge_finds_what_lies_behind_a_ring(stage: Stage) -> None:
    """Q-OBS-04: the one job that is left is dropped, and counted."""
    line = stage.line()
    line.enqueue(b"urgent", priority=4)
    held(line.reserve(timeout=0)).ack()
    line.enqueue(b"normal")
    assert line.purge() == 1
    assert line.stats().ready == 0


@pytest.mark.parametrize("state", ["ready", "delayed", "dead"])
def test_purge_drops_one_state(stage: Stage, state: str) -> None:
    """Q-OBS-04: all of it, and nothing else."""
    line = stage.line()
    fill(line)
    before = line.stats()
    count = int(getattr(before, state))
    assert line.purge(state) == count
    after = line.stats()
    assert getattr(after, state) == 0
    assert (after.dropped, conserved(after)) == (count, True)
    untouched = {"ready", "delayed", "held", "dead", "enqueued", "acked"} - {state}
    assert all(getattr(after, name) == getattr(before, name) for name in untouched)
    assert line.peek(state) == []


def test_held_jobs_cannot_be_purged(stage: Stage) -> None:
    """Q-OBS-04: somebody works on them."""
    with pytest.raises(InvalidInput):
        stage.line().purge("held")


@pytest.mark.parametrize("state", ["ready", "delayed", "dead"])
def test_purge_races_with_everything(stage: Stage, state: str) -> None:
    """Q-OBS-04: what comes meanwhile survives wholly or not at all, and the counts agree."""
    clients = [stage.connect() for _ in range(4)]

    def work(number: int) -> int:
        line = clients[number].queue()
        if number == 0:
            return sum(line.purge(state) for _ in range(20))
        for turn in range(30):
            if state == "delayed":
                line.enqueue(b"job", delay=1000)
            else:
                line.enqueue(b"job", priority=turn % 3)
                hand = line.reserve(timeout=0) if state == "dead" else None
                if hand is not None:
                    hand.dead_letter("bad")
        return 0

    dropped = sum(together(4, work))
    line = stage.line()
    stats = line.stats()
    assert (stats.enqueued, stats.dropped, conserved(stats)) == (90, dropped, True)
    shown = line.peek(state, limit=200)
    assert len(shown) == getattr(stats, state)
    assert all(one.job is not None and one.job.body == b"job" for one in shown)
    assert line.purge(state) == len(shown)


def test_queues_are_listed(stage: Stage) -> None:
    """Q-NS-01: those of this namespace, sorted, whatever their names have in common."""
    for name in ("b", "a", "a.b", "A", "meta", "a-b_c"):
        stage.line(name).enqueue(b"")
    stage.connect(namespace=f"{stage.namespace}x").queue("stranger").enqueue(b"")
    assert stage.client.queues() == ["A", "a", "a-b_c", "a.b", "b", "meta"]


def test_queues_do_not_mix(stage: Stage) -> None:
    """Q-CORE-05: names that are prefixes, differ by case or look like keys are other queues."""
    names = ["a", "A", "aa", "a.", "a-", "meta", "leased", "ready.0", "-", "x" * 128]
    for name in names:
        stage.line(name).enqueue(name.encode(), id="same", dedup="same")
    for name in names:
        line = stage.line(name)
        hand = held(line.reserve(timeout=0))
        assert (hand.job.body, hand.job.queue) == (name.encode(), name)
        assert line.reserve(timeout=0) is None
        hand.dead_letter("bad")
        assert line.stats().dead == 1
    assert stage.line("a").purge("dead") == 1
    assert [stage.line(name).stats().dead for name in names] == [0] + [1] * (len(names) - 1)


def test_namespaces_do_not_mix(stage: Stage) -> None:
    """Q-NS-01: equal names, ids and keys in two namespaces have nothing in common."""
    first = stage.connect(namespace=f"{stage.namespace}.a").queue()
    second = stage.connect(namespace=f"{stage.namespace}.a.b").queue()
    assert first.enqueue(b"first", id="x", dedup="y").created
    assert second.enqueue(b"second", id="x", dedup="y").created
    assert second.purge() == 1
    assert second.reserve(timeout=0) is None
    assert (first.stats().ready, second.stats().enqueued) == (1, 1)
    assert held(first.reserve(timeout=0)).job.body == b"first"
