from __future__ import annotations

import attrs
import pytest

from qcore.backend import JoinTerms, Settle, Taken, TakenJob, Verb
from qcore.capabilities import Capabilities, Claim, Limits
from qcore.clock import ManualClock
from qcore.codec import decode_envelope, encode_envelope
from qcore.consume.delivery import BaseDelivery, intake
from qcore.errors import Corrupt, InvalidInput, LimitExceeded, UnsupportedCapability
from qcore.job import Job, Receipt
from qcore.options import Join, NewJob
from qcore.policy import RetryPolicy
from tests.unit.qcore.stubs import drafter, listening, spoilt


def taken(name: str, envelope: bytes | None = None, attempt: int = 1) -> TakenJob:
    """A job that was taken."""
    stored = encode_envelope(Job(name, "q", b"body")) if envelope is None else envelope
    return TakenJob(f"{name}|1|me", name, stored, attempt=attempt)


def delivery(
    clock: ManualClock,
    body: bytes = b"",
    codec: str = "bytes",
    promises: Capabilities | None = None,
) -> BaseDelivery:
    """A delivery with a lease of 10 seconds."""
    return BaseDelivery(
        Job("j", "q", body, codec=codec),
        TakenJob("j|3|me", "j", b"", number=3, attempt=2, crashes=1, alone=True),
        lease=10.0,
        asked_at=clock.monotonic(),
        ahead=False,
        capabilities=promises or spoilt(),
        monotonic=clock.monotonic,
        drafter=drafter,
    )


def test_what_can_be_read_is_handed_out() -> None:
    """With the job as it was enqueued."""
    jobs, unfit = intake("q", Taken([taken("a"), taken("b")]), RetryPolicy())
    assert [(job.id, job.queue, job.body) for job, _ in jobs] == [
        ("a", "q", b"body"),
        ("b", "q", b"body"),
    ]
    assert unfit == []


def test_what_cannot_be_read_is_set_aside() -> None:
    """With the reason, and others come through."""
    jobs, unfit = intake("q", Taken([taken("a", b"junk"), taken("b")]), RetryPolicy())
    assert [job.id for job, _ in jobs] == ["b"]
    (step,) = unfit
    assert (step.token, step.verb) == ("a|1|me", Verb.DEAD_LETTER)
    assert "job a of queue q" in step.note


def test_what_has_no_attempt_left_after_a_crash_is_set_aside() -> None:
    """Nobody was there to say so when its worker died."""
    last, over = taken("last", attempt=3), taken("over", attempt=4)
    jobs, unfit = intake("q", Taken([last, over]), RetryPolicy(max_attempts=3))
    assert [job.id for job, _ in jobs] == ["last"]
    assert unfit == [
        Settle(
            "over|1|me", Verb.DEAD_LETTER, note="all of its 3 attempts failed, or its worker died"
        )
    ]
    assert not intake("q", Taken([over]), RetryPolicy(max_attempts=None))[1]


def test_a_delivery_says_what_the_broker_said() -> None:
    """And shows no body."""
    one = delivery(ManualClock(), b"secret")
    assert (one.number, one.attempt, one.crashes, one.alone) == (3, 2, 1, True)
    assert one.receipt == Receipt("q", "j|3|me")
    assert repr(one) == "<BaseDelivery q/j attempt 2>"


def test_the_value_is_decoded_as_its_job_says() -> None:
    """Or is corrupt."""
    clock = ManualClock()
    assert delivery(clock, b'{"a":1}', "json").value == {"a": 1}
    assert delivery(clock, b"raw").value == b"raw"
    with pytest.raises(Corrupt):
        _ = delivery(clock, b"{", "json").value


def test_a_delivery_is_lost_when_its_lease_ran_out() -> None:
    """By its own clock, counted from before the broker was asked."""
    clock = ManualClock()
    one = delivery(clock)
    clock.advance(9.999)
    assert not one.lost
    clock.advance(0.001)
    assert one.lost


def test_an_extended_lease_counts_from_when_it_was_asked_for() -> None:
    """Also when it became shorter."""
    clock = ManualClock()
    one = delivery(clock)
    asked_at = clock.monotonic()
    clock.advance(8.0)
    one.renewed(20.0, asked_at)
    assert (one.lease, one.until) == (20.0, 20.0)
    one.renewed(1.0, clock.monotonic())
    clock.advance(1.0)
    assert one.lost


def test_a_delivery_without_a_lease_is_never_lost() -> None:
    """Nobody else will get it."""
    clock = ManualClock()
    one = delivery(clock, promises=listening())
    clock.advance(1e6)
    assert not one.lost
    assert not one.can_be_kept


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD_LETTER])
def test_a_delivery_remembers_how_it_ended(verb: Verb) -> None:
    """Settled, or lost."""
    one, other = delivery(ManualClock()), delivery(ManualClock())
    one.noted(verb, held=True)
    other.noted(verb, held=False)
    assert (one.settled, one.lost) == (True, False)
    assert (other.settled, other.lost) == (False, True)


