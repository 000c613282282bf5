"""Clocks that are wrong: those of workers, and that of the server while it is at work."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

import qcore
from qcore_conformance.acts import holding
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, NotRun, Unknown
from qcore_conformance.preload import Clock
from qcore_conformance.processes import ScriptProcess
from qcore_conformance.scenes import LONG, drained, pass_time, quiet, taken
from qcore_conformance.scripts import clocked
from qcore_conformance.suite.aftermath import arrivals, horizon
from qcore_conformance.waiting import scaled

_HOUR = 3600
_wrong = pytest.mark.parametrize("shift", [-_HOUR, _HOUR], ids=["behind", "ahead"])


def _clock(bed: Bed, shift: int = 0) -> Clock:
    folder = bed.enter(tempfile.TemporaryDirectory(prefix="qcore-"))
    return Clock(Path(folder), shift)


class _Scene:
    """A server that clients reach over a network, a queue of it, and workers that are an hour off.

    Raises:
        NotApplicable: If the adapter's workers all go by the clock of their host.
    """

    def __init__(self, bed: Bed, shift: int) -> None:
        bed.need_tier(4)
        self._bed = bed
        self._shift = shift
        self.url = bed.url_at(bed.server().address)
        connection = bed.connect(self.url)
        if connection.capabilities.value("scope") != "network":
            raise NotApplicable("whoever shares these queues shares a clock, too")
        self.queue = connection.queue("q")

    def worker(self, deed: str, seconds: float) -> ScriptProcess:
        """A worker of the test's colour that does one thing.

        Raises:
            Unknown: If its clock is right all the same.
        """
        colour = str(self._bed.colour)
        env = {"QCORE_COLOUR": colour, "QCORE_DEED": deed, "QCORE_SECONDS": str(seconds)}
        env |= _clock(self._bed, self._shift).environment
        worker = self._bed.worker(Path(clocked.__file__), url=self.url, **env)
        wall, monotonic = _numbers(worker.wait_for("clock", within=30.0))
        off = (wall - monotonic) - (time.time() - time.monotonic())
        if abs(off - self._shift) > 1.0:
            raise Unknown(f"the worker's clock is off by {off:g} s, not {self._shift} s")
        return worker


def _numbers(line: str) -> tuple[float, float]:
    _, first, second, *_ = line.split()
    return float(first), float(second)


@_wrong
@invariant("Q-DELAY-03")
def test_a_delay_lasts_as_long_as_a_producer_with_a_wrong_clock_meant(bed: Bed, shift: int) -> None:
    """It is told as a number of seconds, and counted by the broker."""
    scene = _Scene(bed, shift)
    producer = scene.worker("enqueue", 1.0)

    before, after = _numbers(producer.wait_for("enqueued", within=30.0))
    taken(scene.queue).ack()
    came = time.monotonic()

    assert before + 1.0 - bed.slack <= came <= after + 1.0 + bed.recovery + bed.slack


@_wrong
@invariant("Q-LEASE-08")
def test_a_lease_lasts_as_long_as_a_holder_with_a_wrong_clock_meant(bed: Bed, shift: int) -> None:
    """It is neither handed out early, nor stuck when the holder is dead."""
    scene, lease = _Scene(bed, shift), 2 * bed.lease
    scene.queue.enqueue(b"0")
    holder = scene.worker("hold", lease)

    before, after = _numbers(holder.wait_for("holds", within=30.0))
    holder.kill()
    came = next(arrivals(bed, scene.queue, horizon(bed, lease)), None)

    assert came is not None
    assert before + lease - bed.slack <= came.at <= after + lease + bed.recovery + bed.slack


@_wrong
@invariant("Q-LEASE-08")
def test_a_taker_with_a_wrong_clock_takes_what_is_due_and_nothing_else(
    bed: Bed, shift: int
) -> None:
    """The job of a dead holder comes to it in time, that of a living one never."""
    scene, lease = _Scene(bed, shift), 2 * bed.lease
    queue = scene.queue
    queue.enqueue(b"kept")
    mine = taken(queue, LONG)
    left = queue.enqueue(b"left")
    dead = bed.act(holding.hold, scene.url, 1, lease).ready()
    before = time.monotonic()
    dead.go()
    dead.heard("holds")
    after = time.monotonic()
    dead.kill()

    taker = scene.worker("take", lease + 2 * bed.recovery)
    begun, _ = _numbers(taker.wait_for("takes", within=30.0))
    taker.wait_for("over", within=60.0)

    ((came, job),) = (line.split()[1:] for line in taker.lines if line.startswith("took"))
    assert job == left
    due = max(after + lease, begun)
    assert before + lease - bed.slack <= float(came) <= due + bed.recovery + bed.slack
    mine.ack()


class _Jumping:
    """A server whose clock jumps when told to, and a queue of it with jobs in every state."""

    def __init__(self, bed: Bed) -> None:
        bed.need_tier(4)
        self.server = bed.server()
        self.clock = _clock(bed)
        self.server.environment.update(self.clock.environment)
        self.server.restart()
        connection = bed.connect(bed.url_at(self.server.address))
        if "durability:process" not in connection.capabilities:
            raise NotRun("the server does not keep its jobs over the restart that sets its clock")
        self.queue = connection.queue("q")
        self.held = [self.queue.enqueue(b"held") for _ in range(3)]
        self.hands = [taken(self.queue, LONG) for _ in self.held]
        later = [b"later"] * 3 if bed.claims("delay") else []
        self.later = [self.queue.enqueue(body, delay=_HOUR / 2) for body in later]
        self.ready = [self.queue.enqueue(b"ready") for _ in range(3)]


@_wrong
@invariant("Q-LEASE-09")
def test_a_server_whose_clock_jumps_loses_nothing(bed: Bed, shift: int) -> None:
    """What is in hand comes early at most once; what is waited for comes when its hour strikes."""
    scene = _Jumping(bed)
    scene.clock.shift(shift)

    found = Counter[str]()
    if shift > 0:
        # Leases and delays are over, and looking for them is what every take does.
        found.update(one.job.id for one in _all_of(bed, scene.queue, 6 + len(scene.later)))
        if found.keys() != {*scene.held, *scene.later, *scene.ready}:
            raise Unknown(f"the server's clock did not jump, or not all came: {found}")
        assert max(found.values()) <= 2
        assert not any(scene.queue.ack_many(scene.hands))
    else:
        found.update(one.job.id for one in drained(scene.queue))
        assert found.keys() == {*scene.ready}
        assert all(scene.queue.ack_many(scene.hands)), "they were in hand all the time"
        scene.clock.shift(_HOUR)
        found.update(one.job.id for one in _all_of(bed, scene.queue, len(scene.later)))
        assert found.keys() == {*scene.ready, *scene.later}
    assert quiet(scene.queue)
    assert counts(scene.queue) == {"acked": 6 + len(scene.later)}


def _all_of(bed: Bed, queue: qcore.Queue, count: int) -> list[qcore.Delivery]:
    """Take and ack so many jobs."""
    found: list[qcore.Delivery] = []

    def are_there() -> bool:
        found.extend(drained(queue))
        return len(found) >= count

    bed.until(are_there, f"{count} jobs come")
    return found


@_wrong
@invariant("Q-LEASE-09")
def test_leases_are_normal_after_the_clock_of_a_server_jumped(bed: Bed, shift: int) -> None:
    """For whoever comes then, and for somebody who has waited for jobs since before."""
    scene, lease = _Jumping(bed), 2 * bed.lease
    _all_of(bed, scene.queue, 3)
    other = bed.connect(bed.url_at(scene.server.address)).queue("other")
    waiting = bed.start(lambda: other.reserve(timeout=scaled(30.0), lease=lease))
    pass_time(time.monotonic() + 0.1)
    scene.clock.shift(shift)
    other.enqueue(b"the server looks at its clock")
    waiting.result(scaled(30.0))
    other.enqueue(b"new")

    before = time.monotonic()
    new = taken(other, lease)
    after = time.monotonic()
    came = next(arrivals(bed, other, horizon(bed, lease) + bed.slack), None)
    while came is not None and came.delivery.job.id != new.job.id:
        came = next(arrivals(bed, other, horizon(bed, lease)), None)

    assert came is not None
    assert before + lease - bed.slack <= came.at <= after + lease + bed.recovery + bed.slack
