"""Many deliveries settled at once, each in its own way."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from qcore.backend import Settle, Verb
from qcore.capabilities import Capabilities
from qcore.consume.delivery import BaseDelivery
from qcore.errors import InvalidInput, InvalidReceipt, LimitExceeded
from qcore.job import Receipt
from qcore.options import lease_seconds, seconds

__all__ = ["Settlement", "note_outcomes", "settlement_steps"]


@attrs.frozen
class Settlement:
    """How one delivery shall end, or go on.

    Attributes:
        delivery: The delivery or its receipt.
        verb: ``ack``, ``release``, ``retry``, ``dead_letter`` or ``extend``.
        seconds: The delay of a retry, or the length of an extended lease.
        note: The error of a retry, or the reason of a dead letter.
    """

    delivery: object
    verb: Verb = attrs.field(default=Verb.ACK, converter=Verb)
    seconds: float = 0.0
    note: str = ""


def settlement_steps(
    queue: str, settlements: Sequence[Settlement], capabilities: Capabilities
) -> list[Settle]:
    """The seam's steps; none where taking a job has ended it already.

    Raises:
        InvalidInput: If an argument is wrong.
        UnsupportedCapability: If the adapter never does one of them.
    """
    if len(settlements) > capabilities.limits.batch:
        raise LimitExceeded(
            f"{len(settlements)} settlements at once, the limit is {capabilities.limits.batch}"
        )
    steps = [_step(queue, one, capabilities) for one in settlements]
    return steps if capabilities.value("settlement") == "explicit" else []


def _step(queue: str, one: Settlement, capabilities: Capabilities) -> Settle:
    token = _token(queue, one.delivery)
    if one.verb is not Verb.ACK:
        capabilities.need(one.verb.value)
    if one.verb is Verb.EXTEND:
        return Settle(
            token, one.verb, round(lease_seconds(one.seconds, capabilities.limits) * 1000)
        )
    if one.verb is Verb.START:
        raise InvalidInput("'start' is told by consume itself")
    delay = seconds("seconds", one.seconds, most=capabilities.limits.delay)
    return Settle(token, one.verb, round(delay * 1000), one.note)


def _token(queue: str, delivery: object) -> str:
    receipt = delivery.receipt if isinstance(delivery, BaseDelivery) else delivery
    if not isinstance(receipt, Receipt):
        raise InvalidReceipt(f"a settle needs a delivery or its receipt, not {receipt!r}")
    if receipt.queue != queue:
        raise InvalidReceipt(f"the receipt is of queue {receipt.queue!r}, not of {queue!r}")
    return receipt.token


def note_outcomes(settlements: Sequence[Settlement], held: Sequence[bool]) -> None:
    """Tell the deliveries what the broker said."""
    for one, is_held in zip(settlements, held, strict=True):
        if isinstance(one.delivery, BaseDelivery):
            one.delivery.noted(one.verb, held=is_held)
