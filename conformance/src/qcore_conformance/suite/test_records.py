"""Records of jobs: what became of them, their results, and how long both stay."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from typing import Any

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.scenes import LONG, drained, pass_time, taken
from qcore_conformance.suite.tracking import KEEP, ending, need, tracked
from qcore_conformance.waiting import scaled

_CLOCKS = 5.0
"""Seconds by which the broker's clock may differ from that of the tests."""


def _short() -> float:
    return scaled(0.3)


class _Life:
    """What the record of one job said, each time that it was asked for."""

    def __init__(self, queue: qcore.Queue, job_id: str) -> None:
        self._queue = queue
        self._job_id = job_id
        self.said: list[qcore.Record] = []

    def look(self) -> qcore.Record:
        """Ask, and see that no time runs backwards and no count falls."""
        record = self._queue.get(self._job_id)
        if self.said:
            last = self.said[-1]
            assert record.changed_at >= last.changed_at
            assert record.number >= last.number
            assert record.enqueued_at == last.enqueued_at
        for one in record.tries:
            assert record.enqueued_at <= one.taken_at <= one.ended_at <= record.changed_at
        self.said.append(record)
        return record


@invariant("Q-STATE-01")
def test_the_record_of_a_job_shows_each_state_of_its_life(bed: Bed) -> None:
    """Delayed, held, delayed again, held, dead, ready, held, done: in this order, each once."""
    need(bed, "delay", "retry", "dead_letter", "redrive")
    queue, before = tracked(bed), time.time()
    life = _Life(bed.connect().queue("q"), queue.enqueue(b"", delay=_short()))
    life.look()
    first = taken(queue, LONG)
    life.look()
    first.retry(_short(), "once")
    life.look()
    second = taken(queue, LONG)
    life.look()
    second.dead_letter("twice")
    life.look()
    queue.redrive()
    life.look()
    third = taken(queue, LONG)
    life.look()
    third.ack()
    end = life.look()

    states = [str(record.state) for record in life.said]
    assert states == ["delayed", "held", "delayed", "held", "dead", "ready", "held", "done"]
    assert [record.number for record in life.said] == [0, 1, 1, 2, 2, 2, 3, 3]
    assert [record.attempt for record in life.said] == [1, 1, 2, 2, 2, 1, 1, 1]
    assert [record.has_ended for record in life.said] == [
        state in ("dead", "done") for state in states
    ]
    assert [bool(record.due_at) for record in life.said] == [state == "delayed" for state in states]
    assert [record.note for record in life.said[2:5]] == ["once", "once", "twice"]
    assert end.note == ""
    assert end.ended_at == end.changed_at
    assert before - _CLOCKS < end.enqueued_at <= end.changed_at < time.time() + _CLOCKS
    tries = [(one.number, one.attempt, one.outcome, one.note) for one in end.tries]
    assert tries == [(1, 1, "retry", "once"), (2, 2, "dead_letter", "twice"), (3, 1, "ack", "")]


@invariant("Q-STATE-01")
def test_only_a_job_that_was_enqueued_for_it_has_a_record(bed: Bed) -> None:
    """Of all others it is said that they are not tracked, whether they are there or not."""
    need(bed)
    queue = bed.queue()
    plain, kept = queue.enqueue_many([b"plain", qcore.NewJob(b"kept", keep=KEEP)])

    assert queue.get(kept).state == "ready"
    for unknown in (plain, "never-enqueued"):
        with pytest.raises(qcore.NotTracked):
            queue.get(unknown)
        with pytest.raises(qcore.NotTracked):
            queue.wait(unknown, timeout=LONG)
    found = queue.get_many([plain, kept, "never-enqueued", kept])
    assert [record and record.id for record in found] == [None, kept, None, kept]
    assert queue.get_many([]) == []
    for delivery in (taken(queue, LONG), taken(queue, LONG)):
        assert delivery.job.tracked == (delivery.job.id == kept)
        if not delivery.job.tracked:
            with pytest.raises(qcore.NotTracked):
                delivery.ack(result=b"lost")
            with pytest.raises(qcore.NotTracked):
                delivery.report(progress=0.5)
        delivery.ack()
    assert queue.get(kept).state == "done"


