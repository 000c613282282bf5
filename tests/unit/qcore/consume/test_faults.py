from __future__ import annotations

import pytest

from qcore.backend import Fault
from qcore.consume.faults import explaining
from qcore.errors import (
    Closed,
    Corrupt,
    Indeterminate,
    LeaseLost,
    QcoreError,
    Rejected,
    Unavailable,
)

KINDS: dict[Fault, type[QcoreError]] = {
    Fault.UNAVAILABLE: Unavailable,
    Fault.REJECTED: Rejected,
    Fault.INDETERMINATE: Indeterminate,
    Fault.CORRUPT: Corrupt,
    Fault.CLOSED: Closed,
}


class ClientError(Exception):
    """What a client library raises."""


def meet(error: BaseException, fault: Fault | None) -> None:
    """Raise an error that the adapter judges so."""
    with explaining(lambda _: fault, "enqueue jobs"):
        raise error


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_its_error(fault: Fault) -> None:
    """Which says what could not be done, why, and what to do; the cause is kept."""
    cause = ClientError("connection reset")
    with pytest.raises(KINDS[fault], match=r"could not enqueue jobs: connection reset \(") as seen:
        meet(cause, fault)
    assert seen.value.__cause__ is cause


def test_a_lost_reply_leaves_nothing_in_doubt_where_nothing_was_changed() -> None:
    """Whoever only looked may look again."""
    with (
        pytest.raises(Unavailable, match="nothing was done"),
        explaining(lambda _: Fault.INDETERMINATE, "list the queues", looking=True),
    ):
        raise ClientError("connection reset")


def test_an_error_without_a_message_is_named() -> None:
    """Some libraries say nothing."""
    with pytest.raises(Unavailable, match=r"could not enqueue jobs: ClientError \("):
        meet(ClientError(), Fault.UNAVAILABLE)


@pytest.mark.parametrize(
    "error", [ClientError("a bug"), LeaseLost("x"), KeyboardInterrupt(), SystemExit()]
)
def test_what_is_not_the_adapters_to_judge_passes_as_it_is(error: BaseException) -> None:
    """Errors of qcore, interruptions, and what the adapter does not know."""
    fault = None if isinstance(error, ClientError) else Fault.REJECTED
    with pytest.raises(type(error)) as seen:
        meet(error, fault)
    assert seen.value is error
    assert seen.value.__cause__ is None


def test_nothing_is_explained_where_nothing_went_wrong() -> None:
    """The adapter is not asked."""

    def classify(_: BaseException) -> Fault | None:
        pytest.fail("asked")

    with explaining(classify, "enqueue jobs"):
        pass
