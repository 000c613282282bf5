"""Servers that go on, but not as they should: full, forgetful, badly set up, damaged."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.calls import CALLS, Call, counts, prepared
from qcore_conformance.lines import Line
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable, NotRun
from qcore_conformance.plans import Hook, When
from qcore_conformance.scenes import LONG, drained, pass_time, taken
from qcore_conformance.servers import Server
from qcore_conformance.waiting import scaled

_IMPATIENT = 0.2
"""Seconds after which a call gives up a broker that refuses it for the time being."""
_WEAK = ("forgetful", "evicting jobs", "evicting what expires")


@pytest.mark.parametrize("call", CALLS, ids=str)
@invariant("Q-REC-15")
def test_scripts_that_were_forgotten_are_no_matter_of_the_caller(bed: Bed, call: Call) -> None:
    """Before every request of a call, also in the middle of one that takes several."""
    line = Line(bed, *call.needs)
    forget = partial(bed.harness.faults.forget_scripts, line.server)
    forget()
    for exchange in range(1, line.rehearsed(call) + 1):
        queue, beside = line.connect().queue(f"q{exchange}"), line.beside.queue(f"q{exchange}")
        hands = prepared(call, beside, queue)
        fired, wanted = len(line.proxy.fired), bed.harness.requests
        line.proxy.plan(
            Hook(exchange=exchange, when=When.BEFORE_REQUEST, commands=wanted, run=forget)
        )

        assert call.act(queue, hands) == call.answer

        line.proxy.wait_fired(fired + 1)
        assert counts(beside) == call.after


def _own(bed: Bed, *needs: str, patience: float = _IMPATIENT) -> tuple[Server, qcore.Queue]:
    """A server of the test's own and an impatient queue of it."""
    for name in ("stats", *needs):
        if not bed.claims(name):
            raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
    server = bed.server()
    return server, bed.connect(bed.url_at(server.address, patience=patience)).queue("q")


_PUTS: dict[str, tuple[qcore.NewJob, ...]] = {
    "plain": (qcore.NewJob(b"plain"),),
    "batch": (qcore.NewJob(b"batch"),) * 50,
    "priority": (qcore.NewJob(b"urgent", priority=4),),
    "delay": (qcore.NewJob(b"later", delay=10.0),),
    "idempotent_id": (qcore.NewJob(b"known", id="before"), qcore.NewJob(b"named", id="mine")),
    "dedup": (qcore.NewJob(b"unique", dedup="key"),),
}


def _refuses_puts(bed: Bed, queue: qcore.Queue) -> None:
    """See that nothing can be enqueued, in whatever way, and that nothing of it stays."""
    before = queue.stats()
    for name, jobs in _PUTS.items():
        if name in ("plain", "batch") or bed.claims(name):
            with pytest.raises(qcore.Unavailable):
                queue.enqueue_many(jobs)
    assert queue.stats() == before


@invariant("Q-REC-16", "Q-ERR-01")
def test_a_full_server_takes_nothing_in_and_gives_everything_out(bed: Bed) -> None:
    """An enqueue is not applied; what is stored is handed out and settled in every way."""
    server, queue = _own(bed, "take_at_full_memory", "dead_letter", "redrive", "retry", "release")
    queue.enqueue(b"before", id="before")
    queue.enqueue_many([b"%d" % number for number in range(7)])
    lapsing = taken(queue, bed.lease)

    with bed.harness.faults.full(server):
        _refuses_puts(bed, queue)
        pass_time(time.monotonic() + bed.lease + bed.slack)
        assert taken(queue, LONG).job.id == lapsing.job.id
        hands = queue.reserve_many(7, 1.0, LONG)
        assert len(hands) == 7
        hands[0].release()
        hands[1].retry(LONG, "later")
        hands[2].dead_letter("bad")
        hands[3].extend(LONG)
        assert queue.ack_many(hands[3:]) == [True] * 4
        assert taken(queue, LONG).job.id == hands[0].job.id
        assert queue.redrive() == 1
        assert counts(queue) == {"ready": 1, "held": 2, "delayed": 1, "acked": 4}

    assert queue.enqueue(b"named", id="mine").created
    assert {delivery.job.body for delivery in drained(queue)} >= {b"named"}


