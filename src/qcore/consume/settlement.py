"""Many deliveries settled at once, each in its own way."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from qcore.backend import Settle, Verb
from qcore.capabilities import Capabilities
from qcore.consume.delivery import BaseDelivery
from qcore.errors import InvalidInput, InvalidReceipt, LimitExceeded
from qcore.job import Receipt
from qcore.options import lease_seconds, note_text, seconds

__all__ = ["Settlement", "note_outcomes", "settlement_steps"]


def _verb(value: object) -> Verb:
    for verb in (Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER, Verb.EXTEND):
        if value == verb.value:
            return verb
    raise InvalidInput(
        f"verb must be 'ack', 'release', 'retry', 'dead_letter' or 'extend', not {value!r}"
    )


@attrs.frozen
class Settlement:
    """How one delivery shall end, or go on.

    Attributes:
        delivery: The delivery or its receipt.
        verb: ``ack``, ``release``, ``retry``, ``dead_letter`` or ``extend``.
        seconds: The delay of a retry, or the length of an extended lease.
        note: The error of a retry, or the reason of a dead letter.
        result: What an ack puts into the record of a tracked job, in the codec of its body.
    """

    delivery: object
    verb: Verb = attrs.field(default=Verb.ACK, converter=_verb)
    seconds: float = 0.0
    note: str = ""
    result: object = None


def settlement_steps(
    queue: str, settlements: Sequence[Settlement], capabilities: Capabilities
) -> list[Settle]:
    """The seam's steps; none where taking a job has ended it already.

    Raises:
        InvalidInput: If an argument is wrong.
        LimitExceeded: If there are too many.
        LeaseLost: If this process inherited one of the deliveries from its parent.
        UnsupportedCapability: If the adapter never does one of them.
    """
    if len(settlements) > capabilities.limits.batch:
        raise LimitExceeded(
            f"{len(settlements)} settlements at once, the limit is {capabilities.limits.batch}"
        )
    steps = [_step(queue, one, capabilities) for one in settlements]
    following = sum(len(step.further) + len(step.told) for step in steps)
    if following > capabilities.limits.batch:
        raise LimitExceeded(
            f"{following} jobs and messages follow these, the limit is "
            f"{capabilities.limits.batch}; settle them in parts"
        )
    return steps if capabilities.value("settlement") == "explicit" else []


def _step(queue: str, one: object, capabilities: Capabilities) -> Settle:
    if not isinstance(one, Settlement):
        raise InvalidInput(f"a settlement must be a Settlement, not {type(one).__name__}")
    token, limits = _token(queue, one.delivery), capabilities.limits
    if one.result is not None:
        _note_result(one)
    if one.verb is not Verb.ACK:
        capabilities.need(one.verb.value)
    if one.verb is Verb.EXTEND:
        return Settle(token, one.verb, round(lease_seconds(one.seconds, limits) * 1000))
    delay = seconds("seconds", one.seconds, most=limits.delay)
    step = Settle(token, one.verb, round(delay * 1000), note_text("note", one.note))
    if one.verb is Verb.ACK and isinstance(one.delivery, BaseDelivery):
        return one.delivery.effects.of_ack(token)
    return step


def _note_result(one: Settlement) -> None:
    if one.verb is not Verb.ACK:
        raise InvalidInput(f"only an ack has a result, and this is a {one.verb}")
    if not isinstance(one.delivery, BaseDelivery):
        raise InvalidInput("a result needs the delivery, since a receipt knows no codec")
    one.delivery.set_result(one.result)


def _token(queue: str, delivery: object) -> str:
    if isinstance(delivery, BaseDelivery):
        delivery.check_own()
        delivery = delivery.receipt
    if not isinstance(delivery, Receipt):
        raise InvalidReceipt(
            f"a settle needs a delivery or its receipt, not {type(delivery).__name__}"
        )
    if delivery.queue != queue:
        raise InvalidReceipt(f"the receipt is of queue {delivery.queue!r}, not of {queue!r}")
    return delivery.token


def note_outcomes(settlements: Sequence[Settlement], held: Sequence[bool], asked_at: float) -> None:
    """Tell the deliveries what the broker said to a call made at ``asked_at``."""
    for one, is_held in zip(settlements, held, strict=True):
        if isinstance(one.delivery, BaseDelivery):
            one.delivery.noted(one.verb, held=is_held)
            if is_held and one.verb is Verb.EXTEND:
                one.delivery.renewed(one.seconds, asked_at)
