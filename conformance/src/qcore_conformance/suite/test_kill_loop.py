"""Many workers, of which one is killed every fifth of a second, and nothing is lost."""

from __future__ import annotations

import random
from pathlib import Path

from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.events import FaultKind
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.outcomes import NotApplicable, Unknown
from qcore_conformance.torture.arena import Arena, crew_of
from qcore_conformance.torture.rounds import judge_round, orders_for, promised_by
from qcore_conformance.torture.schedule import schedule
from qcore_conformance.verdicts import Verdict

EVERY = 0.2
RATE = 300.0


@invariant("Q-REC-04", "Q-OBS-02")
@in_colour(Colour.SYNC, "its workers are of both colours")
def test_nothing_is_lost_while_workers_die_all_the_time(bed: Bed, tmp_path: Path) -> None:
    """Lost 0, unexpected 0, resurrected 0; what comes twice was in dying hands, or given back."""
    bed.need_tier(1)
    if bed.capabilities.value("scope") == "process":
        raise NotApplicable("no second process shares its queues")
    seconds, seed = float(bed.many(30, least=4)), random.SystemRandom().randrange(1 << 30)
    orders = orders_for(bed.capabilities, tmp_path, seed, lease=2 * bed.lease, rate=RATE)
    crew = crew_of(bed.many(20, least=8))
    with Arena(bed.harness, bed.namespace, orders, crew, breakable=False) as arena:
        kills = {FaultKind.KILL_WORKER: EVERY}
        strikes = schedule(seconds, arena.faults, random.Random(seed), kills)
        arena.suffer(strikes, seconds)
        arena.finish(bed.recovery)
    promised = promised_by(bed.capabilities, bed.recovery, len(strikes))
    toll = judge_round(tmp_path, promised, seed)
    bed.figure("kills", len(strikes), f"{toll.kills_of_holders} of them of a holder")
    bed.figure("duplicates, all explained", toll.explained, f"of {toll.jobs} jobs")
    if toll.verdict is Verdict.UNKNOWN:
        raise Unknown(toll.stories)
    assert toll.verdict is Verdict.PASS, toll.stories
