"""Connections that break at every step of a call: it takes effect once, not at all, or in doubt."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.calls import CALLS, Call, counts, prepared
from qcore_conformance.lines import Line
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.plans import When
from qcore_conformance.scenes import LONG, at_once, drained, pass_time, quiet, taken
from qcore_conformance.waiting import scaled

_IMPATIENT = 0.2
"""Seconds after which a call gives up a broker that stays away."""
_HELD_BACK = (When.BEFORE_REQUEST, When.INSIDE_REQUEST)
"""The boundaries at which the broker has not got the whole request."""

_every_call = pytest.mark.parametrize(
    "call",
    [pytest.param(call, marks=pytest.mark.qcore_invariant(*call.ids)) for call in CALLS],
    ids=str,
)


@_every_call
@invariant("Q-REC-10", "Q-REPLAY-01", "Q-ERR-01")
def test_a_call_whose_connection_breaks_at_any_boundary_counts_once(bed: Bed, call: Call) -> None:
    """It answers as if nothing had happened; where it cannot, it says that it does not know."""
    line = Line(bed, *call.needs)
    for exchange in range(1, line.rehearsed(call) + 1):
        for when in When:
            name = f"q-{exchange}-{when.name.lower()}"
            queue, beside = line.connect().queue(name), line.beside.queue(name)
            hands = prepared(call, beside, queue)
            fired = len(line.proxy.fired)
            line.cut(exchange, when)

            _see_it_through(bed, call, partial(call.act, queue, hands))

            line.proxy.wait_fired(fired + 1)
            _none_in_doubt(call, beside, when)


def _see_it_through(bed: Bed, call: Call, act: Callable[[], object]) -> None:
    """Make a call: it is answered, or, if it cannot be made again, in doubt."""
    try:
        assert act() == call.answer
    except qcore.Indeterminate:
        assert not (call.sure and bed.claims("replay")), "this adapter claims that it can replay"


def _none_in_doubt(call: Call, beside: qcore.Queue, when: When) -> None:
    """See that a call took effect once or, if its request did not arrive, perhaps not at all."""
    seen = counts(beside)
    if call.sure or when not in _HELD_BACK:
        assert seen == call.after or (not call.sure and seen == call.before), (when, seen)
    else:
        assert seen in (call.before, call.after), (when, seen)


@_every_call
@invariant("Q-REC-10", "Q-REPLAY-01")
def test_a_call_that_is_cut_off_again_and_again_counts_once(bed: Bed, call: Call) -> None:
    """The second try is no safer than the first, and as harmless."""
    line = Line(bed, "replay", *call.needs)
    if not call.sure:
        raise NotApplicable("it is not made again: the caller is told of the doubt")
    line.rehearsed(call)
    queue, beside = line.connect().queue("q"), line.beside.queue("q")
    hands = prepared(call, beside, queue)
    for exchange, when in enumerate((When.BEFORE_REPLY, When.INSIDE_REQUEST, When.INSIDE_REPLY), 1):
        line.cut(exchange, when)

    assert call.act(queue, hands) == call.answer

    line.proxy.wait_fired(3)
    assert counts(beside) == call.after


@_every_call
@invariant("Q-REC-10", "Q-ERR-01")
def test_a_lost_reply_of_a_broker_that_stays_away_is_indeterminate(bed: Bed, call: Call) -> None:
    """It was done, and nobody can say so: to call it not applied would be a lie."""
    line = Line(bed, *call.needs)
    last = line.rehearsed(call)
    queue, beside = line.connect(_IMPATIENT).queue("q"), line.beside.queue("q")
    hands = prepared(call, beside, queue)
    line.cut(1 if call.sure else last, When.BEFORE_REPLY)
    line.proxy.refuse()

    # Who only looks is told how the broker was when the time was over.
    looks = call.before == call.after or "held" in call.after
    with pytest.raises((qcore.Indeterminate, qcore.Unavailable) if looks else qcore.Indeterminate):
        call.act(queue, hands)

    line.proxy.wait_fired(1)
    assert counts(beside) == call.after
    line.proxy.heal()


@_every_call
@invariant("Q-ERR-01")
def test_a_broker_that_was_never_reached_did_nothing(bed: Bed, call: Call) -> None:
    """Unavailable means that the same call may be made again; the broker's own counts prove it."""
    line = Line(bed, *call.needs)
    line.rehearsed(call)
    queue, beside = line.connect(_IMPATIENT).queue("q"), line.beside.queue("q")
    hands = prepared(call, beside, queue)
    line.proxy.refuse()
    line.proxy.cut()
    bed.until(lambda: line.proxy.connections == 0, "all connections are closed")

    with pytest.raises(qcore.Unavailable) as caught:
        call.act(queue, hands)

    assert caught.value.retryable
    assert counts(beside) == call.before
    line.proxy.heal()
    assert call.act(queue, hands) == call.answer
    assert counts(beside) == call.after


