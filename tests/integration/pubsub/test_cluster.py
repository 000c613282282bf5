"""Channels in a cluster: sharded ones live with their slots, plain ones are heard everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qcore_conformance.servers import newest
from qcore_redis.keys import channel
from tests.integration.groups import Cluster, cluster_of_three
from tests.integration.pubsub.audience import Audience, bodies
from tests.integration.stage import COLOURS, Place, Stage

CHANNELS = [f"work{number}" for number in range(8)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes of the newest server; the oldest cannot shard channels."""
    with cluster_of_three(newest()) as nodes:
        yield nodes


@pytest.fixture(params=COLOURS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Pub/Sub in both colours."""
    stage = Stage(Place("redis+pubsub", request.param))
    try:
        yield stage
    finally:
        stage.close()


def audience(stage: Stage, url: str, name: str) -> Audience:
    """A listener and a publisher, each with a connection to the cluster."""
    ear, mouth = (stage.connect(url).queue(name) for _ in range(2))
    found = Audience(stage, ear, mouth, name)
    found.subscribe()
    return found


def test_sharded_channels_of_every_node_are_heard_and_counted(
    cluster: Cluster, stage: Stage
) -> None:
    """Q-PUB-04: a job goes to the node of its channel, and so do its listeners."""
    url = cluster.url("redis+pubsub", namespace=stage.namespace, sharded="true")
    for name in CHANNELS:
        heard = audience(stage, url, name)
        assert heard.mouth.enqueue(name.encode()).receivers == 1
        assert bodies(heard.ear.reserve_many(1, timeout=10)) == [name.encode()]


def test_a_channel_that_moved_is_heard_again(cluster: Cluster, stage: Stage) -> None:
    """Q-PUB-03: the server ends the subscription; that is a gap, and is told."""
    url = cluster.url("redis+pubsub", namespace=stage.namespace, sharded="true")
    heard = audience(stage, url, "work")

    cluster.move(channel(stage.namespace, "work", 0))

    assert heard.hear_until_gap(1) == []
    assert heard.mouth.enqueue(b"after").receivers == 1
    assert bodies(heard.ear.reserve_many(1, timeout=10)) == [b"after"]


def test_listeners_of_other_nodes_are_not_counted_wrongly(cluster: Cluster, stage: Stage) -> None:
    """A node counts its own listeners alone, so of plain channels no number is told."""
    url = cluster.url("redis+pubsub", namespace=stage.namespace)
    heard = audience(stage, url, "work")

    assert "receivers" not in stage.client.capabilities
    assert heard.mouth.enqueue(b"job").receivers is None
    assert bodies(heard.ear.reserve_many(1, timeout=10)) == [b"job"]
