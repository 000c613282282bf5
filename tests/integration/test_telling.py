"""What an ack tells on a server: on which channel, in a cluster, and without the right to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

import qcore
from qcore_conformance.servers import newest
from tests.integration.actors import Hand, Line
from tests.integration.async_actors import AsyncHand
from tests.integration.groups import Cluster, cluster_of_three
from tests.integration.pubsub.audience import Audience
from tests.integration.stage import COLOURS, STORED, Place, Stage, held


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three nodes of the newest server."""
    with cluster_of_three(newest()) as nodes:
        yield nodes


@pytest.fixture(
    params=[Place(adapter, colour) for adapter in STORED for colour in COLOURS], ids=str
)
def away(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Jobs in both colours and both stores, wherever a URL leads."""
    stage = Stage(request.param)
    try:
        yield stage
    finally:
        stage.close()


def ear_at(stage: Stage, url: str, topic: str = "news") -> Line:
    """One who listens."""
    return Audience.of(stage, url, topic).ear


def said_of(hand: Hand) -> qcore.Delivery | qcore.AsyncDelivery:
    """The delivery, for what is not awaited in either colour."""
    return hand.delivery if isinstance(hand, AsyncHand) else cast("qcore.Delivery", hand)


def heard_at(stage: Stage) -> str:
    """Where the topics of this place are heard."""
    address = stage.server.unix.url("redis+pubsub")
    return f"{address}?namespace={stage.namespace}&patience=2s"


def test_a_topic_is_one_of_the_database(redis_stage: Stage) -> None:
    """Channels themselves know no databases."""
    url = redis_stage.url(db=1)
    here, there = (
        ear_at(redis_stage, f"{heard_at(redis_stage)}&db={database}") for database in (1, 0)
    )
    line = redis_stage.connect(url).queue()
    line.enqueue(b"")
    hand = held(line.reserve(timeout=0))
    said_of(hand).tell("news", b"done")
    hand.ack()
    assert held(here.reserve(timeout=10)).job.body == b"done"
    assert there.reserve(timeout=0.1) is None


def test_who_may_not_publish_is_done_all_the_same(redis_stage: Stage) -> None:
    """Nobody hears; the job is acked, and what follows it is there."""
    redis_stage.server.cli(
        *("ACL", "SETUSER", "quiet", "on", ">pw", "~*", "resetchannels", "+@all", "-@pubsub")
    )
    ear = ear_at(redis_stage, heard_at(redis_stage))
    address = redis_stage.url().replace("+unix://", "+unix://quiet:pw@")
    quiet = redis_stage.connect(address)
    line = quiet.queue()
    line.enqueue(b"")
    hand = held(line.reserve(timeout=0))
    said_of(hand).tell("news", b"done")
    said_of(hand).then("next", b"follows")
    hand.ack()
    assert line.stats().acked == 1
    assert quiet.queue("next").stats().ready == 1
    assert ear.reserve(timeout=0.1) is None


def test_listeners_of_every_node_hear_what_is_told_on_any(cluster: Cluster, away: Stage) -> None:
    """A script publishes on its own node, and nodes pass on what is said in plain channels."""
    heard = cluster.url("redis+pubsub", namespace=away.namespace)
    topics = [f"news{number}" for number in range(6)]
    ears = [ear_at(away, heard, topic) for topic in topics]
    client = away.connect(cluster.url(away.place.adapter, namespace=away.namespace))
    for number in range(6):
        line = client.queue(f"work{number}")
        line.enqueue(b"")
        hand = held(line.reserve(timeout=0))
        for topic in topics:
            said_of(hand).tell(topic, b"%d" % number)
        hand.ack()
    for ear in ears:
        came = [held(ear.reserve(timeout=10)).job.body for _ in range(6)]
        assert sorted(came) == [b"%d" % number for number in range(6)]
