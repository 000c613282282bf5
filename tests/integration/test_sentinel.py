"""A primary under sentinels: it is found through any of them, and followed when it changes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qcore import Rejected
from tests.integration.actors import Hand
from tests.integration.conftest import open_stage
from tests.integration.groups import Watched, watched_pair
from tests.integration.stage import EDGES, Place, Stage, held, places

WORK = 40

pytestmark = pytest.mark.timeout(180)
"""Sentinels take their time, several seconds for each change."""


@pytest.fixture(scope="module", params=EDGES, ids=lambda binary: binary.name)
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A pair under three sentinels, of the oldest and of the newest server."""
    with watched_pair(request.param) as pair:
        yield pair


@pytest.fixture(params=places([None]), ids=str)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Both adapters in both colours."""
    place: Place = request.param
    yield from open_stage(place, None)


def url_of(watched: Watched, stage: Stage, **params: object) -> str:
    """The pair, in the namespace of this test."""
    words = {"namespace": stage.namespace, "patience": "30s", **params}
    return watched.url(stage.place.adapter, **words)


def test_work_goes_on_after_a_failover(watched: Watched, stage: Stage) -> None:
    """What the replica had heard of survives, acks too, and no call has to be made again."""
    client = stage.connect(url_of(watched, stage))
    line = client.queue("work")
    given = line.enqueue_many([b"%d" % number for number in range(WORK)])
    done = line.reserve_many(WORK // 2, timeout=10)
    assert all(line.ack_many([hand.receipt for hand in done]))
    kept = held(line.reserve(timeout=10))
    watched.catch_up()

    watched.fail_over()

    kept.ack()
    rest: list[Hand] = []
    while len(rest) < WORK // 2 - 1:
        rest += line.reserve_many(WORK, timeout=30)
    found = [hand.job.id for hand in [*done, kept, *rest]]
    assert sorted(found) == sorted(given)
    assert all(line.ack_many([hand.receipt for hand in rest]))
    stats = line.stats()
    assert (stats.enqueued, stats.acked, stats.ready, stats.held) == (WORK, WORK, 0, 0)


def test_a_sleeper_wakes_at_the_new_primary(watched: Watched, stage: Stage) -> None:
    """Whoever sleeps while the primary changes hears of jobs that come after."""
    sleeper = stage.connect(url_of(watched, stage)).queue("work")
    other = stage.connect(url_of(watched, stage)).queue("work")
    watched.catch_up()
    with ThreadPoolExecutor(1) as pool:
        come = pool.submit(sleeper.reserve, 40)
        watched.fail_over()
        given = other.enqueue(b"job")
        hand = held(come.result())
    assert hand.job.id == given
    hand.ack()


def test_a_dead_primary_is_replaced(watched: Watched, stage: Stage) -> None:
    """Q-REC-13: a primary that is killed costs seconds, and nothing that was replicated."""
    client = stage.connect(url_of(watched, stage))
    line = client.queue("work")
    line.enqueue(b"job")
    watched.catch_up()
    dead = watched.primary()

    dead.kill()
    try:
        held(line.reserve(timeout=40)).ack()
        assert line.stats().acked == 1
    finally:
        watched.revive(dead)


def test_any_sentinel_will_do(watched: Watched, stage: Stage) -> None:
    """A sentinel that is away is passed over."""
    watched.sentinels[0].pause()
    try:
        line = stage.connect(url_of(watched, stage)).queue("work")
        line.enqueue(b"job")
        held(line.reserve(timeout=10)).ack()
    finally:
        watched.sentinels[0].resume()


def test_an_unknown_name_is_refused_at_once(watched: Watched, stage: Stage) -> None:
    """A misspelt name is no broker that is away, and no password is told."""
    url = url_of(watched, stage).replace("/jobs?", "/jbos?")
    with pytest.raises(Rejected, match="jbos") as caught:
        stage.connect(url)
    assert "hush" not in str(caught.value)


def test_what_a_failover_may_lose_is_not_promised(watched: Watched, stage: Stage) -> None:
    """Replication is asynchronous, so no file of the old primary keeps the promise."""
    claim = stage.connect(url_of(watched, stage)).capabilities.claims["durability"]
    assert claim.value == "none"
    assert "failover" in claim.why
