"""A cluster: each queue lives on one node, is found there, and followed when it moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import qcore
import qcore.consume.reserve
from qcore_conformance.servers import Binary
from qcore_conformance.waiting import scaled, wait_until
from qcore_redis import programs
from tests.integration.conftest import open_stage
from tests.integration.groups import Cluster, cluster_of_three
from tests.integration.stage import EDGES, Place, Stage, held, places

QUEUES = [f"work{number}" for number in range(12)]


@pytest.fixture(scope="module", params=EDGES, ids=lambda binary: binary.name)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Three nodes of the oldest, and of the newest server."""
    binary: Binary = request.param
    with cluster_of_three(binary) as nodes:
        yield nodes


@pytest.fixture(params=places([None]), ids=str)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Both adapters in both colours."""
    place: Place = request.param
    yield from open_stage(place, None)


def url_of(cluster: Cluster, stage: Stage, **params: object) -> str:
    """The cluster, in the namespace of this test."""
    words = {"namespace": stage.namespace, "patience": "10s", **params}
    return cluster.url(stage.place.adapter, **words)


def asleep(cluster: Cluster) -> int:
    """How many connections sleep on any of the nodes."""
    found = 0
    for server in cluster.servers:
        text = server.cli("INFO", "clients")
        assert isinstance(text, bytes)
        fields = dict(row.split(b":", 1) for row in text.splitlines() if b":" in row)
        found += int(fields[b"blocked_clients"])
    return found


def test_queues_of_every_node_work(cluster: Cluster, stage: Stage) -> None:
    """Wherever a queue lives, its jobs go in and out, are counted, and it is listed."""
    client = stage.connect(url_of(cluster, stage))
    places_of = {cluster.owner(stage.keys(name).one("meta")) for name in QUEUES}
    assert places_of == {0, 1, 2}

    for name in QUEUES:
        line = client.queue(name)
        line.enqueue_many([b"a", b"b"])
        line.enqueue(b"urgent", priority=4, id="x", delay=0.0)
        urgent, first, second = line.reserve_many(3, timeout=10)
        assert [one.job.body for one in (urgent, first, second)] == [b"urgent", b"a", b"b"]
        urgent.ack()
        first.release()
        second.retry(100.0, "later")
        stats = line.stats()
        assert (stats.acked, stats.ready, stats.delayed) == (1, 1, 1)

    assert client.queues() == sorted(QUEUES)


def test_jobs_are_not_moved_between_queues_of_a_cluster(cluster: Cluster, stage: Stage) -> None:
    """Wherever the two queues live, and nothing was done."""
    client = stage.connect(url_of(cluster, stage))
    line = client.queue(QUEUES[0])
    line.enqueue(b"stays")

    assert "different nodes" in client.capabilities.refusals["move"]
    with pytest.raises(qcore.UnsupportedCapability, match="different nodes"):
        line.move(QUEUES[1])

    assert line.stats().ready == 1


def test_a_sleeper_wakes_at_its_node(
    cluster: Cluster, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-BLOCK-01: whichever node the queue lives on, and not since it looks again by itself.

    That would take twice the time that it has, which leaves enough to a busy machine.
    """
    look = scaled(8.0)
    monkeypatch.setattr(qcore.consume.reserve, "LONGEST_WAIT", look)
    for name in ("LONGEST_BLOCK", "_LONGEST_SLEEP"):
        monkeypatch.setattr(programs, name, look)
    sleeper = stage.connect(url_of(cluster, stage))
    other = stage.connect(url_of(cluster, stage))
    with ThreadPoolExecutor(1) as pool:
        for name in QUEUES[:4]:
            come = pool.submit(sleeper.queue(name).reserve, 20)
            wait_until(lambda: asleep(cluster) > 0, within=10.0, what="asleep")
            began = time.monotonic()
            other.queue(name).enqueue(b"job")
            held(come.result()).ack()
            assert time.monotonic() - began < look / 2