@invariant("Q-STATE-01")
@pytest.mark.parametrize("end", ["cancel", "purge", "late", "remove"])
def test_a_job_that_is_dropped_is_said_to_be(bed: Bed, end: str) -> None:
    """Whatever dropped it, and wherever it was."""
    needs = {"cancel": ["cancel"], "purge": ["purge"], "late": ["ttl"], "remove": ["dead_letter"]}
    need(bed, *needs[end])
    queue = tracked(bed)
    ids = queue.enqueue_many([qcore.NewJob(b"", ttl=_short() if end == "late" else None)] * 3)
    if end == "cancel":
        held = taken(queue, LONG).job.id
        said = {job_id: queue.cancel(job_id) for job_id in ids}
        assert said == {job_id: "held" if job_id == held else "ready" for job_id in ids}
    elif end == "purge":
        assert queue.purge() == 3
    elif end == "late":
        pass_time(time.monotonic() + _short() + bed.slack)
        assert queue.reserve(timeout=0.0) is None
    else:
        for delivery in queue.reserve_many(3, scaled(10.0), LONG):
            delivery.dead_letter("why")
        assert queue.remove(ids) == 3

    records = [queue.get(job_id) for job_id in ids]

    assert [str(record.state) for record in records] == ["dropped"] * 3
    assert all(record.ended_at == record.changed_at for record in records)


@invariant("Q-STATE-01", "Q-ATT-01")
def test_a_job_whose_lease_runs_out_is_said_to_have_lost_its_worker(bed: Bed) -> None:
    """With the attempt and the crash that the next delivery shows; at last it is dead."""
    need(bed, "lease", "attempts", "dead_letter")
    queue = tracked(bed)
    job_id = queue.enqueue(b"")

    for number in range(1, bed.shots(3) + 1):
        delivery = _again(bed, queue, job_id)
        if delivery is None:
            break
        record = queue.get(job_id)
        assert (record.number, record.attempt, record.crashes) == (
            delivery.number,
            delivery.attempt,
            delivery.crashes,
        )
        assert [one.outcome for one in record.tries] == ["expire"] * (number - 1)
        assert record.worker
    pass_time(time.monotonic() + bed.lease + bed.slack)
    assert queue.reserve(timeout=0.0) is None or queue.get(job_id).state == "held"


def _again(bed: Bed, queue: qcore.Queue, job_id: str) -> qcore.Delivery | None:
    """The next delivery of a job, by a short lease; nothing if it is dead."""
    found: list[qcore.Delivery] = []

    def is_over() -> bool:
        found.extend(queue.reserve_many(1, timeout=0.2, lease=bed.lease))
        return bool(found) or queue.get(job_id).state == "dead"

    bed.until(is_over, "it comes again or is dead", scaled(20.0))
    return found[0] if found else None


@invariant("Q-STATE-01")
def test_of_many_deliveries_the_last_are_told(bed: Bed) -> None:
    """So that a record stays small, however often its job comes back."""
    need(bed, "release")
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    for _ in range(8):
        taken(queue, LONG).release()

    tries = queue.get(job_id).tries

    assert 1 <= len(tries) <= 5
    assert [one.number for one in tries] == list(range(9 - len(tries), 9))
    assert {one.outcome for one in tries} == {"release"}