@invariant("Q-REC-16")
def test_who_waits_on_a_full_server_goes_on_when_memory_returns(bed: Bed) -> None:
    """A wait ends in time, a patient producer gets through, and nobody asks all the time."""
    server, waiting = _own(bed, "take_at_full_memory")
    proxy = bed.proxy(server)
    queue = bed.connect(bed.url_at(proxy.address, patience=scaled(20.0))).queue("q")
    queue.enqueue(b"warm")
    taken(queue).ack()
    coming = bed.start(lambda: waiting.reserve(timeout=scaled(20.0)))
    with bed.harness.faults.full(server):
        asked, began = len(proxy.log), time.monotonic()
        assert queue.reserve(timeout=0.5) is None
        assert 0.5 - bed.slack <= time.monotonic() - began <= 0.5 + bed.slack
        assert len(proxy.log) - asked <= 40
        stored = bed.start(lambda: queue.enqueue(b"job"))
        pass_time(time.monotonic() + 0.2)
        assert not stored.done()

    stored.result(scaled(20.0))
    found = coming.result(scaled(20.0))
    assert found is not None
    assert found.job.body == b"job"


@invariant("Q-REC-20", "Q-ERR-01")
def test_a_server_that_cannot_save_takes_nothing_and_holders_keep_their_jobs(bed: Bed) -> None:
    """Not applied, says every call that would write; afterwards all is as it was."""
    server, queue = _own(bed, "lease")
    queue.enqueue_many([b"0", b"1", b"2"])
    held = taken(queue, LONG)
    queue.stats()

    with bed.harness.faults.failing_disk(server):
        _refuses_puts(bed, queue)
        for act in (held.ack, partial(queue.reserve, timeout=0.0), partial(queue.purge, "ready")):
            with pytest.raises(qcore.Unavailable):
                act()
        assert counts(queue) == {"ready": 2, "held": 1}

    held.ack()
    assert [delivery.job.body for delivery in drained(queue)] == [b"1", b"2"]
    assert counts(queue) == {"acked": 3}


@pytest.mark.parametrize("name", _WEAK)
@invariant("Q-REC-17", "Q-CAP-05")
def test_a_server_that_may_lose_jobs_is_told_of_at_open(bed: Bed, name: str) -> None:
    """The promise is lowered with a reason, and whoever relies on it is refused."""
    weakness = bed.harness.faults.weaknesses.get(name)
    if weakness is None:
        raise NotRun(f"the harness knows no server that is {name}")
    if weakness.lowers not in bed.connection.adapter.promises():
        raise NotApplicable(f"{bed.capabilities.adapter} never promises '{weakness.lowers}'")
    url = bed.url_at(bed.server(weakness.settings).address)
    asked = weakness.lowers.partition(":")[0]

    found = bed.connect(url).capabilities

    assert weakness.lowers not in found
    claim = found.claims.get(asked)
    assert found.refusals.get(asked) if claim is None else claim.why
    with pytest.raises(qcore.UnsupportedCapability, match=asked):
        bed.connect(url, require=[weakness.lowers])
    queue = bed.connect(url).queue("q")
    if asked == "dedup":
        with pytest.raises(qcore.UnsupportedCapability, match="dedup"):
            queue.enqueue(b"", dedup="key")
    queue.subscribe()
    queue.enqueue(b"plain")
    assert taken(queue).job.body == b"plain"


def _filled(queue: qcore.Queue) -> list[qcore.Delivery]:
    """Put jobs into every state; returns those in hand."""
    queue.enqueue_many([b"held %d" % number for number in range(4)])
    hands = queue.reserve_many(4, 1.0, LONG)
    queue.enqueue_many([b"dead", b"ready", qcore.NewJob(b"named", id="x")])
    taken(queue, LONG).dead_letter("bad")
    queue.enqueue(b"later", delay=LONG)
    return hands


_FILLED = Counter([*(b"held %d" % number for number in range(4)), b"dead", b"ready", b"named"])


class _Work:
    """All that can be done to a damaged queue: it works, or it says that data is corrupt."""

    def __init__(self, queue: qcore.Queue, hands: Sequence[qcore.Delivery]) -> None:
        self._queue, self._hands = queue, hands
        self.expected = Counter(_FILLED)
        self.refusals: list[qcore.Corrupt] = []

    def attempt(self, act: Callable[[], object]) -> bool:
        """Do something; what told of corruption may have been done, but never twice."""
        try:
            act()
        except qcore.Corrupt as error:
            self.refusals.append(error)
        except qcore.LeaseLost:
            pass
        else:
            return True
        return False

    def everything(self) -> None:
        """Do all there is to do."""
        queue, (acked, released, retried, extended) = self._queue, self._hands
        for body, options in ((b"new", {}), (b"new named", {"id": "x"}), (b"key", {"dedup": "y"})):
            job = qcore.NewJob(body, id=options.get("id"), dedup=options.get("dedup"))
            with contextlib.suppress(_NotDone):
                self._put(job)
        if self.attempt(acked.ack):
            self.expected[acked.job.body] -= 1
        acts: Sequence[Callable[[], object]] = (
            released.release,
            partial(retried.retry, LONG, "again"),
            partial(extended.extend, LONG),
            *[partial(queue.reserve_many, 3, 0.05, LONG)] * 3,
            queue.redrive,
            queue.stats,
            *(partial(queue.peek, state) for state in ("ready", "delayed", "held", "dead")),
        )
        for act in acts:
            self.attempt(act)

    def _put(self, job: qcore.NewJob) -> None:
        made: list[qcore.JobId] = []
        if not self.attempt(lambda: made.extend(self._queue.enqueue_many([job]))):
            raise _NotDone
        if made[0].created:
            self.expected[bytes(job.body)] += 1  # type: ignore[call-overload]


