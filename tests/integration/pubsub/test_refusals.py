from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

import qcore
from qcore import Gate
from qcore.backend import Settle, Verb
from qcore.capabilities import KNOWN
from qcore_redis.promises import PUBSUB
from tests.integration.actors import Client, Hand, Line
from tests.integration.pubsub.audience import Audience, collect
from tests.integration.stage import Stage, held

ENQUEUES: Mapping[str, tuple[str, dict[str, object]]] = {
    "delay": ("delay", {"delay": 0.5}),
    "at": ("delay", {"at": 4e9}),
    "at-in-the-past": ("delay", {"at": 1.0}),
    "priority": ("priority", {"priority": 1}),
    "low-priority": ("priority", {"priority": -1}),
    "id": ("idempotent_id", {"id": "mine"}),
    "dedup": ("dedup", {"dedup": "mine"}),
    "ttl": ("ttl", {"ttl": 1.0}),
    "tenant": ("fair", {"tenant": "acme"}),
    "front": ("at_front", {"front": True}),
    "concurrency": ("concurrency", {"gate": Gate("acme", concurrency=1)}),
    "rate": ("rate", {"gate": Gate("acme", rate=1, window=1.0)}),
    "keep": ("records", {"keep": qcore.Keep()}),
}

LINES: Mapping[str, tuple[str, Callable[[Line], object]]] = {
    "reserve-with-a-lease": ("lease", lambda line: line.reserve(0, lease=5.0)),
    "reserve-many-with-a-lease": ("lease", lambda line: line.reserve_many(2, 0, lease=5.0)),
    "consume-with-a-lease": ("lease", lambda line: line.consume(lease=5.0)),
    "stats": ("stats", lambda line: line.stats()),
    "peek": ("peek", lambda line: line.peek()),
    "peek-dead": ("peek", lambda line: line.peek("dead")),
    "purge": ("purge", lambda line: line.purge()),
    "redrive": ("redrive", lambda line: line.redrive()),
    "redrive-some": ("redrive", lambda line: line.redrive(["mine"])),
    "remove": ("dead_letter", lambda line: line.remove(["mine"])),
    "cancel": ("cancel", lambda line: line.cancel("mine")),
    "reschedule": ("reschedule", lambda line: line.reschedule("mine", delay=1.0)),
    "move": ("move", lambda line: line.move("other")),
    "pause": ("pause", lambda line: line.pause()),
    "resume": ("pause", lambda line: line.resume()),
}

HANDS: Mapping[str, tuple[str, Callable[[Hand], object]]] = {
    "release": ("release", lambda hand: hand.release()),
    "retry": ("retry", lambda hand: hand.retry()),
    "retry-later": ("retry", lambda hand: hand.retry(delay=5.0)),
    "dead-letter": ("dead_letter", lambda hand: hand.dead_letter("broken")),
    "extend": ("extend", lambda hand: hand.extend(5.0)),
}

VERBS = ("release", "retry", "dead_letter", "extend")


