from __future__ import annotations

import pytest
import redis.exceptions as theirs

from qcore.backend import Fault
from qcore_redis.faults import NotSent, Refused, fault_of
from qcore_redis.ports.translate import committed, not_sent, transaction, translated

QUEUED = [b"QUEUED", b"QUEUED"]


def test_a_transaction_answers_with_what_its_commands_said() -> None:
    """What frames them is nobody's business."""
    commands = [("PUBLISH", "c", b"a"), ("PUBLISH", "c", b"b")]

    assert transaction(commands) == [("MULTI",), *commands, ("EXEC",)]
    assert committed([b"OK", *QUEUED, [1, 2]]) == [1, 2]


def test_the_first_refusal_is_the_reason() -> None:
    """That the transaction was given up says less than why."""
    denied = theirs.NoPermissionError("no channel")
    aborted = theirs.ExecAbortError("discarded")

    with pytest.raises(Refused, match="NOPERM no channel"):
        committed([b"OK", denied, b"QUEUED", aborted])
    with pytest.raises(Refused, match="EXECABORT discarded"):
        committed([b"OK", *QUEUED, aborted])
    with pytest.raises(Refused, match="broken"):
        committed([b"OK", *QUEUED, [1, theirs.ResponseError("broken")]])


def test_commands_that_ran_without_their_transaction_are_answered() -> None:
    """A user who may not say MULTI may well publish, and did."""
    denied = theirs.NoPermissionError("no multi")

    assert committed([denied, 1, 2, theirs.ResponseError("EXEC without MULTI")]) == [1, 2]


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (theirs.AuthenticationError("wrong password"), Fault.REJECTED),
        (theirs.NoPermissionError("no select"), Fault.REJECTED),
        (theirs.ResponseError("DB index is out of range"), Fault.REJECTED),
        (theirs.BusyLoadingError("loading"), Fault.UNAVAILABLE),
        (theirs.TimeoutError("late"), Fault.UNAVAILABLE),
        (OSError("refused"), Fault.UNAVAILABLE),
    ],
)
def test_an_error_of_connecting_means_that_nothing_was_done(said: Exception, fault: Fault) -> None:
    """Wrapped by the library or not, it is told apart by whether trying again can help."""
    assert fault_of(not_sent(said)) is fault
    wrapped = theirs.ConnectionError(str(said))
    wrapped.__cause__ = said
    assert fault_of(not_sent(wrapped)) is fault


def test_a_lost_link_is_told_from_an_answer() -> None:
    """Only an answer proves what the server did."""
    assert fault_of(translated(theirs.ConnectionError("reset"))) is Fault.INDETERMINATE
    assert fault_of(translated(theirs.OutOfMemoryError("full"))) is Fault.UNAVAILABLE
    assert isinstance(not_sent(theirs.ConnectionError("")), NotSent)
    assert str(not_sent(theirs.ConnectionError(""))) == "ConnectionError"