class _NotDone(Exception):
    """An enqueue was refused."""


def _damaged(bed: Bed) -> tuple[Server, qcore.Connection]:
    server, queue = _own(bed, "lease", "delay", "dead_letter", "retry", "release", "dedup")
    del queue
    return server, bed.connect(bed.url_at(server.address))


@invariant("Q-REC-18", "Q-ERR-01")
def test_a_part_of_another_kind_is_told_and_loses_nothing(bed: Bed) -> None:
    """For each part of a queue: while it is there, and after the right one was put back."""
    server, connection = _damaged(bed)
    faults = bed.harness.faults
    pattern = connection.queue("pattern")
    _filled(pattern)
    parts = len(faults.parts(server, bed.namespace, "pattern"))
    assert parts > 0
    for number in range(parts):
        name = f"q{number}"
        queue, other = connection.queue(name), bed.connect(bed.url_at(server.address)).queue("o")
        work = _Work(queue, _filled(queue))
        part = faults.parts(server, bed.namespace, name)[number]
        mend = faults.spoil(server, part)

        work.everything()

        _untouched(other)
        assert work.refusals, f"nothing told of {part}"
        assert all(str(error) for error in work.refusals)
        mend()
        _all_there(queue, work, part)


def _untouched(queue: qcore.Queue) -> None:
    """See that another queue works."""
    queue.enqueue(b"untouched")
    assert [delivery.job.body for delivery in drained(queue)] == [b"untouched"]


def _all_there(queue: qcore.Queue, work: _Work, part: str) -> None:
    """See that a queue that was mended still has every job, in one state or another."""
    come: Counter[bytes] = Counter()
    queue.redrive()
    for state in ("ready", "delayed", "held", "dead"):
        come.update(job.job.body for job in queue.peek(state, limit=100) if job.job)
    del come[b"later"]
    assert come == +work.expected, part


@invariant("Q-REC-18")
def test_a_part_that_is_gone_harms_no_other_queue_and_nobody_spins(bed: Bed) -> None:
    """What it held is lost; whatever is asked ends, with an answer or with a clear error."""
    server, connection = _damaged(bed)
    faults = bed.harness.faults
    _filled(connection.queue("pattern"))
    for number in range(len(faults.parts(server, bed.namespace, "pattern"))):
        name = f"q{number}"
        queue = connection.queue(name)
        work = _Work(queue, _filled(queue))
        faults.remove(server, faults.parts(server, bed.namespace, name)[number])

        work.everything()

        _untouched(connection.queue("other"))
        began, asked = time.monotonic(), 0
        with contextlib.suppress(qcore.Corrupt):
            while queue.reserve_many(10, 0.1, LONG):
                asked += 1
                assert asked <= len(_FILLED) + 10
        assert time.monotonic() - began <= scaled(10.0)
        fresh = queue.enqueue(b"fresh")
        assert fresh in [delivery.job.id for delivery in drained(queue)]


@pytest.mark.parametrize("fault", ["restart", "delete", "disconnect"])
@invariant("Q-BLOCK-04")
def test_a_blocked_reserve_goes_on_after_a_fault_of_its_server(bed: Bed, fault: str) -> None:
    """It survives, or fails clearly and the next one works; what comes afterwards arrives once."""
    server = bed.server()
    url = bed.url_at(server.address)
    waiting, producer = bed.connect(url).queue("q"), bed.connect(url).queue("q")
    waiting.subscribe()
    producer.enqueue(b"before")
    taken(waiting).ack()
    coming = bed.start(lambda: _patiently(waiting))
    pass_time(time.monotonic() + 0.2)

    if fault == "restart":
        server.restart()
    elif fault == "delete":
        bed.harness.faults.delete(server, bed.namespace, "q")
    else:
        bed.harness.faults.disconnect(server)

    bed.until(lambda: producer.enqueue(b"after").receivers != 0, "somebody hears")
    found = coming.result(scaled(15.0))
    assert found.job.body == b"after"
    found.ack()
    producer.enqueue(b"next")
    assert taken(waiting).job.body == b"next"


def _patiently(queue: qcore.Queue) -> qcore.Delivery:
    """Wait without end; a clear failure is followed by one more try."""
    try:
        return queue.reserve(timeout=None)
    except (qcore.Unavailable, qcore.Indeterminate):
        return queue.reserve(timeout=None)
