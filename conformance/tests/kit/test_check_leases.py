"""Leases that overlap, settles that come too late, and deliveries that are counted wrongly."""

from __future__ import annotations

import pytest

from conformance.tests.kit.tape import OPEN, Tape
from qcore_conformance.events import Details, FaultKind
from qcore_conformance.guarantees import Delivery, Durability, Guarantees
from qcore_conformance.verdicts import Verdict

LEASED = Guarantees(lease=10.0)
FENCED = Guarantees(lease=10.0, fenced=True)
COUNTED = Guarantees(attempts=True)


def held() -> Tape:
    """A job in the hands of its first holder."""
    return Tape().do("enqueue", 0).do("reserve", 1, receipt="first", number=1, attempt=1)


def again(tape: Tape, at: float, *, number: int = 2, attempt: int = 2) -> Tape:
    """Deliver the job once more, to somebody else."""
    return tape.do("reserve", at, by="v", receipt="second", number=number, attempt=attempt)


@pytest.mark.parametrize(("at", "verdict"), [(10.9, Verdict.FAIL), (11.0, Verdict.PASS)])
def test_a_live_lease_hides_its_job(at: float, verdict: Verdict) -> None:
    """The lease counts from before the holder asked; a few milliseconds are forgiven."""
    assert again(held(), at).result("overlap", LEASED).verdict is verdict


def test_the_death_of_the_holder_does_not_end_its_lease() -> None:
    """A lease is a promise to everybody else."""
    tape = again(held().fault(FaultKind.KILL_WORKER, 2, target="w"), 5)
    assert tape.result("overlap", LEASED).verdict is Verdict.FAIL


@pytest.mark.parametrize("verb", ["release", "retry", "ack", "dead"])
@pytest.mark.parametrize("end", ["ok", "info", OPEN])
def test_a_holder_who_may_have_given_it_up_holds_nothing(verb: str, end: str) -> None:
    """Whatever may have freed the job excuses the next delivery here."""
    tape = again(held().do(verb, 2, receipt="first", end=end), 5)
    assert tape.result("overlap", LEASED).verdict is Verdict.PASS


def test_the_first_of_several_settles_may_have_freed_it() -> None:
    """A later one proves nothing against it."""
    tape = again(held().do("release", 2, receipt="first", end="info"), 5)
    tape.do("release", 20, receipt="first")
    assert tape.result("overlap", LEASED).verdict is Verdict.PASS


def test_a_refused_settle_frees_nothing() -> None:
    """The holder still had it."""
    tape = again(held().do("release", 2, receipt="first", end="fail"), 5)
    assert tape.result("overlap", LEASED).verdict is Verdict.FAIL


def test_an_extend_makes_the_lease_longer() -> None:
    """If it returned; one that failed or was lost does not."""
    for end, verdict in [("ok", Verdict.FAIL), ("fail", Verdict.PASS), ("info", Verdict.PASS)]:
        tape = again(held().do("extend", 9, receipt="first", end=end), 15)
        assert tape.result("overlap", LEASED).verdict is verdict


def test_an_extend_that_came_too_late_makes_no_overlap() -> None:
    """It is a matter of the fence that it succeeded; the lease was over before."""
    tape = again(held(), 12).do("extend", 13, receipt="first")
    assert tape.result("overlap", FENCED).verdict is Verdict.PASS
    assert tape.result("duplicate unexplained", FENCED).verdict is Verdict.PASS
    assert tape.result("fence", FENCED).verdict is Verdict.FAIL


