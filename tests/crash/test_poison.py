"""Jobs that kill whoever works on them: counted, set apart, and harmless to those beside them."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from qcore_conformance.waiting import wait_until
from tests.crash import acts
from tests.crash.scene import Scene
from tests.crash.workers import Worker

CRASH_LIMIT = 3
SHORT = 0.4
NEIGHBOURS = [b"before", b"before", b"behind", b"behind"]


def _employ(scene: Scene, seconds: float) -> list[list[tuple[bytes, int, int, int]]]:
    """Let one worker follow the other until one survives; what each of them began."""
    lives: list[list[tuple[bytes, int, int, int]]] = []
    while True:
        worker = scene.work(acts.die_of_poison, scene.url(lease=f"{SHORT}s"), seconds)
        wait_until(partial(_is_settled, scene, worker), within=10.0, what="it dies, or all is done")
        lives.append(worker.all_heard("began"))
        if worker.running:
            worker.close()
            return lives


def _is_settled(scene: Scene, worker: Worker[[float]]) -> bool:
    stats = scene.watch.stats()
    return not worker.running or (stats.dead == 1 and stats.acked == len(NEIGHBOURS))


# A worker that dies within the few milliseconds before its start was told died of a job that, as
# far as anybody knows, it never began. That is not counted, but from then on the job goes alone.
@pytest.mark.parametrize(
    ("seconds", "uncounted"), [(0.0, 1), (0.05, 0)], ids=["at-once", "after-a-while"]
)
def test_a_job_that_kills_its_workers_is_set_aside_and_its_neighbours_are_done(
    scene: Scene, seconds: float, uncounted: int
) -> None:
    """Neighbours that were taken ahead lose no attempt, whatever happens beside them."""
    scene.watch.enqueue_many([*NEIGHBOURS[:2], b"poison", *NEIGHBOURS[2:]])
    lives = _employ(scene, seconds)
    deaths = len(lives) - 1
    assert CRASH_LIMIT <= deaths <= CRASH_LIMIT + uncounted
    begun = [each for life in lives for each in life]
    assert sorted(body for body, *_ in begun if body != b"poison") == sorted(NEIGHBOURS)
    assert {(attempt, crashes) for body, attempt, crashes, _ in begun if body != b"poison"} == {
        (1, 0)
    }
    poison = [counts for body, *counts in begun if body == b"poison"]
    crashes = [each[1] for each in poison]
    assert crashes == [*([0] * (deaths - CRASH_LIMIT)), *range(CRASH_LIMIT)]
    assert [each[0] for each in poison] == [1 + each for each in crashes]
    assert [held for *_, held in poison[1:]] == [1] * (deaths - 1), "it was not handed out alone"
    _assert_dead(scene)


def _assert_dead(scene: Scene) -> None:
    (dead,) = scene.watch.peek("dead")
    assert dead.job is not None
    assert (dead.job.body, dead.crashes) == (b"poison", CRASH_LIMIT)
    assert "died" in dead.note
    scene.assert_at_rest(dead=1)
    assert scene.watch.redrive() == 1
    (came,) = scene.collect(1)
    assert came.counts == (1, 0)
    scene.assert_at_rest()


def test_a_job_that_is_reserved_alone_dies_with_its_third_worker(scene: Scene) -> None:
    """Without anything taken ahead each death counts, however soon it comes."""
    scene.watch.enqueue(b"poison")
    counts: list[Any] = []
    for _ in range(CRASH_LIMIT):
        worker = scene.work(acts.reserve_poison, scene.url(lease=f"{SHORT}s"))
        counts.append(worker.heard("began"))
        worker.ended()
    assert counts == [(1, 0), (2, 1), (3, 2)]
    assert scene.watch.reserve(2 * SHORT) is None
    _assert_dead(scene)
