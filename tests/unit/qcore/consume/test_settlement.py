from __future__ import annotations

from typing import Any

import attrs
import pytest

from qcore.backend import Settle, TakenJob, Verb
from qcore.capabilities import Limits
from qcore.clock import ManualClock
from qcore.consume.delivery import BaseDelivery
from qcore.consume.settlement import Settlement, note_outcomes, settlement_steps
from qcore.errors import InvalidInput, InvalidReceipt, LimitExceeded, UnsupportedCapability
from qcore.job import Job, Receipt
from tests.unit.qcore.stubs import drafter, listening, spoilt

ALL = spoilt()


def delivery(name: str = "a", queue: str = "q") -> BaseDelivery:
    """A delivery with a lease of 10 seconds."""
    clock = ManualClock()
    return BaseDelivery(
        Job(name, queue, b""),
        TakenJob(f"{name}|1|me", name, b""),
        lease=10.0,
        asked_at=0.0,
        ahead=False,
        capabilities=ALL,
        monotonic=clock.monotonic,
        drafter=drafter,
    )


def test_each_delivery_is_settled_in_its_own_way() -> None:
    """Deliveries and receipts, with times in milliseconds."""
    steps = settlement_steps(
        "q",
        [
            Settlement(delivery("a")),
            Settlement(Receipt("q", "b|1|me"), Verb.RELEASE),
            Settlement(delivery("c"), "retry", 1.5, "no network"),  # pyright: ignore[reportArgumentType]
            Settlement(delivery("d"), Verb.DEAD_LETTER, note="no such user"),
            Settlement(delivery("e"), Verb.EXTEND, 60),
        ],
        ALL,
    )
    assert steps == [
        Settle("a|1|me", Verb.ACK),
        Settle("b|1|me", Verb.RELEASE),
        Settle("c|1|me", Verb.RETRY, 1500, "no network"),
        Settle("d|1|me", Verb.DEAD_LETTER, 0, "no such user"),
        Settle("e|1|me", Verb.EXTEND, 60_000),
    ]


@pytest.mark.parametrize("verb", ["nack", "", Verb.START, None, 1])
def test_a_verb_is_one_of_five(verb: Any) -> None:
    """Starting is told by consume itself."""
    with pytest.raises(InvalidInput, match="'ack', 'release', 'retry', 'dead_letter' or 'extend'"):
        Settlement(delivery(), verb)


WRONG: dict[str, tuple[object, type[Exception]]] = {
    "no settlement": (delivery(), InvalidInput),
    "no delivery": (Settlement("a|1|me"), InvalidReceipt),
    "nothing": (Settlement(None), InvalidReceipt),
    "delivery of another queue": (Settlement(delivery(queue="other")), InvalidReceipt),
    "receipt of another queue": (Settlement(Receipt("other", "t")), InvalidReceipt),
    "negative delay": (Settlement(delivery(), Verb.RETRY, -1), InvalidInput),
    "long delay": (Settlement(delivery(), Verb.RETRY, 1001), LimitExceeded),
    "short lease": (Settlement(delivery(), Verb.EXTEND, 0.01), LimitExceeded),
    "no lease": (Settlement(delivery(), Verb.EXTEND), LimitExceeded),
    "note as bytes": (Settlement(delivery(), Verb.RETRY, 0, b"x"), InvalidInput),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize(("wrong", "error"), WRONG.values(), ids=WRONG)
def test_one_wrong_settlement_refuses_the_batch(wrong: Any, error: type[Exception]) -> None:
    """Before anything is sent."""
    limited = attrs.evolve(ALL, limits=Limits(delay=1000.0))
    with pytest.raises(error):
        settlement_steps("q", [Settlement(delivery()), wrong], limited)


def test_a_note_that_cannot_be_stored_is_escaped() -> None:
    """As in single settles."""
    (step,) = settlement_steps("q", [Settlement(delivery(), Verb.RETRY, 0, "\udcff" * 9999)], ALL)
    assert step.note.startswith("\\udcff")
    assert len(step.note) == 2000


def test_a_batch_holds_its_limit() -> None:
    """Whole or not at all."""
    limited = attrs.evolve(ALL, limits=Limits(batch=2))
    assert len(settlement_steps("q", [Settlement(delivery())] * 2, limited)) == 2
    with pytest.raises(LimitExceeded, match="3 settlements at once, the limit is 2"):
        settlement_steps("q", [Settlement(delivery())] * 3, limited)


def test_what_follows_goes_with_the_ack_alone() -> None:
    """A job that ends in another way has nothing behind it, and neither has a bare receipt."""
    one = delivery()
    one.then("next", b"1", b"2")
    verbs = [Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER, Verb.EXTEND]
    steps = settlement_steps("q", [Settlement(one, verb, 1.0) for verb in verbs], ALL)
    assert [len(step.further) for step in steps] == [2, 0, 0, 0, 0]
    assert steps[0].further == one.effects.further
    (bare,) = settlement_steps("q", [Settlement(one.receipt)], ALL)
    assert bare.further == ()


def test_what_follows_a_batch_holds_the_limit_of_one() -> None:
    """However it is spread over the batch."""
    limited = attrs.evolve(ALL, limits=Limits(batch=4))
    first, second, third = (delivery(name) for name in "abc")
    for one in (first, second, third):
        one.then("next", b"1", b"2")
    assert len(settlement_steps("q", [Settlement(first), Settlement(second)], limited)) == 2
    with pytest.raises(LimitExceeded, match="6 jobs and messages follow these, the limit is 4"):
        settlement_steps("q", [Settlement(one) for one in (first, second, third)], limited)
    released = Settlement(third, Verb.RELEASE)
    assert len(settlement_steps("q", [Settlement(first), Settlement(second), released], limited))


@pytest.mark.parametrize("verb", [Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER, Verb.EXTEND])
def test_what_the_adapter_never_does_is_refused(verb: Verb) -> None:
    """By the name of the verb."""
    with pytest.raises(UnsupportedCapability, match=verb.value):
        settlement_steps("q", [Settlement(delivery(), verb, 1.0)], spoilt(verb.value))


def test_where_taking_ends_a_job_an_ack_sends_nothing() -> None:
    """Portable code may ack all the same, but not retry."""
    assert settlement_steps("q", [Settlement(delivery())], listening()) == []
    with pytest.raises(UnsupportedCapability, match="retry"):
        settlement_steps("q", [Settlement(delivery(), Verb.RETRY)], listening())


def test_deliveries_are_told_what_the_broker_said() -> None:
    """Each its own; receipts have nobody to tell."""
    acked, lost, extended = delivery("a"), delivery("b"), delivery("c")
    settlements = [
        Settlement(acked),
        Settlement(lost),
        Settlement(extended, Verb.EXTEND, 60.0),
        Settlement(Receipt("q", "d|1|me")),
    ]
    note_outcomes(settlements, [True, False, True, False], asked_at=5.0)
    assert (acked.settled, acked.lost) == (True, False)
    assert (lost.settled, lost.lost) == (False, True)
    assert (extended.settled, extended.lease, extended.until) == (False, 60.0, 65.0)