def test_concurrent_reserves_of_one_job_overlap_whoever_was_first() -> None:
    """Without numbers either may have been first, and it is wrong both ways."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, took=2, by="w").do("reserve", 2, by="v")
    assert tape.result("overlap", LEASED).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("numbers", "verdict"), [((1, 2), Verdict.FAIL), ((None, None), Verdict.PASS)]
)
def test_numbers_tell_which_of_two_concurrent_deliveries_was_first(
    numbers: tuple[int | None, int | None], verdict: Verdict
) -> None:
    """A reply that was slower than a lease may have been the second one, unless numbers tell."""
    tape = Tape().do("enqueue", 0)
    for (by, at, took), number in zip((("w", 1, 24), ("v", 9, 1)), numbers, strict=True):
        about = Details(number=number) if number else Details()
        tape.do("reserve", at, took=took, by=by, **about)
    assert tape.result("overlap", LEASED).verdict is verdict


def test_a_lease_that_only_a_reserve_tells_is_held_to() -> None:
    """Also where the adapter promises no usual one."""
    tape = again(Tape().do("enqueue", 0).do("reserve", 1, lease=10.0, number=1), 5)
    assert tape.result("overlap").verdict is Verdict.FAIL


def test_a_broker_that_may_forget_may_forget_leases() -> None:
    """What the promise does not cover is not held against it."""
    tape = again(held().fault(FaultKind.KILL_SERVER, 2), 5)
    forgetful = Guarantees(lease=10.0, durability=Durability.NONE)
    assert tape.result("overlap", forgetful).verdict is Verdict.PASS
    assert tape.result("overlap", LEASED).verdict is Verdict.FAIL


def test_without_leases_there_is_no_overlap() -> None:
    """What nobody promised is not judged."""
    assert again(held(), 2).result("overlap").verdict is Verdict.NOT_CLAIMED
    unasked = Guarantees(delivery=Delivery.AT_MOST_ONCE, lease=10.0)
    assert again(held(), 2).result("overlap", unasked).verdict is Verdict.NOT_CLAIMED


@pytest.mark.parametrize("verb", ["ack", "release", "retry", "dead", "extend"])
def test_a_zombie_may_not_settle(verb: str) -> None:
    """A holder whose job was handed on has to be refused."""
    tape = again(held(), 12).do(verb, 13, receipt="first")
    assert tape.result("fence", FENCED).verdict is Verdict.FAIL
    assert tape.result("fence", LEASED).verdict is Verdict.NOT_CLAIMED


@pytest.mark.parametrize(("receipt", "verdict"), [("first", Verdict.FAIL), ("x", Verdict.PASS)])
def test_a_receipt_tells_which_delivery_is_settled(receipt: str, verdict: Verdict) -> None:
    """A process that got the job twice may settle the second delivery, and not the first."""
    tape = held().do("reserve", 12, receipt="x", number=2).do("ack", 13, receipt=receipt)
    assert tape.result("fence", FENCED).verdict is verdict


def test_without_a_receipt_a_process_settles_what_it_got_last() -> None:
    """And nobody settles what he never had."""
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("reserve", 12).do("ack", 13)
    assert tape.result("fence", FENCED).verdict is Verdict.PASS
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("reserve", 12, by="v").do("ack", 13)
    assert tape.result("fence", FENCED).verdict is Verdict.FAIL
    tape = Tape().do("enqueue", 0).do("reserve", 1).do("release", 2, by="v").do("reserve", 5)
    assert tape.result("overlap", LEASED).verdict is Verdict.FAIL


def test_a_zombie_is_known_without_numbers() -> None:
    """By the time at which the next holder had the job."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, receipt="first")
    tape.do("reserve", 12, by="v", receipt="second").do("ack", 13, receipt="first")
    assert tape.result("fence", FENCED).verdict is Verdict.FAIL


@pytest.mark.parametrize("end", ["fail", "info", OPEN])
def test_a_zombie_that_was_refused_is_in_order(end: str) -> None:
    """And where nobody knows, nobody can complain."""
    tape = again(held(), 12).do("ack", 13, receipt="first", end=end)
    assert tape.result("fence", FENCED).verdict is Verdict.PASS


def test_the_new_holder_may_settle() -> None:
    """The fence is for the others."""
    tape = again(held(), 12).do("ack", 13, by="v", receipt="second")
    assert tape.result("fence", FENCED).verdict is Verdict.PASS


def test_of_an_ack_and_a_concurrent_next_delivery_one_is_wrong() -> None:
    """Either the ack came too late, or the delivery came after the end."""
    tape = held().do("ack", 11, took=3, receipt="first")
    assert again(tape, 12).result("fence", FENCED).verdict is Verdict.FAIL


def test_a_release_and_the_next_delivery_may_be_concurrent() -> None:
    """The one led to the other."""
    tape = again(held().do("release", 5, took=3, receipt="first"), 6)
    assert tape.result("fence", FENCED).verdict is Verdict.PASS


