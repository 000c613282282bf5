"""What follows an ack while programs, replies and servers fail: there if the job is done, once."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import pytest

import qcore
from qcore_conformance.acts import passing
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.lines import Line
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.plans import Cut, When
from qcore_conformance.scenes import LONG, at_once, drained, lined_up, pass_time, taken
from qcore_conformance.servers import Server
from qcore_conformance.steps import FOLLOWED, followers, say_what_follows
from qcore_conformance.suite.aftermath import at_rest
from qcore_conformance.suite.sweep import Sweep
from qcore_conformance.waiting import scaled
from qcore_conformance.workers import Worker

_SECONDS = 10.0
"""How long what a dead program left may be on its way, while somebody takes or sleeps there."""


@attrs.define
class _Scene:
    """A job that somebody failed to end, or what follows it.

    Attributes:
        where: What happened to it, in words.
        queue: Its queue.
        lines: All queues in which anything may come, by name.
        wanted: What has to come there.
        came: What came.
    """

    where: str
    queue: qcore.Queue
    lines: Mapping[str, qcore.Queue]
    wanted: Mapping[str, Sequence[str]]
    came: dict[str, list[str]] = attrs.field(factory=dict[str, list[str]])

    def take(self, name: str, timeout: float = 0.0) -> None:
        """Take and ack what is there."""
        line = self.lines[name]
        batch = line.reserve_many(10, timeout, LONG)
        assert all(line.ack_many(batch))
        self.came.setdefault(name, []).extend(one.job.body.decode() for one in batch)

    def is_whole(self) -> bool:
        """Whether all has come, and nothing else is on its way."""
        found = sum(map(len, self.came.values()))
        return found >= sum(map(len, self.wanted.values())) and not self.queue.stats().outbox


def _scene(
    where: str, queue: qcore.Queue, other: Callable[[str], qcore.Queue], count: int
) -> _Scene:
    """What has to come behind so many jobs, of which all are done or none."""
    names = followers(queue)
    done = counts(queue).get("acked", 0)
    assert done in (0, count), where
    follow = {name: [*jobs] * done for name, jobs in names.items()}
    wanted = follow if done else {queue.name: [str(number) for number in range(count)]}
    return _Scene(where, queue, {name: other(name) for name in names}, wanted)


def _look(bed: Bed, scenes: Sequence[_Scene], names: Callable[[_Scene], Sequence[str]]) -> None:
    """Take what comes, until all has; what did not is told by who judges."""

    def all_came() -> bool:
        for scene in scenes:
            for name in names(scene):
                scene.take(name)
        return all(scene.is_whole() for scene in scenes)

    with contextlib.suppress(TimeoutError):
        bed.until(all_came, "what follows is in its queues", _SECONDS)


def _judge(bed: Bed, scene: _Scene) -> None:
    """See that all came, once, and that nothing else did."""
    for name, line in scene.lines.items():
        came, wanted = scene.came.get(name, []), scene.wanted.get(name, [])
        assert sorted(came) == sorted(wanted), scene.where
        if name != scene.queue.name:
            assert line.stats().enqueued == len(wanted), scene.where
        assert line.reserve(timeout=0.0) is None
        at_rest(bed, line)
    assert not scene.queue.stats().outbox, scene.where


@pytest.mark.parametrize(
    ("name", "who"),
    [("ack-followed", "looks"), ("ack-many-followed", "looks"), ("ack-followed", "sleeps")],
)
@invariant("Q-THEN-02", "Q-REC-02")
def test_a_job_whose_worker_was_killed_at_its_ack_is_followed_if_it_is_done(
    bed: Bed, name: str, who: str
) -> None:
    """Nothing follows it else; what was on its way is brought by who takes next, or sleeps."""
    step = FOLLOWED[name]
    sweep = Sweep(bed, step)

    deaths = sweep.deaths()

    done = [bool(death.left.get("acked")) for death in deaths]
    assert done == sorted(done), "a later death did less"
    assert (done[0], done[-1]) == (False, True)
    scenes = [
        _scene(death.where, death.queue, sweep.queue, step.states[0]["held"]) for death in deaths
    ]
    for death, scene in zip(deaths, scenes, strict=True):
        assert scene.wanted.get(f"{death.queue.name}.next") or death.left == step.states[0]
    late = sum(bool(death.left.get("outbox")) for death in deaths)
    bed.figure("deaths that left something on its way", late, f"of {len(deaths)}")
    began = time.monotonic()
    if who == "looks":
        _look(bed, scenes, lambda scene: [*scene.lines])
    else:
        _sleep(bed, scenes)
    bed.figure("until all was in its queues", time.monotonic() - began, "s")
    for scene in scenes:
        _judge(bed, scene)
    sweep.forget(deaths)


def _sleep(bed: Bed, scenes: Sequence[_Scene]) -> None:
    """Let somebody sleep on the queue of each job, and look only into those of what follows."""
    over = threading.Event()

    def sleeper(scene: _Scene) -> None:
        while not over.is_set():
            scene.take(scene.queue.name, LONG)

    asleep = [bed.start(partial(sleeper, scene)) for scene in scenes]
    try:
        _look(bed, scenes, lambda scene: [name for name in scene.lines if name != scene.queue.name])
    finally:
        over.set()
        for scene in scenes:
            scene.queue.enqueue(b"over")
    for one, scene in zip(asleep, scenes, strict=True):
        one.result(scaled(10.0))
        scene.came[scene.queue.name].remove("over")


@invariant("Q-THEN-02", "Q-REC-10", "Q-ACK-04")
def test_an_ack_whose_connection_breaks_at_any_boundary_is_followed_once(bed: Bed) -> None:
    """It is answered as if nothing had happened, and nobody need know how far it had come."""
    line = Line(bed, "then", "lease")
    scenes: list[_Scene] = []
    for exchange in range(1, _exchanges(line) + 1):
        for when in When:
            name = f"q-{exchange}-{when.name.lower()}"
            queue, hand = _in_hand(line, name)
            say_what_follows(queue, hand)
            fired = len(line.proxy.fired)
            line.proxy.plan(Cut(exchange=exchange, when=when))
            try:
                hand.ack()
            except qcore.Indeterminate:
                assert not bed.claims("replay"), "this adapter claims that it can replay"
            line.proxy.wait_fired(fired + 1)
            beside = line.beside.queue(name)
            assert counts(beside).get("acked") == 1 or not bed.claims("replay"), when
            scenes.append(_scene(name, beside, line.beside.queue, 1))

    _look(bed, scenes, lambda scene: [*scene.lines])

    for scene in scenes:
        _judge(bed, scene)
    bed.figure("boundaries of an ack that is followed", len(scenes), "")


def _in_hand(line: Line, name: str) -> tuple[qcore.Queue, qcore.Delivery]:
    """A job of a queue, taken by the way that can be cut."""
    line.beside.queue(name).enqueue(b"0")
    queue = line.connect().queue(name)
    return queue, taken(queue, LONG)


def _exchanges(line: Line) -> int:
    """How many exchanges an ack takes; twice, as a broker may have to be taught first."""
    number = 0
    for name in ("rehearsal-1", "rehearsal-2"):
        queue, hand = _in_hand(line, name)
        say_what_follows(queue, hand)
        before = len(line.proxy.log)
        hand.ack()
        number = len(line.proxy.log) - before
    return number


@invariant("Q-THEN-02", "Q-JOIN-02", "Q-REC-04")
def test_chains_lose_and_double_nothing_while_their_workers_are_killed(bed: Bed) -> None:
    """Each job is once at each station, and the end comes once, when all have passed the last."""
    for name in ("then", "join", "stats", "lease", "redrive"):
        if not bed.claims(name):
            raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
    route, kills = ["first", "second", "third"], bed.many(30, 8)
    count = 15 * kills
    lines, end = [bed.queue(name) for name in route], bed.queue(passing.END)

    def born() -> Worker[Sequence[str], int, float]:
        return bed.act(passing.pass_on, "", route, count, bed.lease)

    workers = [born() for _ in range(3)]
    for worker in workers:
        worker.heard("works")

    for number in range(kills):
        lines[0].enqueue_many([b"%d" % (15 * number + one) for one in range(15)])
        pass_time(time.monotonic() + random.uniform(0.0, 0.1))
        workers.pop(0).kill()
        assert end.stats().enqueued == 0 or number == kills - 1
        workers.append(born())

    def ended() -> bool:
        for one in lines:
            one.redrive()
        return bool(end.stats().ready) and not any(one.stats().outbox for one in lines)

    bed.until(ended, "the end has come", 30.0)
    for one in lines:
        stats = one.stats()
        assert (stats.enqueued, stats.acked) == (count, count), one.name
        at_rest(bed, one)
    assert taken(end).job.id == passing.END
    assert end.stats().enqueued == 1
    bed.figure("workers killed", kills, f"while {3 * count} jobs followed others")


def _served(bed: Bed, *needs: str) -> tuple[Server, str, qcore.Connection]:
    """A server of one's own, its URL and a connection to it."""
    server = bed.server()
    url = bed.url_at(server.address)
    connection = bed.connect(url)
    for name in ("then", "stats", "lease", *needs):
        if name not in connection.capabilities:
            raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
    return server, url, connection