@invariant("Q-STATE-01")
def test_a_worker_reports_while_it_works(bed: Bed) -> None:
    """The last word stands, behind the end too; nobody reports of what is no longer theirs."""
    need(bed)
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    delivery = taken(queue, LONG)
    assert (queue.get(job_id).progress, dict(queue.get(job_id).meta)) == (None, {})

    delivery.report(progress=0.25)
    delivery.report(progress=0.5, meta={"page": "7", "sign": "\N{SNOWMAN}\r\n"})

    record = queue.get(job_id)
    assert (record.state, record.progress) == ("held", 0.5)
    assert record.meta == {"page": "7", "sign": "\N{SNOWMAN}\r\n"}
    for wrong in (-0.1, 1.1, math.nan, True, "0.5"):
        with pytest.raises(qcore.InvalidInput, match="progress"):
            delivery.report(progress=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(qcore.InvalidInput):
        delivery.report(meta={"page": 7})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    delivery.ack()
    with pytest.raises(qcore.LeaseLost):
        delivery.report(progress=1.0)
    assert queue.get(job_id).progress == 0.5


_RESULTS: Sequence[tuple[str, object]] = (
    ("bytes", b""),
    ("bytes", bytes(range(256)) + b"\r\n"),
    ("json", {"sum": [1, 2.5, None, True, "\N{SNOWMAN}"]}),
    ("json", ""),
    ("json", 0),
    ("msgpack", {"raw": b"\x00\xff", "number": 1 << 40}),
)


@invariant("Q-STATE-04")
@pytest.mark.parametrize(("codec", "value"), _RESULTS, ids=repr)
@pytest.mark.parametrize("how", ["ack", "settle_many", "block"])
def test_a_result_comes_back_as_it_was_given(bed: Bed, codec: str, value: Any, how: str) -> None:
    """To whoever asks, from another connection too; by every way of acking."""
    need(bed)
    queue = tracked(bed, codec)
    job_id = queue.enqueue(value)
    delivery = taken(queue, LONG)
    if how == "ack":
        delivery.ack(result=value)
    elif how == "settle_many":
        assert queue.settle_many([qcore.Settlement(delivery, result=value)]) == [True]
    else:
        with delivery:
            delivery.set_result(value)

    record = bed.connect().queue("q").get(job_id)

    assert record.state == "done"
    assert record.result == value
    assert type(record.result) is type(value)


@invariant("Q-STATE-04")
def test_a_result_that_cannot_be_kept_is_refused_before_the_job_is_settled(bed: Bed) -> None:
    """So that it is still in hand, and can be settled otherwise."""
    need(bed)
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    delivery = taken(queue, LONG)
    most = bed.capabilities.limits.body

    with pytest.raises(qcore.InvalidInput):
        delivery.ack(result={"no": "bytes"})
    with pytest.raises(qcore.LimitExceeded):
        delivery.ack(result=bytes(most + 1))
    with pytest.raises(qcore.InvalidInput, match="ack"):
        queue.settle_many([qcore.Settlement(delivery, qcore.Verb.EXTEND, LONG, result=b"")])
    with pytest.raises(qcore.InvalidInput, match="receipt"):
        queue.settle_many([qcore.Settlement(delivery.receipt, result=b"")])

    assert queue.get(job_id).state == "held"
    delivery.ack(result=bytes(most // 2))
    assert queue.get(job_id).result == bytes(most // 2)


@invariant("Q-STATE-04")
def test_a_job_without_a_result_has_none(bed: Bed) -> None:
    """Nor one that was given a result and then ended otherwise."""
    need(bed, "dead_letter", "retry")
    queue = tracked(bed)
    ids = queue.enqueue_many([b""] * 3)
    taken(queue, LONG).ack()
    dead, again = taken(queue, LONG), taken(queue, LONG)
    with contextlib.suppress(ZeroDivisionError), dead:
        dead.set_result(b"not yet")
        dead.dead_letter("why")
        raise ZeroDivisionError
    with contextlib.suppress(ZeroDivisionError), again:
        again.set_result(b"not yet")
        raise ZeroDivisionError

    assert [queue.get(job_id).result for job_id in ids] == [None] * 3
    assert queue.get(dead.job.id).note == "why"
    assert "ZeroDivisionError" in queue.get(again.job.id).note


@invariant("Q-STATE-03")
@pytest.mark.parametrize("end", ["done", "dead", "dropped"])
def test_a_record_stays_for_its_time_and_no_longer(bed: Bed, end: str) -> None:
    """Each end has a time of its own: 0 is at once, none is never."""
    act = ending(bed, end)
    queue, stays, ended = bed.queue(), scaled(1.0), 0.0
    found: dict[str, str] = {}
    for name, seconds in (("never", None), ("short", stays), ("long", LONG), ("at once", 0.0)):
        keep = qcore.Keep(**{"done": LONG, "dead": LONG, "dropped": LONG, end: seconds})
        found[name] = queue.enqueue(b"", keep=keep)
        act(queue)
        ended = time.monotonic()
        if name == "short":
            assert queue.get(found[name]).state == end
            assert time.monotonic() < ended + stays, "this machine was too slow to tell"

    with pytest.raises(qcore.NotTracked):
        queue.get(found["at once"])
    pass_time(ended + stays + bed.slack)
    seen = queue.get_many(list(found.values()))
    assert [record and str(record.state) for record in seen] == [end, None, end, None]
    with pytest.raises(qcore.NotTracked):
        queue.get(found["short"])


@invariant("Q-OBS-01")
@pytest.mark.parametrize("end", ["done", "dead", "dropped"])
def test_what_is_kept_of_a_job_counts_as_no_job(bed: Bed, end: str) -> None:
    """What has ended is counted as that once, and as nothing beside it."""
    act = ending(bed, end)
    need(bed, "stats")
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    act(queue)

    stats = queue.stats()

    assert queue.get(job_id).state == end
    assert (stats.enqueued, stats.lag) == (1, 0)
    ends = {"done": stats.acked, "dead": stats.dead, "dropped": stats.dropped}
    assert ends == {name: int(name == end) for name in ends}


@invariant("Q-STATE-01", "Q-DEDUP-02")
def test_a_record_is_of_one_job_alone(bed: Bed) -> None:
    """An open one keeps its id known, also behind the window; then the id is free for others."""
    need(bed, "idempotent_id")
    window = scaled(0.3)
    queue = bed.connect(bed.told(bed.url, "dedup_window", window)).queue("q")
    queue.enqueue(b"first", id="mine", keep=qcore.Keep(done=None))
    first = taken(queue, LONG)
    pass_time(time.monotonic() + window + bed.slack)

    assert not queue.enqueue(b"while it is open", id="mine", keep=KEEP).created
    assert not queue.enqueue(b"while it is open", id="mine").created
    first.ack()
    assert queue.get("mine").state == "done"
    pass_time(time.monotonic() + window + bed.slack)
    assert queue.enqueue(b"second", id="mine").created
    with pytest.raises(qcore.NotTracked):
        queue.get("mine")
    taken(queue, LONG).ack()
    pass_time(time.monotonic() + window + bed.slack)
    assert queue.enqueue(b"third", id="mine", keep=KEEP).created
    assert (queue.get("mine").state, queue.get("mine").number) == ("ready", 0)


@invariant("Q-STATE-03")
def test_a_job_that_comes_back_to_life_keeps_its_record(bed: Bed) -> None:
    """The time of a dead one's record ends nothing of what was redriven meanwhile."""
    need(bed, "dead_letter", "redrive")
    queue = bed.queue(keep=qcore.Keep(dead=scaled(0.5)))
    job_id = queue.enqueue(b"")
    taken(queue, LONG).dead_letter("why")
    assert queue.redrive() == 1

    pass_time(time.monotonic() + scaled(0.5) + bed.slack)

    assert queue.get(job_id).state == "ready"
    assert queue.get(job_id).ended_at is None
    drained(queue)
    assert queue.get(job_id).state == "done"


@invariant("Q-STATE-03")
def test_a_record_whose_time_was_over_does_not_come_back(bed: Bed) -> None:
    """Whatever becomes of the job later."""
    need(bed, "dead_letter", "redrive")
    queue = bed.queue(keep=qcore.Keep(dead=scaled(0.2)))
    job_id = queue.enqueue(b"")
    taken(queue, LONG).dead_letter("why")
    pass_time(time.monotonic() + scaled(0.2) + bed.slack)

    assert queue.redrive() == 1

    assert queue.get_many([job_id]) == [None]
    drained(queue)
    assert queue.get_many([job_id]) == [None]


@invariant("Q-STATE-03", "Q-INPUT-01")
@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf, "1", True, 1e12], ids=repr)
def test_a_time_for_a_record_that_is_none_is_refused(bed: Bed, wrong: Any) -> None:
    """Before anything is stored."""
    need(bed, "stats")
    queue = bed.queue()

    with pytest.raises(qcore.InvalidInput, match="keep"):
        queue.enqueue(b"", keep=qcore.Keep(done=wrong))
    with pytest.raises(qcore.InvalidInput, match="keep"):
        queue.enqueue(b"", keep=wrong)
    with pytest.raises(qcore.InvalidInput, match="keep"):
        bed.queue("other", keep=qcore.Keep(dead=wrong))

    assert queue.stats().enqueued == 0


@invariant("Q-STATE-02", "Q-ACK-02")
def test_a_settle_that_is_refused_leaves_the_record_alone(bed: Bed) -> None:
    """Whoever lost the job can neither end it nor put a result into its record."""
    need(bed, "lease", "fenced")
    queue = tracked(bed)
    job_id = queue.enqueue(b"")
    lost = queue.reserve(timeout=scaled(10.0), lease=bed.lease)
    assert lost is not None
    held = taken(bed.connect().queue("q"), LONG)

    with pytest.raises(qcore.LeaseLost):
        lost.ack(result=b"stale")
    with pytest.raises(qcore.LeaseLost):
        lost.report(progress=1.0)
    assert queue.settle_many([qcore.Settlement(lost, result=b"stale")]) == [False]

    record = queue.get(job_id)
    assert (record.state, record.result, record.progress) == ("held", None, None)
    assert record.number == held.number
    held.ack(result=b"fresh")
    assert queue.get(job_id).result == b"fresh"