@invariant("Q-REC-11", "Q-ERR-01")
def test_a_large_request_that_was_half_sent_stores_nothing(bed: Bed) -> None:
    """Half a job is no job, whatever the broker had got of it."""
    line = Line(bed)
    queue, beside = line.connect(_IMPATIENT).queue("q"), line.beside.queue("q")
    line.warm()
    queue.stats()
    batch = [bytes([number]) * min(1 << 18, bed.capabilities.limits.body) for number in range(4)]
    line.cut(1, When.INSIDE_REQUEST)
    line.proxy.refuse()

    with pytest.raises((qcore.Indeterminate, qcore.Unavailable)):
        queue.enqueue_many(batch)

    line.proxy.wait_fired(1)
    assert counts(beside) == {}
    assert quiet(beside)
    line.proxy.heal()
    queue.enqueue_many(batch)
    assert [delivery.job.body for delivery in drained(beside)] == batch


@invariant("Q-REC-10", "Q-DEDUP-02")
@pytest.mark.parametrize("how", ["idempotent_id", "dedup"])
def test_trying_again_with_the_same_name_after_doubt_adds_nothing(bed: Bed, how: str) -> None:
    """A caller's id or key makes doubt harmless."""
    line = Line(bed, how)
    queue, beside = line.connect(_IMPATIENT).queue("q"), line.beside.queue("q")
    name = {"id" if how == "idempotent_id" else "dedup": "mine"}
    job = qcore.NewJob(b"0", id=name.get("id"), dedup=name.get("dedup"))
    beside.enqueue(b"before")
    line.cut(1, When.BEFORE_REPLY)
    line.proxy.refuse()
    with pytest.raises(qcore.Indeterminate):
        queue.enqueue_many([job])
    line.proxy.heal()

    (again,) = queue.enqueue_many([job])

    assert not again.created
    found = drained(beside)
    assert [delivery.job.body for delivery in found] == [b"before", b"0"]
    assert again == found[1].job.id


@invariant("Q-REPLAY-01", "Q-BATCH-03", "Q-ACK-04")
def test_many_who_share_a_lost_reply_each_get_their_own_answer(bed: Bed) -> None:
    """Calls that went out together, and once more together, are not mixed up."""
    line = Line(bed, "replay", "idempotent_id")
    queue, beside = line.connect().queue("q"), line.beside.queue("q")
    line.warm()
    queue.enqueue(b"first")
    names, share = [f"job-{number}" for number in range(64)], 16
    for exchange in (1, 3, 4, 6):
        line.cut(exchange, When.BEFORE_REPLY)

    def put(part: Sequence[str]) -> list[qcore.JobId]:
        return [queue.enqueue(name.encode(), id=name) for name in part]

    made = at_once(*(partial(put, names[at : at + share]) for at in range(0, 64, share)))

    line.proxy.wait_fired(4)
    assert [name for part in made for name in part] == names
    assert all(name.created for part in made for name in part)
    line.cut(1, When.BEFORE_REPLY)
    hands = at_once(*[partial(taken, queue, LONG)] * 65)
    assert sorted(hand.job.body for hand in hands) == sorted([b"first", *map(str.encode, names)])
    line.cut(1, When.BEFORE_REPLY)
    at_once(*(hand.ack for hand in hands))
    line.proxy.wait_fired(6)
    assert counts(beside) == {"acked": 65}


@invariant("Q-REC-10", "Q-ATT-03")
@pytest.mark.parametrize("who", ["itself", "another"])
def test_jobs_of_a_take_whose_reply_never_came_do_not_stay_without_an_owner(
    bed: Bed, who: str
) -> None:
    """Who asked gets them when it asks again, uncounted; another one when the lease is over."""
    line = Line(bed, "lease", *(["replay"] if who == "itself" else []))
    queue, beside = line.connect(_IMPATIENT).queue("q"), line.beside.queue("q")
    line.warm()
    beside.enqueue(b"0")
    queue.stats()
    line.cut(1, When.BEFORE_REPLY)
    line.proxy.refuse()
    with pytest.raises((qcore.Indeterminate, qcore.Unavailable)):
        queue.reserve(timeout=_IMPATIENT, lease=bed.lease)
    assert counts(beside) == {"held": 1}
    line.proxy.heal()
    began = time.monotonic()

    found = taken(queue if who == "itself" else beside, bed.lease)

    assert time.monotonic() - began <= bed.lease + bed.recovery
    assert found.job.body == b"0"
    if who == "itself":
        assert (found.attempt, found.crashes) == (1, 0)
    found.ack()
    assert counts(beside) == {"acked": 1}


@invariant("Q-REC-10")
@pytest.mark.parametrize("how", ["reserve", "consume"])
def test_a_take_that_is_answered_after_its_lease_gives_a_delivery_that_counts(
    bed: Bed, how: str
) -> None:
    """What nobody took meanwhile is handed over with a lease that holds, or not at all."""
    line = Line(bed, "lease", "replay")
    connection, beside = line.connect(), line.beside.queue("q")
    queue = connection.queue("q")
    line.warm()
    beside.enqueue(b"0")
    queue.stats()
    line.cut(1, When.BEFORE_REPLY)
    line.proxy.refuse()
    coming = bed.start(
        (lambda: queue.reserve(timeout=scaled(20.0), lease=bed.lease))
        if how == "reserve"
        else lambda: next(bed.enter(queue.consume(lease=bed.lease)))
    )
    line.proxy.wait_fired(1)

    pass_time(time.monotonic() + bed.lease + bed.slack)
    line.proxy.heal()

    found = coming.result(scaled(20.0))
    assert found is not None
    assert (found.job.body, found.attempt, found.crashes, found.lost) == (b"0", 1, 0, False)
    found.ack()
    assert counts(beside) == {"acked": 1}
