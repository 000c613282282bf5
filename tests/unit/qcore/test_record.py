from __future__ import annotations

import attrs
import pytest

from qcore.errors import Corrupt, InvalidInput
from qcore.record import ENDS, Record, encode_result
from qcore.states import TRANSITIONS, Event, State

RECORD = Record("a", State.DONE, 2.0, 1.0)


@pytest.mark.parametrize(
    ("codec", "value"), [("bytes", b""), ("bytes", b"a\nb"), ("json", None), ("msgpack", [1])]
)
def test_a_result_is_kept_with_its_codec(codec: str, value: object) -> None:
    """So that whoever asks needs not know it."""
    kept = attrs.evolve(RECORD, stored_result=encode_result(codec, value))
    assert kept.result == value


def test_without_a_result_there_is_none() -> None:
    """Which is no empty one."""
    assert RECORD.result is None
    assert encode_result("bytes", b"")


def test_a_result_that_cannot_be_written_is_refused() -> None:
    """By the codec of the job's body."""
    with pytest.raises(InvalidInput):
        encode_result("json", object())


def test_what_nobody_can_read_is_corrupt() -> None:
    """A result of an unknown codec, and a report that is none."""
    with pytest.raises(Corrupt):
        _ = attrs.evolve(RECORD, stored_result=b"pickle\n...").result
    with pytest.raises(Corrupt):
        _ = attrs.evolve(RECORD, stored_report="{").progress


def test_a_report_is_read_in_parts() -> None:
    """Each may be missing."""
    told = attrs.evolve(RECORD, stored_report='{"progress":0.5,"meta":{"page":"7"}}')
    assert (told.progress, told.meta) == (0.5, {"page": "7"})
    assert (RECORD.progress, RECORD.meta) == (None, {})


def test_an_end_is_what_nothing_leads_out_of_by_itself() -> None:
    """Only somebody who redrives or drops a dead job."""
    out_of_ends = {event for state, event in TRANSITIONS if state in ENDS}
    assert out_of_ends == {Event.REDRIVE, Event.PURGE, Event.CANCEL}
    assert not set(State) - ENDS - {State.READY, State.DELAYED, State.HELD}
