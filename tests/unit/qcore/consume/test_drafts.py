from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from qcore.backend import Enqueued, GateLimits, JoinTerms
from qcore.capabilities import Limits
from qcore.codec import decode_envelope
from qcore.consume.drafts import Drafter, job_ids
from qcore.errors import InvalidInput, LimitExceeded, UnsupportedCapability
from qcore.options import Gate, Join, NewJob
from tests.unit.qcore.stubs import spoilt

NOW = 1_000_000.0
ALL = spoilt()


def drafter(codec: str = "bytes") -> Drafter:
    """A drafter whose ids are counted."""
    ids = iter(range(1000))
    return Drafter("mail", codec, lambda: f"id{next(ids)}", lambda: NOW)


def test_a_plain_body_becomes_a_job_with_an_id_of_its_own() -> None:
    """Several at once, in order, with the producer's time."""
    first, second = drafter().draft([b"a", b"b"], ALL)
    assert (first.id, second.id) == ("id0", "id1")
    assert (first.unique, first.dedup, first.delay_ms, first.at_ms) == (False, None, 0, None)
    job = decode_envelope(first.id, "mail", first.envelope)
    assert (job.body, job.enqueued_at, job.codec) == (b"a", NOW, "bytes")


def test_options_are_carried_over() -> None:
    """Times in milliseconds; what the broker counts is not in the envelope."""
    new = NewJob(
        {"to": "ann"},
        headers={"k": "v"},
        id="mine",
        dedup="key",
        delay=1.5,
        priority=3,
        tenant="acme",
    )
    (draft,) = drafter("json").draft([new], ALL)
    assert (draft.id, draft.unique, draft.dedup, draft.tenant) == ("mine", True, "key", "acme")
    assert (draft.delay_ms, draft.at_ms, draft.priority) == (1500, None, 3)
    job = decode_envelope(draft.id, "mail", draft.envelope)
    assert (job.body, job.codec, job.headers, job.priority) == (
        b'{"to":"ann"}',
        "json",
        {"k": "v"},
        3,
    )


@pytest.mark.parametrize("codec", ["bytes", "json", "msgpack"])
def test_a_job_is_never_written_as_the_body_of_another(codec: str) -> None:
    """It is the job itself, with its options; those beside it would be lost, or its own."""
    inner = NewJob(b"a" if codec == "bytes" else "a", id="mine", priority=3)
    plain, wrapped = drafter(codec).draft([inner, NewJob(inner, headers={})], ALL)
    assert plain == wrapped
    for beside in ({"priority": 3}, {"headers": {"k": "v"}}, {"delay": 1.0}, {"id": "mine"}):
        options: dict[str, Any] = beside
        with pytest.raises(InvalidInput, match="give all of them in the NewJob"):
            drafter(codec).draft([NewJob(inner, **options)], ALL)


def test_a_job_that_goes_to_the_front_says_so() -> None:
    """And a delay of nothing does not keep it from being next."""
    plain, first = drafter().draft([b"a", NewJob(b"b", front=True, delay=0.0)], ALL)
    assert (plain.front, first.front) == (False, True)


def test_a_moment_is_given_to_the_broker_as_it_is() -> None:
    """Whose clock judges it, also when it is past."""
    when = datetime.fromtimestamp(NOW + 60, tz=UTC)
    drafts = drafter().draft(
        [NewJob(b"", at=when), NewJob(b"", at=NOW + 60.5), NewJob(b"", at=1)], ALL
    )
    assert [draft.at_ms for draft in drafts] == [1_000_060_000, 1_000_060_500, 1000]


def test_a_gate_crosses_the_seam_in_whole_numbers() -> None:
    """The window in milliseconds, and what is not limited as nothing."""
    gates = [Gate("a", concurrency=2), Gate("b:c", concurrency=1, rate=9, window=1.5)]
    drafts = drafter().draft([b"", *(NewJob(b"", gate=gate) for gate in gates)], ALL)
    assert [draft.gate for draft in drafts] == [
        None,
        GateLimits("a", 2),
        GateLimits("b:c", 1, 9, 1500),
    ]


def test_a_join_crosses_the_seam_in_whole_numbers() -> None:
    """Its time in milliseconds, never rounded to nothing, and a week where nobody said."""
    joins = [Join(3, "a"), Join(1, "b:1", within=1.5), Join(2, "c", within=0.0001)]
    drafts = drafter().draft([NewJob(b"", id="end", join=join) for join in joins], ALL)
    assert [draft.join for draft in drafts] == [
        JoinTerms(3, "a", 604_800_000),
        JoinTerms(1, "b:1", 1500),
        JoinTerms(2, "c", 1),
    ]
    assert {(draft.id, draft.unique) for draft in drafts} == {("end", True)}
    assert drafter().draft([b""], ALL)[0].join is None