@pytest.mark.parametrize("verb", [Verb.EXTEND, Verb.START])
def test_what_goes_on_is_not_settled(verb: Verb) -> None:
    """An extension ends nothing."""
    one = delivery(ManualClock())
    one.noted(verb, held=True)
    assert not one.settled


def test_losing_is_for_good() -> None:
    """The broker gave the job to somebody else."""
    one = delivery(ManualClock())
    one.lose()
    one.renewed(100.0, 0.0)
    assert one.lost


def test_only_the_names_of_its_own_kind_are_capabilities() -> None:
    """An adapter without leases keeps none."""
    assert Capabilities("x", {"extend": Claim(value=False)}).value("extend") is False
    assert not delivery(ManualClock(), promises=spoilt("extend")).can_be_kept


def test_what_follows_is_gathered_in_the_order_in_which_it_was_said() -> None:
    """Over several calls and queues, with options of its own, in the codec of the job."""
    one = delivery(ManualClock(), codec="json")
    one.then("mail", {"to": "ann"}, NewJob(["b"], delay=1.5, priority=2, id="mine"))
    one.then("log")
    one.then("log", None)
    one.then("mail", "last")
    assert [(each.queue, each.job.priority) for each in one.effects.further] == [
        ("mail", 0),
        ("mail", 2),
        ("log", 0),
        ("mail", 0),
    ]
    jobs = [
        decode_envelope(each.job.id, each.queue, each.job.envelope) for each in one.effects.further
    ]
    assert [job.body for job in jobs] == [b'{"to":"ann"}', b'["b"]', b"null", b'"last"']
    assert {job.codec for job in jobs} == {"json"}
    assert (jobs[1].id, one.effects.further[1].job.delay_ms) == ("mine", 1500)


def test_what_follows_has_ids_of_which_it_is_known_whose_they_are() -> None:
    """Who may bring it twice knows it by any of them; a caller's own may be used again."""
    one = delivery(ManualClock())
    one.then("next", b"a", b"b", NewJob(b"end", id="end", join=Join(2, "a")))
    assert [each.job.unique for each in one.effects.further] == [False, False, True]
    assert len({each.job.id for each in one.effects.further}) == 3
    assert one.effects.further[2].job.join == JoinTerms(2, "a", 7 * 86_400_000)


def test_jobs_in_a_list_are_no_body() -> None:
    """The codec could write them, and one job would follow whose body are their options."""
    one = delivery(ManualClock(), codec="json")
    for jobs in ([NewJob(1), NewJob(2)], (NewJob(1),)):
        with pytest.raises(InvalidInput, match="one by one"):
            one.then("next", jobs)
    one.then("next", [1, 2])
    assert len(one.effects.further) == 1


def test_nothing_follows_what_has_ended() -> None:
    """It would never be sent; of a lease that was lost only the broker knows."""
    one, lost = delivery(ManualClock()), delivery(ManualClock())
    one.noted(Verb.ACK, held=True)
    with pytest.raises(InvalidInput, match="has ended; say what its ack shall do before that"):
        one.then("next", b"")
    assert one.effects.further == ()
    lost.lose()
    lost.then("next", b"")
    assert len(lost.effects.further) == 1


def test_no_more_follow_than_one_ack_can_carry() -> None:
    """Counted over all calls; the call that is refused adds none of its own."""
    limited = attrs.evolve(spoilt(), limits=Limits(batch=3))
    one = delivery(ManualClock(), promises=limited)
    with pytest.raises(LimitExceeded, match="4 jobs at once, the limit is 3"):
        one.then("next", *[b""] * 4)
    one.then("next", b"1", b"2")
    with pytest.raises(LimitExceeded, match="more than 3 jobs and messages follow one"):
        one.then("other", b"3", b"4")
    one.then("other", b"3")
    assert [each.queue for each in one.effects.further] == ["next", "next", "other"]


@pytest.mark.parametrize(
    ("queue", "job"),
    [
        ("a/b", b""),
        ("", b""),
        (7, b""),
        ("next", "text"),
        ("next", NewJob(b"", delay=-1)),
        ("next", NewJob(b"", join=Join(2, "a"))),
    ],
)
def test_one_wrong_argument_refuses_all_that_would_follow(queue: str, job: object) -> None:
    """While there is still somebody to tell, and not at the ack."""
    one = delivery(ManualClock())
    with pytest.raises(InvalidInput):
        one.then(queue, b"well", job)
    assert one.effects.further == ()


@pytest.mark.parametrize(
    ("missing", "job"),
    [
        ("then", b""),
        ("join", NewJob(b"", id="end", join=Join(2, "a"))),
        ("delay", NewJob(b"", delay=1.0)),
    ],
)
def test_what_the_adapter_does_not_offer_follows_nothing(missing: str, job: object) -> None:
    """The ack itself, and what follows, need their capabilities."""
    one = delivery(ManualClock(), promises=spoilt(missing))
    with pytest.raises(UnsupportedCapability, match=missing):
        one.then("next", job)
    assert one.effects.further == ()
