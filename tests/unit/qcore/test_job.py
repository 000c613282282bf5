from __future__ import annotations

import copy
import pickle
from typing import TypeVar

import attrs
import pytest

from qcore.job import Job, JobId, Receipt

T = TypeVar("T")


def reborn(value: T, protocol: int | None = None) -> T:
    """The value as another process would get it."""
    twin: T = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301  (made one call earlier)
    return twin


def test_an_id_carries_what_its_enqueue_did() -> None:
    """It is text like any other, with two facts."""
    known = JobId("a", created=False)
    heard = JobId("a", receivers=3)

    assert known == "a" == heard
    assert hash(known) == hash("a")
    assert (known.created, known.receivers) == (False, None)
    assert (heard.created, heard.receivers) == (True, 3)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_id_survives_pickling(protocol: int) -> None:
    """With its facts."""
    known = JobId("a", created=False, receivers=2)
    for twin in (reborn(known, protocol), copy.copy(known)):
        assert type(twin) is JobId
        assert (twin, twin.created, twin.receivers) == ("a", False, 2)


def test_jobs_and_receipts_can_be_sent_to_another_process() -> None:
    """A job is a value, with and without headers."""
    for value in (Job("i", "q", b"b"), Job("i", "q", b"b", {"k": "v"}), Receipt("q", "token")):
        assert reborn(value) == value
        assert copy.deepcopy(value) == value


def test_jobs_and_receipts_cannot_be_changed() -> None:
    """They are what was enqueued and what was handed out."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Job("i", "q", b"b").body = b"other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Receipt("q", "t").token = "u"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