WRONG: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"body": "text"}, InvalidInput),
    ({"body": b"x" * 101}, LimitExceeded),
    ({"delay": -1}, InvalidInput),
    ({"delay": 1001}, LimitExceeded),
    ({"at": NOW + 1001}, LimitExceeded),
    ({"at": datetime(2026, 1, 1)}, InvalidInput),  # noqa: DTZ001  (that is the point)
    ({"at": "tomorrow"}, InvalidInput),
    ({"at": NOW, "delay": 1.0}, InvalidInput),
    ({"priority": 5}, LimitExceeded),
    ({"id": "a b"}, InvalidInput),
    ({"id": "x" * 9}, LimitExceeded),
    ({"id": ""}, InvalidInput),
    ({"dedup": "ü"}, InvalidInput),
    ({"tenant": "a|b"}, InvalidInput),
    ({"tenant": "x" * 9}, LimitExceeded),
    ({"front": 1}, InvalidInput),
    ({"front": True, "delay": 1.0}, InvalidInput),
    ({"front": True, "at": NOW}, InvalidInput),
    ({"front": True, "at": NOW + 1e9}, InvalidInput),
    ({"front": True, "tenant": "acme"}, InvalidInput),
    ({"gate": "acme"}, InvalidInput),
    ({"gate": Gate("acme")}, InvalidInput),
    ({"gate": Gate("a,b", concurrency=1)}, InvalidInput),
    ({"gate": Gate("x" * 9, concurrency=1)}, LimitExceeded),
    ({"gate": Gate("acme", concurrency=0)}, InvalidInput),
    ({"gate": Gate("acme", concurrency=1_000_001)}, LimitExceeded),
    ({"gate": Gate("acme", rate=1)}, InvalidInput),
    ({"gate": Gate("acme", concurrency=1, window=1.0)}, InvalidInput),
    ({"gate": Gate("acme", rate=1, window=0.001)}, InvalidInput),
    ({"gate": Gate("acme", rate=1, window=1001.0)}, LimitExceeded),
    ({"id": "end", "join": 3}, InvalidInput),
    ({"join": Join(2, "a")}, InvalidInput),
    ({"dedup": "end", "join": Join(2, "a")}, InvalidInput),
    ({"id": "end", "join": Join(0, "a")}, InvalidInput),
    ({"id": "end", "join": Join(of=True, member="a")}, InvalidInput),
    ({"id": "end", "join": Join(1.5, "a")}, InvalidInput),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ({"id": "end", "join": Join(1_000_001, "a")}, LimitExceeded),
    ({"id": "end", "join": Join(2, "")}, InvalidInput),
    ({"id": "end", "join": Join(2, "a b")}, InvalidInput),
    ({"id": "end", "join": Join(2, 7)}, InvalidInput),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ({"id": "end", "join": Join(2, "x" * 9)}, LimitExceeded),
    ({"id": "end", "join": Join(2, "a", within=0)}, InvalidInput),
    ({"id": "end", "join": Join(2, "a", within=-1)}, InvalidInput),
    ({"id": "end", "join": Join(2, "a", within=1001.0)}, LimitExceeded),
    ({"headers": {"a": 1}}, InvalidInput),
    ({"headers": None}, InvalidInput),
]


@pytest.mark.parametrize(
    ("options", "error"), WRONG, ids=[str(number) for number in range(len(WRONG))]
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception]) -> None:
    """Before anything is sent."""
    limits = Limits(body=100, delay=1000.0, name=8)
    given: dict[str, Any] = {"body": b"", **options}
    with pytest.raises(error):
        drafter().draft([NewJob(given.pop("body"), **given)], attrs.evolve(ALL, limits=limits))


@pytest.mark.parametrize(
    ("options", "capability"),
    [
        ({"delay": 1.0}, "delay"),
        ({"at": NOW}, "delay"),
        ({"priority": 1}, "priority"),
        ({"id": "mine"}, "idempotent_id"),
        ({"dedup": "key"}, "dedup"),
        ({"front": True}, "at_front"),
        ({"gate": Gate("acme", concurrency=1)}, "concurrency"),
        ({"gate": Gate("acme", rate=1, window=1.0)}, "rate"),
        ({"id": "end", "join": Join(2, "a")}, "join"),
    ],
)
def test_options_that_the_adapter_does_not_offer_are_refused(
    options: dict[str, Any], capability: str
) -> None:
    """By name; the same options at their defaults are no option."""
    with pytest.raises(UnsupportedCapability, match=capability):
        drafter().draft([NewJob(b"", **options)], spoilt(capability))
    assert drafter().draft([NewJob(b"", delay=0, priority=0)], spoilt(capability))


def test_a_join_is_what_is_refused_where_no_id_can_be_given_either() -> None:
    """Who asked for it reads why there is none, and not why there is no id."""
    plain = spoilt("join", "idempotent_id")
    for name in ("end", None):
        with pytest.raises(UnsupportedCapability, match="join"):
            drafter().draft([NewJob(b"", id=name, join=Join(2, "a"))], plain)


def test_one_job_is_not_taken_for_many() -> None:
    """A text is a list of letters, and a mapping one of its keys."""
    wrong: list[Any] = [b"ab", "ab", bytearray(b"ab"), memoryview(b"ab"), {"a": 1}, NewJob(b"ab")]
    for jobs in wrong:
        with pytest.raises(InvalidInput, match="list of jobs"):
            drafter("json").draft(jobs, ALL)


def test_a_batch_holds_its_limit() -> None:
    """Whole or not at all; none is a batch as well."""
    limited = attrs.evolve(ALL, limits=Limits(batch=3))
    assert len(drafter().draft([b""] * 3, limited)) == 3
    assert drafter().draft([], limited) == []
    with pytest.raises(LimitExceeded, match="4 jobs at once, the limit is 3"):
        drafter().draft(iter([b""] * 4), limited)


def test_the_caller_gets_what_the_broker_says() -> None:
    """Id, whether it is new, and who heard it."""
    first, second = job_ids([Enqueued("a"), Enqueued("b", created=False, receivers=2)])
    assert (first, first.created, first.receivers) == ("a", True, None)
    assert (second, second.created, second.receivers) == ("b", False, 2)