class Ledger:
    """What the server was asked so far; the ledger's own question left out."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._before = self._asked()

    def _asked(self) -> dict[str, str]:
        rows = self._stage.info("commandstats").items()
        return {name: calls.partition(",")[0] for name, calls in rows if name != "cmdstat_info"}

    def assert_unchanged(self) -> None:
        """Nobody asked the server anything."""
        assert self._asked() == self._before


def refused(stage: Stage, capability: str, call: Callable[[], object]) -> None:
    """The call is refused for this capability, and the server hears nothing of it."""
    ledger = Ledger(stage)
    with pytest.raises(qcore.UnsupportedCapability) as caught:
        call()
    assert (caught.value.adapter, caught.value.capability) == ("redis+pubsub", capability)
    assert "Pub/Sub" in caught.value.why
    ledger.assert_unchanged()


@pytest.fixture
def client(stage: Stage) -> Client:
    """A connection that says nothing by itself for a minute."""
    return stage.connect(patience="60s")


@pytest.mark.parametrize("form", ENQUEUES)
def test_an_enqueue_that_needs_a_store_is_refused(stage: Stage, client: Client, form: str) -> None:
    """Later, sooner or only once: all of it needs somebody who remembers."""
    capability, options = ENQUEUES[form]
    line = client.queue()
    job = qcore.NewJob(b"x", **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    refused(stage, capability, lambda: line.enqueue(b"x", **options))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    refused(stage, capability, lambda: line.enqueue_many([b"fine", job]))


@pytest.mark.parametrize("form", LINES)
def test_a_look_at_what_is_not_kept_is_refused(stage: Stage, client: Client, form: str) -> None:
    """There is no lease to ask for, nothing to count, and nobody to wake from the dead."""
    capability, call = LINES[form]
    line = client.queue()

    refused(stage, capability, lambda: call(line))


def test_there_are_no_queues_to_list(stage: Stage, client: Client) -> None:
    """Who listens is no list of queues."""
    refused(stage, "stats", client.queues)


@pytest.mark.parametrize("form", HANDS)
def test_a_job_in_hand_cannot_be_given_back(stage: Stage, form: str) -> None:
    """Taking it ended it; only ack, which changes nothing, is allowed."""
    audience = Audience.of(stage, patience="60s")
    audience.mouth.enqueue(b"x")
    hand = held(audience.ear.reserve(5.0))
    capability, call = HANDS[form]

    refused(stage, capability, lambda: call(hand))


@pytest.mark.parametrize("verb", VERBS)
def test_no_part_of_a_mixed_batch_is_settled(stage: Stage, verb: str) -> None:
    """One verb that is impossible refuses them all."""
    audience = Audience.of(stage, patience="60s")
    audience.mouth.enqueue(b"x")
    receipt = held(audience.ear.reserve(5.0)).receipt
    settlements = [qcore.Settlement(receipt), qcore.Settlement(receipt, Verb(verb), 5.0)]

    refused(stage, verb, lambda: audience.ear.settle_many(settlements))
    refused(
        stage, verb, lambda: stage.client.settle("work", [Settle(receipt.token, Verb(verb), 5000)])
    )


def test_acks_are_legal_and_silent(stage: Stage) -> None:
    """A worker that acks runs unchanged on every adapter; here the server is not told."""
    audience = Audience.of(stage, patience="60s")
    audience.mouth.enqueue_many([b"a", b"b"])
    hands = [held(audience.ear.reserve(5.0)) for _ in range(2)]
    ledger = Ledger(stage)

    hands[0].ack()
    hands[0].ack()
    receipts = [hand.receipt for hand in hands]
    assert audience.ear.ack_many(receipts) == [True, True]
    assert audience.ear.settle_many([qcore.Settlement(receipts[1])]) == [True]
    step = Settle(receipts[0].token, Verb.ACK)
    assert list(stage.client.settle("work", [step, step])) == [True, True]

    assert not hands[0].lost
    ledger.assert_unchanged()


@pytest.mark.parametrize("name", [*PUBSUB.refusals, "delivery:at_least_once", "durability:process"])
def test_what_is_never_kept_is_refused_at_open(stage: Stage, name: str) -> None:
    """A program that relies on more learns it before it does anything."""
    ledger = Ledger(stage)
    with pytest.raises(qcore.UnsupportedCapability, match="redis\\+pubsub does not offer"):
        stage.connect(require={name})
    ledger.assert_unchanged()


def test_what_is_offered_can_be_required(stage: Stage) -> None:
    """The offers are as firm as the refusals."""
    offered = {"delivery:at_most_once", "settlement:automatic", "durability:none", "receivers"}

    found = stage.connect(require=offered | {"gap", "thread_safe", "wake:native"}).capabilities

    assert set(found) | set(PUBSUB.refusals) == set(KNOWN)


@pytest.mark.parametrize(
    "name", ["lease", "crash_limit", "delivery_cap", "dedup_window", "sharding"]
)
def test_a_parameter_that_means_nothing_here_is_unknown(stage: Stage, name: str) -> None:
    """It would promise something that nobody keeps."""
    with pytest.raises(
        qcore.InvalidUrl, match=f"{name}.*Known: db, namespace, patience, sentinel_password"
    ):
        stage.connect(stage.url(**{name: "3"}))


def test_the_rest_of_the_connection_goes_on_after_a_refusal(stage: Stage) -> None:
    """A refusal is an answer and no fault."""
    audience = Audience.of(stage)
    with pytest.raises(qcore.UnsupportedCapability):
        audience.ear.stats()
    with pytest.raises(qcore.UnsupportedCapability):
        audience.mouth.enqueue(b"x", delay=1.0)

    audience.mouth.enqueue(b"x")

    assert collect(audience.ear, 1) == [b"x"]
