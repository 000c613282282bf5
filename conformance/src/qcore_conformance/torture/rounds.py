"""A whole torture: rounds of load and faults, each drained and judged, while the next one runs.

In go a URL's harness and how long to go on; out come tolls, one for each round, as soon as they
are known. Rounds are judged in a process of their own, so that load and verdict share no
interpreter; a round whose own parts failed raises, since it proves nothing.
"""

from __future__ import annotations

import multiprocessing
import random
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import attrs

import qcore
from qcore_conformance.checker import check
from qcore_conformance.guarantees import Guarantees, Minimum
from qcore_conformance.harness import Harness
from qcore_conformance.history import load
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.torture.arena import Arena, crew_of
from qcore_conformance.torture.crowd import Orders
from qcore_conformance.torture.schedule import schedule
from qcore_conformance.torture.toll import Toll, toll_of

__all__ = ["Plan", "judge_round", "orders_for", "promised_by", "torture"]

_ROUND = 30.0
_VERBS = ("release", "retry", "dead_letter")
_OPTIONS = ("delay", "priority", "idempotent_id", "fair")


@attrs.frozen
class Plan:
    """How to torture.

    Attributes:
        seconds: How long the load lasts, all rounds together.
        workers: Processes at work.
        lease: Seconds of a lease.
        rate: Jobs that each producer enqueues in a second, at most.
        seed: What all choices are made from.
        keep: Where to leave the histories; ``None`` to drop them.
    """

    seconds: float = 60.0
    workers: int = 8
    lease: float = 2.0
    rate: float = 1500.0
    seed: int = 0
    keep: Path | None = None

    @property
    def rounds(self) -> int:
        """How many rounds there are."""
        return max(1, round(self.seconds / _ROUND))


def promised_by(capabilities: qcore.Capabilities, recovery: float, faults: int) -> Guarantees:
    """What the histories of an adapter that delivers at least once are held to.

    Args:
        capabilities: What it claims.
        recovery: Seconds after the end of a lease in which its job is out again.
        faults: How many faults have to have come.
    """
    return Guarantees(
        attempts="attempts" in capabilities,
        fenced="fenced" in capabilities,
        delays="delay" in capabilities,
        idempotent="idempotent_id" in capabilities,
        recovery=recovery,
        minimum=Minimum(calls=10 * faults, kills=1, redeliveries=1, faults=faults),
    )


def orders_for(
    capabilities: qcore.Capabilities, folder: Path, seed: int, *, lease: float, rate: float
) -> Orders:
    """What workers are told to do with an adapter: all that it claims.

    Where tenants take turns, no job waits where the others do; so every second seed is without.
    """
    left_out = "" if seed % 2 else "fair"
    return Orders(
        name="",
        folder=folder,
        lease=lease,
        seed=seed,
        rate=rate,
        backlog=500,
        verbs=frozenset(verb for verb in _VERBS if verb in capabilities),
        options=frozenset(one for one in _OPTIONS if one in capabilities and one != left_out),
    )


def torture(harness: Harness, plan: Plan) -> Iterator[Toll]:
    """Torture an adapter, round by round.

    Raises:
        NotApplicable: If it lives in one process, or promises no second delivery.
    """
    with qcore.connect(harness.url("probe")) as connection:
        capabilities = connection.capabilities
    if capabilities.value("scope") == "process":
        raise NotApplicable(f"{capabilities.adapter} lives in one process, which none may kill")
    if capabilities.value("delivery") != "at_least_once":
        raise NotApplicable(f"{capabilities.adapter} may lose what a dead worker held")
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="qcore-") as temporary,
        ProcessPoolExecutor(1, mp_context=context) as judges,
    ):
        verdicts: list[Future[Toll]] = []
        for number in range(plan.rounds):
            folder = (plan.keep or Path(temporary)) / f"round-{number}"
            faults = _round(harness, capabilities, plan, number, folder)
            promised = promised_by(capabilities, harness.recovery, faults)
            verdicts.append(judges.submit(judge_round, folder, promised, plan.seed + number))
            while verdicts and verdicts[0].done():
                yield verdicts.pop(0).result()
        yield from (verdict.result() for verdict in verdicts)


def _round(
    harness: Harness, capabilities: qcore.Capabilities, plan: Plan, number: int, folder: Path
) -> int:
    """Play one round; how many faults it had."""
    seconds, seed = plan.seconds / plan.rounds, plan.seed + number
    orders = orders_for(capabilities, folder, seed, lease=plan.lease, rate=plan.rate)
    with Arena(harness, f"torture-{seed}-{number}", orders, crew_of(plan.workers)) as arena:
        strikes = schedule(seconds, arena.faults, random.Random(seed))
        arena.suffer(strikes, seconds)
        arena.finish(harness.recovery)
    return len(strikes)


def judge_round(folder: Path, promised: Guarantees, seed: int) -> Toll:
    """Read the history of a round, and hold it to what was promised."""
    return toll_of(check(load(folder), promised, seed=seed), promised)