@invariant("Q-THEN-02", "Q-REC-06")
def test_jobs_are_followed_once_while_their_server_is_killed(bed: Bed) -> None:
    """Under load: what it remembers of an ack it remembers of what follows."""
    server, url, connection = _served(bed, "redrive", "durability:process")
    queue, target = connection.queue("q"), connection.queue("next")
    count, over = bed.many(600, 200), threading.Event()
    queue.enqueue_many([b"%d" % number for number in range(count)])

    def work(line: qcore.Queue) -> None:
        while not over.is_set():
            try:
                for one in line.reserve_many(2, 0.1, 2 * bed.lease):
                    one.then("next", one.job.body)
                    one.ack()
            except (qcore.Unavailable, qcore.Indeterminate, qcore.LeaseLost):
                continue

    def strike() -> None:
        for part in (1, 2):
            bed.until(lambda: queue.stats().acked >= part * count // 3, "work goes on")  # noqa: B023
            server.kill()
            server.start()
        bed.until(
            lambda: queue.redrive() or _all_done(queue, count), "all is done and followed", 30.0
        )
        over.set()

    crowd = [bed.connect(url).queue("q") for _ in range(3)]
    at_once(strike, *(partial(work, line) for line in crowd))

    assert queue.stats().acked == count
    came = [one.job.body.decode() for one in drained(target)]
    assert Counter(came) == Counter(str(number) for number in range(count))
    at_rest(bed, target)


def _all_done(queue: qcore.Queue, count: int) -> bool:
    stats = queue.stats()
    return stats.acked == count and not stats.outbox


@invariant("Q-THEN-02", "Q-REC-16")
def test_a_full_server_lets_a_job_be_followed_when_memory_returns(bed: Bed) -> None:
    """The ack itself needs no room, and nobody has to make it again."""
    server, _, connection = _served(bed, "take_at_full_memory")
    queue, target = connection.queue("q"), connection.queue("next")
    queue.enqueue_many([b"0", b"1"])
    hands = [taken(queue, LONG) for _ in range(2)]
    for hand in hands:
        hand.then("next", hand.job.body)
    with bed.harness.faults.full(server):
        hands[0].ack()
        assert queue.ack_many(hands) == [False, True]
        assert (queue.stats().acked, target.stats().enqueued) == (2, 0)
        assert queue.reserve(timeout=0.0) is None

    def came() -> bool:
        return queue.reserve(timeout=0.0) is None and target.stats().ready == 2

    bed.until(came, "what follows is in its queue", _SECONDS)

    assert lined_up(bed, [taken(target).job.body for _ in range(2)]) == [b"0", b"1"]
    bed.until(lambda: not queue.stats().outbox, "nothing is on its way")
    assert target.stats().enqueued == 2
