"""What an ack tells while programs and replies fail: if the job is done and only then, once."""

from __future__ import annotations

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.calls import counts
from qcore_conformance.lines import Line
from qcore_conformance.marks import invariant
from qcore_conformance.plans import Cut, When
from qcore_conformance.scenes import LONG, drained, taken
from qcore_conformance.steps import SAID, TOLD
from qcore_conformance.suite.aftermath import at_rest
from qcore_conformance.suite.sweep import Sweep


@invariant("Q-TELL-02", "Q-REC-02")
def test_a_job_whose_worker_was_killed_at_its_ack_is_told_if_it_is_done(bed: Bed) -> None:
    """Each that is done, once; a job that comes again tells what its next ack says."""
    sweep = Sweep(bed, TOLD["ack-told"])
    ear = bed.ear(SAID, sweep.url)

    deaths = sweep.deaths()

    done = {death.queue.name: bool(death.left.get("acked")) for death in deaths}
    assert [*done.values()] == sorted(done.values()), "a later death did less"
    assert set(done.values()) == {False, True}
    heard = [one.job.body.decode() for one in drained(ear)]
    told = [name for name in heard if name in done]
    assert sorted(told) == sorted(name for name, is_done in done.items() if is_done)
    for death in deaths:
        sweep.recover(death)
    assert not drained(ear)
    sweep.forget(deaths)


@invariant("Q-TELL-02", "Q-REC-10", "Q-ACK-04")
def test_an_ack_whose_connection_breaks_at_any_boundary_is_told_once(bed: Bed) -> None:
    """However far it had come when it was made again."""
    line = Line(bed, "tell", "lease", "replay")
    ear = bed.ear(SAID, bed.url_at(line.server.address))
    exchanges = _exchanges(line)
    assert [one.job.body.decode() for one in drained(ear)] == ["rehearsal-1", "rehearsal-2"]
    for exchange in range(1, exchanges + 1):
        for when in When:
            name = f"q-{exchange}-{when.name.lower()}"
            hand = _about_to_tell(line, name)
            fired = len(line.proxy.fired)
            line.proxy.plan(Cut(exchange=exchange, when=when))
            hand.ack()
            line.proxy.wait_fired(fired + 1)
            beside = line.beside.queue(name)
            assert counts(beside).get("acked") == 1, when
            assert [one.job.body.decode() for one in drained(ear)] == [name]
            at_rest(bed, beside)


def _about_to_tell(line: Line, name: str) -> qcore.Delivery:
    """A job in hand, by the way that can be cut, that tells its queue's name."""
    line.beside.queue(name).enqueue(b"")
    hand = taken(line.connect().queue(name), LONG)
    hand.tell(SAID, name.encode())
    return hand


def _exchanges(line: Line) -> int:
    """How many exchanges an ack takes; twice, as a broker may have to be taught first."""
    number = 0
    for name in ("rehearsal-1", "rehearsal-2"):
        hand = _about_to_tell(line, name)
        before = len(line.proxy.log)
        hand.ack()
        number = len(line.proxy.log) - before
    return number
