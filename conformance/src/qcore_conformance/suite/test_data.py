"""Data: what a caller puts into a job comes out to the last bit, whatever it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import strategies as st

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.generated import for_all
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, drained, lined_up, quiet, taken

_BODIES: Mapping[str, bytes] = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "zero": b"\0",
    "line ends": b"\r\n\n\r\n",
    "a request": b"*2\r\n$4\r\nPING\r\n$0\r\n\r\n",
    "a reply": b"-ERR no\r\n+OK\r\n:1\r\n$-1\r\n",
    "no text": b"\xff\xfe\xc0\x80\xed\xa0\x80",
    "an envelope": b'1{"t":0,"h":{"k":"v"}}\n{}',
    "separators": b"a|b|c\n1|2\x1f\x1e",
    "compressed": b"\x1f\x8b\x08\0\0\0\0\0",
}


@invariant("Q-DATA-01")
@pytest.mark.parametrize("kind", _BODIES)
def test_a_body_comes_out_as_it_went_in(bed: Bed, kind: str) -> None:
    """Alone and as one of many."""
    queue, body = bed.queue(), _BODIES[kind]
    queue.subscribe()

    queue.enqueue(body)
    queue.enqueue_many([body, b"other", body])

    found = [delivery.job.body for delivery in drained(queue)]
    assert lined_up(bed, found) == lined_up(bed, [body, body, b"other", body])


@invariant("Q-DATA-01")
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_body_may_be_any_bytes(bed: Bed, kind: type) -> None:
    """And is what it was at the time of the call."""
    queue, given = bed.queue(), bytearray(b"at first")
    queue.subscribe()

    queue.enqueue(kind(given))
    given[:] = b"changed!"

    assert taken(queue).job.body == b"at first"


@invariant("Q-DATA-01")
@pytest.mark.parametrize("less", [0, 1])
def test_a_body_of_the_greatest_size_comes_out_whole(bed: Bed, less: int) -> None:
    """The declared limit itself works."""
    queue, size = bed.queue(), bed.capabilities.limits.body - less
    queue.subscribe()
    body = (bytes(range(256)) * (size // 256 + 1))[:size]

    queue.enqueue(body)

    delivery = taken(queue)
    delivery.ack()
    assert delivery.job.body == body


@invariant("Q-DATA-01")
def test_any_body_comes_out_as_it_went_in(bed: Bed) -> None:
    """Whatever comes to Hypothesis' mind."""
    queue = bed.queue()
    queue.subscribe()

    def check(bodies: list[bytes]) -> None:
        queue.enqueue_many(bodies)
        found = [_acked(queue).body for _ in bodies]
        assert lined_up(bed, found) == lined_up(bed, bodies)

    for_all(bed, st.lists(st.binary(max_size=2000), max_size=5), check, bed.many(100))


@invariant("Q-DATA-01", "Q-DATA-02")
@pytest.mark.parametrize("how", ["release", "retry", "redrive", "peek"])
def test_a_job_is_unchanged_by_what_happens_to_it(bed: Bed, how: str) -> None:
    """When it is given back, set aside, sent back or looked at."""
    if not bed.claims(how):
        raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{how}'")
    queue, body = bed.queue(), b"".join(_BODIES.values())
    job_id = queue.enqueue(body, headers=_HEADERS)
    if how == "peek":
        looked = queue.peek()[0].job
    else:
        delivery = taken(queue, LONG)
        {"release": delivery.release, "retry": delivery.retry}.get(
            how, lambda: delivery.dead_letter("why")
        )()
        assert how != "redrive" or queue.redrive() == 1
        looked = _acked(queue)

    assert looked is not None
    assert (looked.id, looked.body, dict(looked.headers)) == (job_id, body, _HEADERS)


_HEADERS = {
    "é": "composed",
    "e\u0301": "decomposed",
    "😀": "🧵",
    "שלום": "\u202emirrored\u202c",
    "": "empty name",
    "empty value": "",
    "white space": " \t\r\n\0 ",
    "quotes": "\"'\\{}[]:,",
    "line\nend": "\u2028\u2029\x85",
    "not a character": "\ufffe\uffff\U0010ffff",
}
_INNER = (
    "t h c p id job body header headers queue ref level number attempt crashes lost token owner "
    "mark priority delay dedup state enqueued acked v 1 __class__"
)


@invariant("Q-DATA-02")
def test_headers_come_out_as_they_went_in(bed: Bed) -> None:
    """Composed or not, in any script; also what looks like a name of our own."""
    queue = bed.queue()
    queue.subscribe()
    sent = [_HEADERS, {name: name.upper() for name in _INNER.split()}, {}]

    for headers in sent:
        queue.enqueue(b"body", headers=headers)

    found = [delivery.job for delivery in drained(queue)]
    came = [dict(job.headers) for job in found]
    assert lined_up(bed, came) == lined_up(bed, sent)
    assert {(job.body, job.codec, job.priority) for job in found} == {(b"body", "bytes", 0)}


@invariant("Q-DATA-02")
def test_any_headers_come_out_as_they_went_in(bed: Bed) -> None:
    """Whatever comes to Hypothesis' mind."""
    queue = bed.queue()
    queue.subscribe()
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)

    def check(headers: dict[str, str]) -> None:
        queue.enqueue(b"", headers=headers)
        assert dict(_acked(queue).headers) == headers

    for_all(bed, st.dictionaries(text, text, max_size=10), check, bed.many(100))


@invariant("Q-DATA-02")
@pytest.mark.parametrize(
    "headers", [{"k": "\ud800"}, {"\udfff": "v"}, {"fine": "fine", "k": "a\udc80b"}], ids=ascii
)
def test_a_lone_surrogate_is_refused(bed: Bed, headers: dict[str, str]) -> None:
    """It is no text that could be written down; nothing is stored."""
    queue = bed.queue()
    queue.subscribe()

    with pytest.raises(qcore.InvalidInput, match="surrogate"):
        queue.enqueue(b"", headers=headers)

    assert quiet(queue)


@invariant("Q-DATA-03")
def test_equal_jobs_are_different_jobs(bed: Bed) -> None:
    """Each has an id and a receipt of its own, and comes once."""
    queue = bed.queue()
    queue.subscribe()

    sent = [queue.enqueue(b"same"), *queue.enqueue_many([b"same"] * 4)]

    found = [taken(queue) for _ in sent]
    assert sorted(delivery.job.id for delivery in found) == sorted(sent)
    assert len(set(sent)) == 5
    if bed.capabilities.value("settlement") == "explicit":
        assert len({delivery.receipt for delivery in found}) == 5
    for delivery in found:
        delivery.ack()
    assert quiet(queue)


@invariant("Q-DATA-03")
@pytest.mark.parametrize("done", [(0,), (2,), (4,), (1, 3)])
def test_settling_one_of_equal_jobs_settles_that_one(bed: Bed, done: Sequence[int]) -> None:
    """The others are the ones that come back."""
    if not bed.claims("release"):
        raise NotApplicable(f"{bed.capabilities.adapter} gives nothing back")
    queue = bed.queue()
    held = [taken(queue, LONG) for _ in queue.enqueue_many([b"same"] * 5)]

    for number in done:
        held[number].ack()
    for number in set(range(5)) - set(done):
        held[number].release()

    left = [delivery.job.id for delivery in drained(queue)]
    assert sorted(left) == sorted(held[number].job.id for number in set(range(5)) - set(done))


def _acked(queue: qcore.Queue) -> qcore.Job:
    delivery = taken(queue)
    delivery.ack()
    return delivery.job
