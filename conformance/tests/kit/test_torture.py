"""The torture itself: its plan, its sums, and a short one that has to find what it breaks."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import qcore
from conformance.tests.kit.tape import Tape
from qcore_conformance.checker import check
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.harnesses import MemoryHarness, ServedRedis
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.servers import newest
from qcore_conformance.torture.arena import crew_of
from qcore_conformance.torture.chains import END, STAGES, ChainToll, torture_chains
from qcore_conformance.torture.command import torture_command
from qcore_conformance.torture.rounds import Plan, torture
from qcore_conformance.torture.schedule import EVERY, schedule
from qcore_conformance.torture.toll import Toll, toll_of, total
from qcore_conformance.verdicts import Verdict

LEASED = Guarantees(lease=10.0, recovery=2.0)


def test_a_plan_is_the_same_for_the_same_seed() -> None:
    """A run that failed can be made again."""
    first, second = (schedule(30.0, EVERY, random.Random(7)) for _ in range(2))
    assert first == second
    assert first != schedule(30.0, EVERY, random.Random(8))


@pytest.mark.parametrize("seconds", [1.0, 30.0])
def test_each_kind_of_fault_comes_in_every_round_and_in_order(seconds: float) -> None:
    """However short a round is, it proves something of everything."""
    strikes = schedule(seconds, EVERY, random.Random(1))
    assert {strike.fault for strike in strikes} == set(EVERY)
    assert [strike.at for strike in strikes] == sorted(strike.at for strike in strikes)
    assert all(0 < strike.at < seconds for strike in strikes)


def test_what_cannot_be_broken_is_not_planned() -> None:
    """A stranger's server is left alone."""
    strikes = schedule(30.0, {FaultKind.KILL_WORKER}, random.Random(1))
    assert {strike.fault for strike in strikes} == {FaultKind.KILL_WORKER}


def test_a_crew_has_every_role_in_both_colours_and_some_behind_the_proxy() -> None:
    """A fault that concerns one colour only would be missed otherwise."""
    crew = crew_of(8).values()
    assert {(post.role.__name__, str(post.colour)) for post in crew} == {
        (role, colour) for role in ("produce", "consume", "reserve") for colour in ("sync", "async")
    }
    assert {post.proxied for post in crew} == {False, True}


def _killed_holder() -> Tape:
    tape = Tape().do("enqueue", 0).do("reserve", 1, by="w", receipt="first", lease=10.0)
    tape.fault(FaultKind.KILL_WORKER, 2, target="w")
    return tape.do("reserve", 12.5, by="v", receipt="second", took=0.0).do("ack", 13, by="v")


def _toll(tape: Tape) -> Toll:
    return toll_of(check(tape.drained().events, LEASED, seed=1), LEASED)


def test_a_job_is_away_from_the_death_of_its_holder_until_it_is_delivered_again() -> None:
    """That is what its user waits for."""
    toll = _toll(_killed_holder())
    assert toll.recoveries == pytest.approx([10.5])
    assert (toll.jobs, toll.deliveries, toll.explained) == (1, 2, 1)
    assert toll.kills_of_holders == toll.faults["kill-worker"] == 1


def test_a_job_that_its_holder_had_given_back_was_not_recovered() -> None:
    """Its second delivery is owed to the release, and says nothing about recovery."""
    tape = Tape().do("enqueue", 0).do("reserve", 1, by="w", receipt="first", lease=10.0)
    tape.do("release", 1.5, by="w", receipt="first")
    tape.fault(FaultKind.KILL_WORKER, 2, target="w")
    assert _toll(tape.do("reserve", 3, by="v", receipt="second")).recoveries == []


def test_a_lost_job_is_counted_and_its_story_told() -> None:
    """Whoever reads the table wants to know what happened to it."""
    toll = _toll(Tape().do("enqueue", 0).do("reserve", 1, receipt="first", lease=10.0))
    assert (toll.verdict, toll.broken["lost"]) == (Verdict.FAIL, 1)
    assert "p-1" in toll.stories


def test_the_worst_round_decides() -> None:
    """A hundred rounds that passed do not outweigh one."""
    good, bad = Toll(Verdict.PASS, jobs=1), Toll(Verdict.FAIL, jobs=2, faults={"cut": 3})
    whole = total([good, bad, good])
    assert (whole.verdict, whole.jobs, whole.faults) == (Verdict.FAIL, 4, {"cut": 3})


def test_a_broker_of_one_process_is_refused() -> None:
    """Nobody could be killed without taking the broker along."""
    with pytest.raises(NotApplicable, match="one process"):
        next(torture(MemoryHarness("memory://x"), Plan()))


def test_the_command_says_why_it_refuses() -> None:
    """A table of zeros would look like a success."""
    done = CliRunner().invoke(torture_command, ["memory://x"])
    assert done.exit_code == 3
    assert "one process" in done.output


@pytest.mark.skipif(sys.platform != "linux", reason="workers are frozen and told apart by /proc")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("design", ["list", "streams"])
def test_a_short_torture_breaks_everything_and_loses_nothing(design: str, tmp_path: Path) -> None:
    """Workers, replies and the server; all of it strikes, and every promise holds."""
    harness = ServedRedis(design, newest())
    harness.start()
    try:
        plan = Plan(seconds=4.0, workers=6, lease=1.0, rate=200.0, keep=tmp_path)
        (toll,) = torture(harness, plan)
    finally:
        harness.stop()
    assert toll.verdict is Verdict.PASS, toll.stories
    assert set(toll.faults) == set(map(str, EVERY))
    assert toll.kills_of_holders
    assert toll.recoveries


@pytest.mark.skipif(sys.platform != "linux", reason="workers are frozen and told apart by /proc")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("design", ["list", "streams"])
def test_chains_under_a_short_torture_come_to_one_end(design: str) -> None:
    """Each job is followed once, whatever breaks around its ack."""
    harness = ServedRedis(design, newest())
    harness.start()
    try:
        toll = torture_chains(harness, Plan(seconds=4.0, workers=6, lease=1.0), 60)
    finally:
        harness.stop()
    assert toll.is_whole, toll
    assert set(toll.faults) == set(map(str, EVERY))


def _done(chains: int) -> qcore.QueueStats:
    return qcore.QueueStats(enqueued=chains, acked=chains)


@pytest.mark.parametrize(
    ("name", "stats"),
    [
        ("second", qcore.QueueStats(enqueued=4, acked=4)),
        ("third", qcore.QueueStats(enqueued=2, acked=2)),
        ("first", qcore.QueueStats(enqueued=3, acked=2, held=1)),
        ("first", qcore.QueueStats(enqueued=3, acked=3, outbox=1)),
        (END, qcore.QueueStats(enqueued=2, ready=2)),
        (END, qcore.QueueStats()),
    ],
)
def test_chains_are_not_whole_with_a_job_too_many_or_too_few(
    name: str, stats: qcore.QueueStats
) -> None:
    """Wherever it is."""
    whole = {**dict.fromkeys(STAGES, _done(3)), END: qcore.QueueStats(enqueued=1, ready=1)}
    assert ChainToll(3, whole, {}, 1.0).is_whole
    assert not ChainToll(3, {**whole, name: stats}, {}, 1.0).is_whole


def test_chains_need_an_adapter_that_lets_jobs_follow_each_other() -> None:
    """And one that more than one process can reach."""
    done = CliRunner().invoke(torture_command, ["memory://x", "--chains", "10"])
    assert done.exit_code == 3
    assert "no chains" in done.output
