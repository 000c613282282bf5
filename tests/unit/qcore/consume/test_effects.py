"""What a delivery tells, from its words down to the step of its ack."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from qcore.capabilities import Capabilities, Limits
from qcore.codec import decode_envelope
from qcore.consume.effects import Effects
from qcore.errors import InvalidInput, LimitExceeded
from qcore.options import NewJob
from tests.unit.qcore.stubs import drafter, spoilt


def effects(codec: str = "bytes", promises: Capabilities | None = None) -> Effects:
    """The effects of an ack that has none yet."""
    return Effects(codec, promises or spoilt(), drafter)


def test_an_ack_without_effects_is_a_plain_one() -> None:
    """Nothing of them is sent."""
    step = effects().of_ack("t")
    assert (step.token, step.result, step.further, step.told) == ("t", b"", (), ())


def test_what_is_told_is_gathered_in_the_order_in_which_it_was_said() -> None:
    """With its headers, in the codec of the job, each with an id of its own."""
    one = effects("json")
    one.tell("news", {"paid": True}, {"a": "b"})
    one.tell("other", None, {})
    one.tell("news", "last", {})
    step = one.of_ack("t")
    assert [each.queue for each in step.told] == ["news", "other", "news"]
    jobs = [decode_envelope(each.job.id, each.queue, each.job.envelope) for each in step.told]
    assert [job.body for job in jobs] == [b'{"paid":true}', b"null", b'"last"']
    assert [dict(job.headers) for job in jobs] == [{"a": "b"}, {}, {}]
    assert {job.codec for job in jobs} == {"json"}
    assert len({job.id for job in jobs}) == 3


def test_jobs_and_messages_share_the_room_of_an_ack() -> None:
    """Whichever comes last is refused."""
    limited = attrs.evolve(spoilt(), limits=Limits(batch=3))
    one = effects(promises=limited)
    one.then("next", [b"1", b"2"])
    one.tell("news", b"", {})
    with pytest.raises(LimitExceeded, match="more than 3 jobs and messages follow one"):
        one.tell("news", b"", {})
    with pytest.raises(LimitExceeded, match="more than 3 jobs and messages follow one"):
        one.then("next", [b"3"])
    assert (len(one.further), len(one.told)) == (2, 1)


@pytest.mark.parametrize(
    ("topic", "body", "headers"),
    [
        ("a/b", b"", {}),
        ("", b"", {}),
        (7, b"", {}),
        ("news", "text", {}),
        ("news", NewJob(b""), {}),
        ("news", b"", {"a": 1}),
    ],
)
def test_a_wrong_argument_tells_nothing(topic: Any, body: object, headers: Any) -> None:
    """While there is still somebody to tell, and not at the ack."""
    one = effects()
    with pytest.raises(InvalidInput):
        one.tell(topic, body, headers)
    assert one.told == ()