def test_a_redrive_may_overtake_the_reply_of_a_dead_letter() -> None:
    """The job was dead, and is delivered again before its holder hears of it."""
    tape = held().do("dead", 2, took=4, receipt="first").do("redrive", 3)
    assert again(tape, 4).result("fence", FENCED).verdict is Verdict.PASS


def test_deliveries_are_numbered_one_by_one() -> None:
    """A number more for each delivery, whatever ended the one before."""
    assert again(held(), 12).result("attempts", COUNTED).verdict is Verdict.PASS
    assert again(held(), 12).result("attempts").verdict is Verdict.NOT_CLAIMED


@pytest.mark.parametrize("number", [1, 3])
def test_a_number_that_repeats_or_jumps_is_wrong(number: int) -> None:
    """Nobody can have had the job in between."""
    assert again(held(), 12, number=number).result("attempts", COUNTED).verdict is Verdict.FAIL


def test_a_number_may_jump_past_a_ghost() -> None:
    """A reserve of which nobody knows what it took, or a crash, may have taken it."""
    ghost = again(held().do("reserve", 11, by="x", end=OPEN), 30, number=3)
    assert ghost.result("attempts", COUNTED).verdict is Verdict.PASS
    crash = again(held().fault(FaultKind.CUT, 11), 30, number=3)
    assert crash.result("attempts", COUNTED).verdict is Verdict.PASS


def test_a_ghost_of_another_time_explains_no_jump() -> None:
    """It was gone before the job was delivered first, or came after the second delivery."""
    for at in (-0.5, 40):
        tape = again(held().do("reserve", at, by="x", end="info"), 30, number=3)
        assert tape.result("attempts", COUNTED).verdict is Verdict.FAIL


def test_the_first_delivery_that_is_seen_may_follow_a_ghost() -> None:
    """Then its number may be higher, and its attempt as high as that."""
    for attempt, verdict in [(1, Verdict.PASS), (2, Verdict.PASS), (3, Verdict.FAIL)]:
        tape = Tape().do("enqueue", 0).do("reserve", 0.5, by="x", end="info")
        tape.do("reserve", 12, number=2, attempt=attempt)
        assert tape.result("attempts", COUNTED).verdict is verdict


def test_what_is_not_told_is_not_counted() -> None:
    """Neither numbers nor attempts."""
    silent = Tape().do("enqueue", 0).do("reserve", 1).do("reserve", 12, number=7, attempt=9)
    assert silent.result("attempts", COUNTED).verdict is Verdict.PASS
    half = Tape().do("enqueue", 0).do("reserve", 1, number=1, attempt=1).do("reserve", 12, number=2)
    assert half.result("attempts", COUNTED).verdict is Verdict.PASS


def test_the_first_delivery_has_the_number_one() -> None:
    """And the attempt one."""
    for number, attempt in [(0, 1), (2, 1), (1, 2), (1, 0)]:
        tape = Tape().do("enqueue", 0).do("reserve", 1, number=number, attempt=attempt)
        assert tape.result("attempts", COUNTED).verdict is Verdict.FAIL
    assert held().result("attempts", COUNTED).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("verb", "attempt", "verdict"),
    [
        ("retry", 2, Verdict.PASS),
        ("retry", 1, Verdict.FAIL),
        ("release", 1, Verdict.PASS),
        ("release", 2, Verdict.FAIL),
        ("retry", 3, Verdict.FAIL),
    ],
)
def test_a_retry_counts_and_a_release_does_not(verb: str, attempt: int, verdict: Verdict) -> None:
    """The attempt is the budget of retries."""
    tape = again(held().do(verb, 2, receipt="first"), 3, attempt=attempt)
    assert tape.result("attempts", COUNTED).verdict is verdict


@pytest.mark.parametrize(
    ("attempt", "verdict"), [(1, Verdict.PASS), (2, Verdict.PASS), (3, Verdict.FAIL)]
)
def test_an_expiry_counts_at_most_once(attempt: int, verdict: Verdict) -> None:
    """It counts if the work had begun, which the history does not know."""
    assert again(held(), 12, attempt=attempt).result("attempts", COUNTED).verdict is verdict


def test_a_redrive_begins_the_attempts_anew() -> None:
    """The number goes on, the attempt starts at one."""
    tape = held().do("dead", 2, receipt="first").do("redrive", 3)
    assert again(tape, 4, attempt=1).result("attempts", COUNTED).verdict is Verdict.PASS