def test_a_queue_that_moved_is_followed(cluster: Cluster, stage: Stage) -> None:
    """Jobs in hand, jobs that wait and what is known of ids: all of it goes along."""
    client = stage.connect(url_of(cluster, stage))
    line = client.queue("work")
    line.enqueue_many([b"a", b"b", b"c"])
    line.enqueue(b"d", id="mine")
    kept = held(line.reserve(timeout=5))

    cluster.move(stage.keys().one("meta"))

    kept.ack()
    assert not line.enqueue(b"again", id="mine").created
    rest = line.reserve_many(5, timeout=5)
    assert [hand.job.body for hand in rest] == [b"b", b"c", b"d"]
    assert all(line.ack_many([hand.receipt for hand in rest]))
    assert line.stats().acked == 4


def test_a_sleeper_follows_its_queue(cluster: Cluster, stage: Stage) -> None:
    """Whoever slept on the old node hears of a job on the new one, and is not told of an error."""
    sleeper = stage.connect(url_of(cluster, stage)).queue("work")
    other = stage.connect(url_of(cluster, stage)).queue("work")
    with ThreadPoolExecutor(1) as pool:
        come = pool.submit(sleeper.reserve, 30)
        wait_until(lambda: asleep(cluster) > 0, within=10.0, what="asleep")
        cluster.move(stage.keys().one("meta"))
        began = time.monotonic()
        other.enqueue(b"job")
        held(come.result()).ack()
        assert time.monotonic() - began < scaled(3.0)


def test_calls_wait_while_a_queue_moves(cluster: Cluster, stage: Stage) -> None:
    """Half moved, no node can do a step in whole: it is tried again until one can."""
    client = stage.connect(url_of(cluster, stage, patience="60s"))
    line = client.queue("work")
    line.enqueue(b"before")
    key = stage.keys().one("meta")
    source, target = cluster.begin_move(key)
    with ThreadPoolExecutor(1) as pool:
        during = pool.submit(line.enqueue, b"during")
        with pytest.raises(qcore.Unavailable):
            stage.connect(url_of(cluster, stage, patience="50ms")).queue("work").enqueue(b"never")
        cluster.end_move(key, source, target)
        during.result()
    bodies = [hand.job.body for hand in line.reserve_many(5, timeout=5)]
    assert bodies == [b"before", b"during"]


def test_every_node_is_looked_at(cluster: Cluster, stage: Stage) -> None:
    """What is promised holds on each of the nodes; none of them is one for all."""
    server = cluster.servers[2]
    assert stage.connect(url_of(cluster, stage)).capabilities.value("dedup") is True
    server.cli("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    try:
        client = stage.connect(url_of(cluster, stage))
        assert "dedup" not in client.capabilities
        assert "volatile-lru" in client.capabilities.refusals["dedup"]
    finally:
        server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_a_node_that_is_away_stops_only_its_queues(cluster: Cluster, stage: Stage) -> None:
    """A queue on a frozen node is unavailable or in doubt; the others go on."""
    client = stage.connect(url_of(cluster, stage, patience="50ms"))
    by_node = {cluster.owner(stage.keys(name).one("meta")): name for name in QUEUES}
    for name in by_node.values():
        client.queue(name).enqueue(b"job")
    cluster.servers[0].kill()
    try:
        with pytest.raises((qcore.Unavailable, qcore.Indeterminate)):
            client.queue(by_node[0]).enqueue(b"job")
        assert client.queue(by_node[1]).enqueue(b"job").created
    finally:
        cluster.servers[0].start()
        wait_until(lambda: cluster_ok(cluster), within=60.0, what="the cluster is whole again")


def cluster_ok(cluster: Cluster) -> bool:
    """Whether every node says that all slots are served."""
    found = [server.cli("CLUSTER", "INFO") for server in cluster.servers]
    return all(isinstance(text, bytes) and b"cluster_state:ok" in text for text in found)
