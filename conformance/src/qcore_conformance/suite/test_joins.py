"""Joins: a job that many ask for is stored once, when the last of them has asked."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest

import qcore
from qcore_conformance.acts import passing
from qcore_conformance.bed import Bed
from qcore_conformance.lines import Line
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.plans import Cut, When
from qcore_conformance.scenes import LONG, at_once, pass_time, quiet, taken
from qcore_conformance.suite.aftermath import accounted, at_rest
from qcore_conformance.suite.following import long_lease
from qcore_conformance.waiting import scaled


def _joined(bed: Bed, *names: str) -> qcore.Queue:
    """A queue of an adapter that has all of this."""
    if not bed.claims("join", "stats", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('join', *names)}")
    return bed.queue()


def _ask(
    queue: qcore.Queue, member: str, of: int = 2, within: float = LONG, **options: Any
) -> bool:
    """Ask for the end, and say whether that stored it."""
    given: dict[str, Any] = {"body": member.encode(), "id": "end", **options}
    job = queue.enqueue(given.pop("body"), join=qcore.Join(of, member, within=within), **given)
    assert job == given["id"]
    return job.created


@invariant("Q-JOIN-01")
def test_a_job_is_stored_when_the_last_of_its_members_asks(bed: Bed) -> None:
    """As that one says, whatever the others said; until then nobody can see it."""
    queue = _joined(bed)
    assert not _ask(queue, "a", 3, body=b"said by a", headers={"by": "a"})
    assert not _ask(bed.connect().queue("q"), "b", 3, headers={"by": "b"})
    assert (quiet(queue), queue.stats().enqueued) == (True, 0)
    accounted(bed, queue)

    assert _ask(queue, "c", 3, body=b"said by c", headers={"by": "c"})

    with taken(queue) as delivery:
        assert (delivery.job.id, delivery.job.body) == ("end", b"said by c")
        assert (dict(delivery.job.headers), delivery.number) == ({"by": "c"}, 1)
    assert queue.stats().enqueued == 1
    at_rest(bed, queue)


@invariant("Q-JOIN-01")
def test_the_same_member_counts_once(bed: Bed) -> None:
    """However often it asks, from wherever, and one whose name begins alike is another."""
    queue, elsewhere = _joined(bed), bed.connect().queue("q")
    for line in (queue, elsewhere, queue):
        assert not _ask(line, "part:1", 3)
    assert not _ask(queue, "part:10", 3)
    assert not _ask(elsewhere, "part:1", 3)
    assert (queue.stats().enqueued, quiet(queue)) == (0, True)

    assert _ask(queue, "Part:1", 3)

    assert taken(queue).job.body == b"Part:1"
    assert queue.stats().enqueued == 1


@invariant("Q-JOIN-01", "Q-DEDUP-01")
def test_who_asks_later_finds_the_job_known(bed: Bed) -> None:
    """While it waits, is in hand and is done; members that never asked before as well."""
    queue = _joined(bed)
    assert [_ask(queue, member) for member in ("a", "b")] == [False, True]

    assert [_ask(queue, member) for member in ("a", "b", "c")] == [False] * 3
    delivery = taken(queue)
    assert [_ask(queue, member) for member in ("a", "d")] == [False] * 2
    delivery.ack()
    assert [_ask(queue, member) for member in ("a", "b", "e")] == [False] * 3
    assert not queue.enqueue(b"", id="end").created

    assert quiet(queue)
    assert queue.stats().enqueued == 1
    at_rest(bed, queue)


@invariant("Q-JOIN-01", "Q-DEDUP-01")
def test_nobody_joins_a_job_that_is_known(bed: Bed) -> None:
    """Who enqueued it without a join was first, and it is there already."""
    queue = _joined(bed, "dedup")
    queue.enqueue(b"plain", id="end")
    queue.enqueue(b"keyed", dedup="key")
    ids = [
        queue.enqueue(b"", id="other", dedup="key", join=qcore.Join(2, member)) for member in "ab"
    ]

    assert [_ask(queue, member) for member in ("a", "b")] == [False] * 2
    assert not any(one.created for one in ids)
    assert queue.stats().enqueued == 2


@invariant("Q-JOIN-01")
def test_members_of_one_batch_are_counted_one_by_one(bed: Bed) -> None:
    """In their order, among other jobs and other joins."""
    queue = _joined(bed)
    names = [("x", "a"), ("y", "a"), ("x", "a"), ("y", "b"), ("x", "b"), ("x", "b"), ("y", "c")]
    jobs: list[object] = [
        qcore.NewJob(f"{end} {member}".encode(), id=end, join=qcore.Join(2, member))
        for end, member in names
    ]

    told = queue.enqueue_many([*jobs, b"plain"])

    assert [one.created for one in told] == [False] * 3 + [True, True, False, False, True]
    assert told[:7] == [end for end, _ in names]
    found = sorted(taken(queue).job.body for _ in range(3))
    assert found == [b"plain", b"x b", b"y b"]
    assert queue.stats().enqueued == 3


@invariant("Q-JOIN-01", "Q-NS-01")
def test_each_id_of_each_queue_is_joined_by_itself(bed: Bed) -> None:
    """Members of one are none of another, also in another namespace."""
    queue = _joined(bed)
    others = [
        (bed.queue("other"), "end"),
        (queue, "end:2"),
        (bed.connect(bed.url_in("other")).queue("q"), "end"),
    ]
    assert not _ask(queue, "a")
    for line, end in others:
        assert not _ask(line, "b", id=end)

    assert _ask(queue, "b")

    assert taken(queue).job.id == "end"
    assert quiet(queue)
    for line, end in others:
        assert _ask(line, "a", id=end)


@invariant("Q-JOIN-01")
def test_a_join_of_one_is_stored_at_once(bed: Bed) -> None:
    """And one of many when all of them have asked, in any order."""
    queue, many = _joined(bed), bed.many(2000, 300)
    assert _ask(queue, "alone", 1)
    assert taken(queue).job.body == b"alone"
    members = [f"part-{number}" for number in range(many)]
    random.shuffle(members)
    jobs = [
        qcore.NewJob(one.encode(), id="many", join=qcore.Join(many, one))
        for one in [*members[:-1], *members[:-1]]
    ]
    for first in range(0, len(jobs), 500):
        assert not any(one.created for one in queue.enqueue_many(jobs[first : first + 500]))
    assert queue.stats().enqueued == 1

    assert _ask(queue, members[-1], many, id="many")

    assert taken(queue).job.body == members[-1].encode()


@invariant("Q-JOIN-01")
def test_who_asked_is_remembered_from_the_last_who_did(bed: Bed) -> None:
    """Each that asks lets all be remembered for longer."""
    queue, within = _joined(bed), scaled(2.0)
    began = time.monotonic()
    for member in ("a", "b", "a"):
        assert not _ask(queue, member, 3, within)
        asked = time.monotonic()
        if asked - began > within - bed.slack:
            raise Unknown("this machine is too slow to ask in time")
        pass_time(asked + 0.6 * within)
        began = asked

    created = _ask(queue, "c", 3, within)

    if time.monotonic() - began > within - bed.slack:
        raise Unknown("this machine is too slow to ask in time")
    assert created
    assert taken(queue).job.body == b"c"


@invariant("Q-JOIN-01")
def test_a_join_begins_anew_when_nobody_asked_for_its_time(bed: Bed) -> None:
    """Who asked before has to ask again; the time of the last who asked counts."""
    queue, within = _joined(bed), scaled(0.5)
    assert not _ask(queue, "a", 3, LONG)
    assert not _ask(queue, "b", 3, within)
    pass_time(time.monotonic() + within + bed.slack)

    assert not _ask(queue, "c", 3)
    assert not _ask(queue, "a", 3)
    assert quiet(queue)
    assert _ask(queue, "b", 3)

    assert taken(queue).job.body == b"b"
    assert queue.stats().enqueued == 1


@invariant("Q-JOIN-01", "Q-DEDUP-02")
def test_a_join_begins_anew_when_its_job_is_known_no_more(bed: Bed) -> None:
    """Behind the window of its id, if the job is done: none of the first round is left."""
    _joined(bed)
    window = scaled(0.5)
    queue = bed.connect(bed.told(bed.url, "dedup_window", window)).queue("q")
    assert [_ask(queue, member) for member in ("a", "b", "c")] == [False, True, False]
    taken(queue).ack()
    pass_time(time.monotonic() + window + bed.slack)

    assert [_ask(queue, member) for member in ("c", "b", "a")] == [False, True, False]

    assert taken(queue).job.body == b"b"
    assert queue.stats().enqueued == 2


@invariant("Q-JOIN-01", "Q-DELAY-01", "Q-STATE-01")
def test_what_is_joined_has_the_options_of_the_last(bed: Bed) -> None:
    """It is due when that one says, and tracked if that one asks for it."""
    queue = _joined(bed, "delay", "records")
    assert not _ask(queue, "a", delay=0.0)
    with pytest.raises(qcore.NotTracked):
        queue.get("end")

    assert _ask(queue, "b", delay=LONG, keep=qcore.Keep())

    assert (queue.stats().delayed, queue.stats().ready) == (1, 0)
    assert queue.get("end").state == "delayed"


@invariant("Q-JOIN-01", "Q-BLOCK-01")
def test_the_last_who_asks_wakes_whoever_waits(bed: Bed) -> None:
    """The others do not keep it from sleeping on."""
    queue = _joined(bed)
    late: list[float] = []
    for number in range(bed.many(5, 3)):
        end = f"end-{number}"
        waiting = bed.start(lambda: (taken(bed.connect().queue("q")).ack(), time.monotonic())[1])  # type: ignore[func-returns-value]
        assert not _ask(queue, "a", id=end)
        pass_time(time.monotonic() + random.uniform(0.05, 0.15))
        assert not waiting.done()
        began = time.monotonic()
        assert _ask(queue, "b", id=end)
        late.append(waiting.result(scaled(10.0)) - began)

    bed.spread("the last of a join to the wake-up", late)
    assert sorted(late)[len(late) // 2] <= bed.poll + scaled(0.5)


@invariant("Q-JOIN-01", "Q-THEN-01")
def test_the_acks_of_all_parts_are_followed_by_one_end(bed: Bed) -> None:
    """Acked one by one or together; one that is given back and done again asks again."""
    queue, end = _joined(bed, "then", "release"), bed.queue("end")
    queue.enqueue_many([b"%d" % number for number in range(6)])
    hands = [taken(queue) for _ in range(6)]
    for hand in hands:
        join = qcore.Join(6, hand.job.body.decode())
        hand.then("end", qcore.NewJob(hand.job.body, id="end", join=join))
    hands[0].ack()
    assert all(queue.ack_many(hands[1:4]))
    hands[4].release()
    again = taken(queue)
    join = qcore.Join(6, again.job.body.decode())
    again.then("end", *[qcore.NewJob(b"", id="end", join=join)] * 2)
    again.ack()
    bed.until(lambda: not queue.stats().outbox, "all have asked")
    assert (quiet(end), end.stats().enqueued) == (True, 0)

    hands[5].ack()

    assert taken(end).job.body == hands[5].job.body
    assert quiet(end)
    assert end.stats().enqueued == 1


@invariant("Q-JOIN-01", "Q-INPUT-01")
@pytest.mark.parametrize(
    "wrong",
    [
        3,
        "a",
        qcore.Join(0, "a"),
        qcore.Join(-1, "a"),
        qcore.Join(of=True, member="a"),
        qcore.Join(1.5, "a"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        qcore.Join(10**9, "a"),
        qcore.Join(2, ""),
        qcore.Join(2, "a b"),
        qcore.Join(2, "a,b"),
        qcore.Join(2, "a;b"),
        qcore.Join(2, "n" * 129),
        qcore.Join(2, 7),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        qcore.Join(2, "a", within=0.0),
        qcore.Join(2, "a", within=-1.0),
        qcore.Join(2, "a", within=float("nan")),
        qcore.Join(2, "a", within=1e12),
    ],
    ids=repr,
)
def test_a_join_that_is_none_is_refused(bed: Bed, wrong: Any) -> None:
    """Before anything is stored or anybody counted, alone and as one of many."""
    queue = _joined(bed)

    with pytest.raises((qcore.InvalidInput, qcore.LimitExceeded)):
        queue.enqueue(b"", id="end", join=wrong)
    with pytest.raises((qcore.InvalidInput, qcore.LimitExceeded)):
        queue.enqueue_many([b"", qcore.NewJob(b"", id="end", join=wrong)])

    assert queue.stats().enqueued == 0
    assert not _ask(queue, "b")


@invariant("Q-JOIN-01", "Q-INPUT-01")
def test_a_join_needs_an_id(bed: Bed) -> None:
    """All who ask have to mean the same job; a dedup key is no name."""
    queue = _joined(bed, "dedup")
    for dedup in (None, "key"):
        with pytest.raises(qcore.InvalidInput, match="id"):
            queue.enqueue(b"", dedup=dedup, join=qcore.Join(1, "a"))

    assert queue.stats().enqueued == 0


@invariant("Q-JOIN-02")
@pytest.mark.parametrize("how", ["one connection", "many connections"])
def test_many_who_ask_at_once_store_it_once(bed: Bed, how: str) -> None:
    """Each of them again and again; one of all is told that it was the last."""
    _joined(bed)
    crowd, most = 8, bed.many(40, 16)
    lines = [bed.queue() if how[:3] == "one" else bed.connect().queue("q") for _ in range(crowd)]
    *members, last = [f"part-{number}" for number in range(most)]

    def ask(line: qcore.Queue, end: str) -> int:
        order = random.sample(members, len(members))
        return sum(_ask(line, member, most, id=end) for member in (*order, *order[:5]))

    for round_ in range(bed.many(10, 3)):
        end = f"end-{round_}"
        assert sum(at_once(*(partial(ask, line, end) for line in lines))) == 0
        asks = [partial(_ask, line, last, most, id=end) for line in lines]
        assert sum(at_once(*asks)) == 1
        assert bed.queue().stats().enqueued == round_ + 1
        with taken(bed.queue(), long_lease(bed)) as end_of_all:
            assert end_of_all.job.body == last.encode()
    assert quiet(bed.queue())


@invariant("Q-JOIN-02")
def test_the_last_two_may_ask_at_the_same_time(bed: Bed) -> None:
    """One of them is the last."""
    queue, other = _joined(bed), bed.connect().queue("q")
    won = Counter[str]()
    for round_ in range(bed.many(40)):
        end = f"end-{round_}"
        asks = [partial(_ask, queue, "a", id=end), partial(_ask, other, "b", id=end)]
        first, second = at_once(*(asks if round_ % 2 else asks[::-1]))
        assert sorted([first, second]) == [False, True]
        body = taken(queue).job.body
        assert body == (b"a" if (first if round_ % 2 else second) else b"b")
        won[body.decode()] += 1
    bed.figure("joins that the first of two ended", won["a"], "")


@invariant("Q-JOIN-02")
def test_programs_that_ask_and_are_killed_store_it_once(bed: Bed) -> None:
    """The members that the dead ones left out are asked for by somebody else."""
    queue, count = _joined(bed), bed.many(200, 60)
    members = [f"part-{number}" for number in range(count)]
    end = bed.queue(passing.END)
    workers = [bed.act(passing.ask_for_the_end, "", members, 2).ready() for _ in range(4)]
    for worker in workers:
        worker.go()
    pass_time(time.monotonic() + random.uniform(0.0, 0.05))
    for worker in workers[:2]:
        worker.kill()

    created = sum(int(worker.heard("created", within=30.0)) for worker in workers[2:])

    assert created <= 1
    assert end.stats().enqueued == 1
    assert taken(end).job.id == passing.END
    again = [end.enqueue(b"", id=passing.END, join=qcore.Join(count, one)) for one in members]
    assert not any(one.created for one in again)
    assert quiet(end)
    assert queue.stats().enqueued == 0


@invariant("Q-JOIN-02", "Q-REPLAY-01")
def test_asking_is_counted_once_wherever_its_connection_breaks(bed: Bed) -> None:
    """Who is answered is told the truth: the last one that it stored the job."""
    line = Line(bed, "join", "replay")
    line.warm()
    for member, of in (("a", 2), ("b", 2)):
        for when in When:
            end = f"{member}-{when.name.lower()}"
            queue, beside = line.connect().queue(end), line.beside.queue(end)
            queue.stats()
            if member == "b":
                assert not _ask(beside, "a")
            fired = len(line.proxy.fired)
            line.proxy.plan(Cut(exchange=1, when=when, commands=bed.harness.requests))

            assert _ask(queue, member, of) == (member == "b")

            line.proxy.wait_fired(fired + 1)
            assert beside.stats().ready == (member == "b")
            assert _ask(beside, "b", of) == (member == "a")
            assert beside.stats().enqueued == 1


@invariant("Q-JOIN-02", "Q-REC-06")
def test_who_asked_is_known_behind_the_end_of_a_server(bed: Bed) -> None:
    """Whether it ended in peace or not."""
    server = bed.server()
    connection = bed.connect(bed.url_at(server.address))
    for name in ("join", "durability:process", "stats"):
        if name not in connection.capabilities:
            raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
    queue = connection.queue("q")
    assert not _ask(queue, "a", 3)
    server.restart()
    assert not _ask(queue, "b", 3)
    server.kill()
    server.start()

    assert not _ask(queue, "a", 3)
    assert _ask(queue, "c", 3)

    assert not _ask(queue, "d", 3)
    assert taken(queue).job.body == b"c"
    assert queue.stats().enqueued == 1
