"""History: a log can be read again, until retention drops what nobody has to do any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, drained, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import accounted
from qcore_conformance.waiting import scaled


def _need(bed: Bed, *names: str) -> None:
    if not bed.claims("history", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('history', *names)}")


def _kept(bed: Bed, **retention: str) -> qcore.Queue:
    """A queue whose log is kept for so long."""
    _need(bed, "groups", "stats")
    known = {one.name for one in bed.connection.adapter.parameters}
    if not retention.keys() <= known:
        raise NotApplicable("nobody can tell the adapter how long to keep a log")
    query = "".join(f"&{name}={value}" for name, value in retention.items())
    return bed.connect(f"{bed.url}{query}").queue("q")


def _bodies(entries: list[qcore.LogEntry]) -> list[bytes]:
    return [entry.job.body for entry in entries if entry.job]


@invariant("Q-HIST-01")
def test_reading_twice_gives_the_same_and_changes_nothing(bed: Bed) -> None:
    """All that was enqueued, in order, done or not; whole, with the time at the broker."""
    _need(bed, "stats", "dead_letter")
    queue = bed.queue()
    ids = [queue.enqueue(b"%d" % number, headers={"k": "v"}) for number in range(6)]
    taken(queue).ack()
    taken(queue).dead_letter("why")
    held = taken(queue, LONG)
    before = queue.stats()

    first, second = queue.history(), queue.history()

    assert first == second
    assert [entry.id for entry in first] == ids
    assert _bodies(first) == [b"%d" % number for number in range(6)]
    assert all(entry.job is not None and entry.job.headers == {"k": "v"} for entry in first)
    assert [entry.at for entry in first] == sorted(entry.at for entry in first)
    assert queue.stats() == before
    held.ack()
    assert [one.job.id for one in drained(queue)] == ids[3:]


@invariant("Q-HIST-01")
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_log_is_read_page_by_page(bed: Bed, newest_first: bool) -> None:  # noqa: FBT001
    """From either end, each entry once; what comes meanwhile lies behind."""
    _need(bed)
    queue = bed.queue()
    ids = queue.enqueue_many([b"%d" % number for number in range(25)])
    pages: list[list[str]] = []
    after = None
    while page := queue.history(after=after, limit=10, newest_first=newest_first):
        pages.append([entry.id for entry in page])
        after = page[-1].id

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [one for page in pages for one in page] == (ids[::-1] if newest_first else ids)


@invariant("Q-HIST-01")
def test_a_log_is_read_by_id_and_by_time(bed: Bed) -> None:
    """Both ends belong to it; a time is that of the broker, as a number or a datetime."""
    _need(bed)
    queue = bed.queue()
    ids: list[str] = []
    for number in range(4):
        ids.append(queue.enqueue(b"%d" % number))
        pass_time(time.monotonic() + 0.02)
    at = [entry.at for entry in queue.history()]

    assert _bodies(queue.history(ids[1], ids[2])) == [b"1", b"2"]
    assert _bodies(queue.history(at[1], at[2])) == [b"1", b"2"]
    assert _bodies(queue.history(datetime.fromtimestamp(at[3], UTC))) == [b"3"]
    assert _bodies(queue.history(ids[1], newest_first=True)) == [b"3", b"2", b"1"]
    assert _bodies(queue.history(ids[1], after=ids[0], limit=1)) == [b"1"]
    assert queue.history(at[3] + 1000) == []
    assert queue.history(ids[2], ids[1]) == []


@invariant("Q-HIST-01")
def test_a_job_is_found_by_its_id(bed: Bed) -> None:
    """Also when it is done; what was never there is not, and nothing begins there."""
    _need(bed, "groups")
    queue = bed.queue()
    job_id = queue.enqueue(b"here")
    taken(queue).ack()

    found = queue.lookup(job_id)

    assert found is not None
    assert _bodies([found]) == [b"here"]
    assert queue.lookup("never-there") is None
    assert bed.queue("other").lookup(job_id) is None
    for asked in (
        lambda: queue.history("never-there"),
        lambda: queue.history(after="never-there"),
        lambda: queue.rewind("never-there"),
        lambda: queue.group("new").subscribe("never-there"),
    ):
        with pytest.raises(qcore.HistoryGone, match="never-there"):
            asked()
    assert queue.groups() == ["default"]


@invariant("Q-HIST-01")
def test_a_replay_gives_the_same_jobs_in_the_same_order_each_time(bed: Bed) -> None:
    """To a new group and to one that is rewound, from a time, while another is at work."""
    _need(bed, "groups")
    queue = bed.queue()
    queue.enqueue_many([b"before"] * 5)
    pass_time(time.monotonic() + 0.05)
    ids = queue.enqueue_many([b"%d" % number for number in range(bed.many(500))])
    found = queue.lookup(ids[0])
    assert found is not None
    held = taken(queue, LONG)
    replay = queue.group("replay")
    replay.subscribe(found.at)

    for _ in range(2):
        assert [one.job.id for one in drained(replay)] == ids
        replay.rewind(found.at)

    held.ack()
    assert len(drained(queue)) == len(ids) + 4


@invariant("Q-HIST-02", "Q-FAN-02")
def test_retention_by_count_waits_for_every_group(bed: Bed) -> None:
    """What is done goes, the oldest first; asking for it says so, and what is left is whole."""
    queue = _kept(bed, retention_count="3")
    slow, fast = queue.group("slow"), queue.group("fast")
    slow.subscribe("all")
    fast.subscribe("all")
    ids = queue.enqueue_many([b"%d" % number for number in range(8)])
    drained(fast)
    first = taken(slow, LONG)
    ids += queue.enqueue_many([b"8"])
    assert len(queue.history()) == 9

    second = taken(slow, LONG)
    first.ack()
    ids += queue.enqueue_many([b"9"])
    assert _bodies(queue.history())[0] == b"1"
    second.ack()
    drained(slow)
    drained(fast)
    queue.group("late").subscribe("new")
    ids += queue.enqueue_many([b"10"])

    assert _bodies(queue.history("all")) == [b"8", b"9", b"10"]
    assert queue.lookup(ids[0]) is None
    for start in (ids[7], 1.0):
        with pytest.raises(qcore.HistoryGone):
            queue.history(start)
        with pytest.raises(qcore.HistoryGone):
            slow.rewind(start)
    for group in (slow, fast):
        assert _bodies_of(drained(group)) == [b"10"]
        accounted(bed, group)


def _bodies_of(deliveries: list[qcore.Delivery]) -> list[bytes]:
    return [delivery.job.body for delivery in deliveries]


@invariant("Q-HIST-02")
def test_retention_by_age_waits_for_every_group(bed: Bed) -> None:
    """Old is not enough: what a group has yet to do stays, and so do its dead letters."""
    queue = _kept(bed, retention="200ms")
    queue.subscribe("all")
    queue.enqueue_many([b"held", b"dead", b"done"])
    held = taken(queue, LONG)
    taken(queue).dead_letter("why")
    taken(queue).ack()
    pass_time(time.monotonic() + 0.3)
    queue.enqueue(b"new")
    assert _bodies(queue.history()) == [b"held", b"dead", b"done", b"new"]

    held.ack()
    queue.enqueue(b"newer")

    assert not {b"held", b"dead", b"done"} & set(_bodies(queue.history()))
    assert [dead.job.body for dead in queue.peek("dead") if dead.job] == [b"dead"]
    assert queue.redrive() == 1
    assert sorted(_bodies_of(drained(queue))) == [b"dead", b"new", b"newer"]
    accounted(bed, queue)


@invariant("Q-HIST-02")
def test_a_log_that_is_declared_lossy_counts_what_it_drops(bed: Bed) -> None:
    """Whoever has a job in hand may finish it; the rest is dropped, never handed out torn."""
    queue = _kept(bed, retention_count="2", lossy="true")
    queue.subscribe("all")
    queue.enqueue_many([b"held", b"given back", b"unread"])
    held, back = taken(queue, LONG), taken(queue, LONG)
    back.release()
    queue.enqueue_many([b"1", b"2"])
    queue.enqueue_many([b"3", b"4"])

    assert _bodies(queue.history()) == [b"3", b"4"]
    assert _bodies_of(drained(queue)) == [b"3", b"4"]
    held.ack()
    stats = queue.stats()
    assert (stats.acked, stats.dropped, stats.dead) == (3, 4, 0)
    accounted(bed, queue)


@invariant("Q-HIST-02")
def test_without_groups_retention_waits_for_nobody(bed: Bed) -> None:
    """And without retention everything stays, although everybody has done everything."""
    queue = _kept(bed, retention_count="2")
    for number in range(6):
        queue.enqueue(b"%d" % number)
    assert _bodies(queue.history()) == [b"4", b"5"]
    assert _bodies_of(drained(queue)) == [b"4", b"5"]

    kept = bed.queue("kept")
    for number in range(6):
        kept.enqueue(b"%d" % number)
        drained_one = taken(kept)
        drained_one.ack()
    assert len(kept.history()) == 6


@invariant("Q-INPUT-01")
@pytest.mark.parametrize("wrong", ["", "a b", float("nan"), -1, True, None, b"all", datetime.min])  # noqa: DTZ901
def test_a_wrong_place_is_refused_and_changes_nothing(bed: Bed, wrong: object) -> None:
    """Before anything is sent, wherever a place in a log is named."""
    _need(bed, "groups")
    queue = bed.queue()
    queue.enqueue(b"")
    taken(queue, LONG)
    calls: list[Callable[[], object]] = [
        lambda: queue.rewind(wrong),  # type: ignore[arg-type]
        lambda: queue.history(wrong),  # type: ignore[arg-type]
        lambda: queue.history("all", wrong),  # type: ignore[arg-type]
        lambda: queue.lookup(wrong),  # type: ignore[arg-type]
        lambda: queue.group(wrong),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r".+"):
            call()
    assert quiet(queue, scaled(0.1))
    assert queue.groups() == ["default"]
