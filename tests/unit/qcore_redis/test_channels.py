from __future__ import annotations

import attrs
import pytest

from qcore import UnsupportedCapability
from qcore.backend import Enqueue, Settle, Setup, Verb
from qcore.capabilities import KNOWN
from qcore.clock import SystemClock
from qcore.url import parse_url, typed
from qcore_redis.adapters import pubsub
from qcore_redis.channels import Channels, Line, ended, enqueued, taken
from qcore_redis.probe import Facts
from qcore_redis.promises import PUBSUB


def channels(query: str = "", path: str = "/3") -> Channels:
    """The channels of a URL."""
    url = parse_url(f"redis+pubsub://localhost{path}?{query}")
    params = typed(url, pubsub.parameters)
    return Channels(
        Setup(url=url, secure=False, topology="", params=params, owner="o", clock=SystemClock())
    )


def facts(*commands: str) -> Facts:
    """A server with these commands."""
    return Facts({}, {}, frozenset(commands))


def test_a_message_is_the_id_a_line_and_the_envelope() -> None:
    """The envelope is opaque, newlines and all, and comes back as it was."""
    job = Enqueue("some-id.1", b"1{}\nbody\n")

    (words,) = channels("namespace=shop").publish("work", [job])

    assert words == ("PUBLISH", "qc:3:{shop/work}", b"some-id.1\n1{}\nbody\n")
    assert [(one.id, one.envelope) for one in taken([words[2]], more=False).jobs] == [
        (job.id, job.envelope)
    ]


def test_publisher_and_listener_speak_of_the_same_channel() -> None:
    """Sharded or not, but never one of each."""
    job = Enqueue("id", b"")
    for query, publish, subscribe in (
        ("", "PUBLISH", "SUBSCRIBE"),
        ("sharded=true", "SPUBLISH", "SSUBSCRIBE"),
    ):
        both = channels(query)
        assert both.publish("q", [job])[0][:2] == (publish, "qc:3:{default/q}")
        assert both.subscribe("q") == (subscribe, "qc:3:{default/q}")


@pytest.mark.parametrize(
    "payload",
    [b"", b"secret", b"\n1{}\nx", b"a b\n1{}\nx", b"x" * 129 + b"\n1{}\n", b"\xff\n1{}\n"],
)
def test_a_foreign_message_shows_nothing_of_itself(payload: bytes) -> None:
    """It becomes a job that nobody can read, and whose id can be logged."""
    (job,) = taken([payload], more=False).jobs

    assert (job.id, job.envelope) == ("without-an-id", b"")


def test_receivers_belong_to_their_jobs() -> None:
    """In the order in which they were published."""
    jobs = [Enqueue("a", b""), Enqueue("b", b"")]

    assert [(one.id, one.receivers) for one in enqueued(jobs, [0, 2])] == [("a", 0), ("b", 2)]


def test_only_an_ack_is_possible_at_the_seam() -> None:
    """Taking ended the job; everything else would be a lie."""
    assert ended([Settle("", Verb.ACK)] * 2) == [True, True]
    for verb in set(Verb) - {Verb.ACK}:
        with pytest.raises(UnsupportedCapability):
            ended([Settle("", Verb.ACK), Settle("", verb)])


def test_sharding_needs_a_server_that_has_it() -> None:
    """A server that may not be asked is believed; without sharding nothing is asked of it."""
    assert channels("sharded=true").promised(facts("spublish", "ssubscribe")) == PUBSUB
    assert channels("sharded=true").promised(Facts({}, {}, None)) == PUBSUB
    assert channels().promised(facts()) == PUBSUB
    with pytest.raises(UnsupportedCapability, match="leave sharded out"):
        channels("sharded=true").promised(facts("ssubscribe"))


def test_every_capability_is_promised_or_refused_with_a_reason() -> None:
    """Nothing is left open."""
    assert set(PUBSUB) | set(PUBSUB.refusals) == set(KNOWN)
    assert not set(PUBSUB) & set(PUBSUB.refusals)
    assert all(PUBSUB.refusals.values())


def test_a_gap_counts_when_somebody_listens_again() -> None:
    """The first listener makes no gap, and a loss that lasts is one gap."""
    line = Line[str]("work")
    line.heard_by("first")
    assert (line.subscription, line.gaps) == ("first", 0)

    line.lost("cut")
    assert (line.subscription, line.gaps) == (None, 0)

    line.heard_by("second")
    assert (line.subscription, line.gaps) == ("second", 1)


def test_parameters_of_stores_are_not_known() -> None:
    """Each would promise something that Pub/Sub never does."""
    assert {one.name for one in pubsub.parameters} >= {"namespace", "patience", "db", "sharded"}
    assert not {one.name for one in pubsub.parameters} & {"lease", "crash_limit", "dedup_window"}
    assert attrs.asdict(pubsub.promises()) == attrs.asdict(PUBSUB)
