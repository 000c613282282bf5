"""``qcore torture URL``: load under random faults, a verdict over the history, a table.

It ends with 0 if every promise was kept and enough was broken to say so, with 1 if not, with 3 if
the adapter cannot be tortured.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from qcore_conformance.events import FaultKind
from qcore_conformance.harnesses import harness_for
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.torture.chains import ChainToll, torture_chains
from qcore_conformance.torture.rounds import Plan, torture
from qcore_conformance.torture.toll import Toll, total
from qcore_conformance.verdicts import Verdict

__all__ = ["torture_command"]

_NOT_APPLICABLE = 3
_FAULTS = (
    (FaultKind.KILL_WORKER, "workers killed"),
    (FaultKind.PAUSE_WORKER, "workers frozen past their lease"),
    (FaultKind.CUT, "replies cut"),
    (FaultKind.KILL_SERVER, "servers killed"),
    (FaultKind.RESTART_SERVER, "servers restarted"),
)


@click.command("torture")
@click.argument("url", envvar="QCORE_URL")
@click.option(
    "--minutes", type=float, default=1.0, help="How long the load lasts.", show_default=True
)
@click.option(
    "--workers", type=click.IntRange(4, 64), default=8, help="Processes at work.", show_default=True
)
@click.option(
    "--lease",
    type=click.FloatRange(0.5, 60.0),
    default=2.0,
    help="Seconds of a lease.",
    show_default=True,
)
@click.option(
    "--rate",
    type=float,
    default=1500.0,
    help="Jobs a second of each producer, at most.",
    show_default=True,
)
@click.option(
    "--chains",
    type=click.IntRange(1, 1_000_000),
    help="So many chains of jobs that follow each other, instead of jobs of all sorts.",
)
@click.option("--seed", type=int, help="Repeat the choices of another run.")
@click.option("--report", type=click.Path(path_type=Path), help="Leave the histories here.")
@click.option("--json", "as_data", is_flag=True, help="Print JSON, for programs.")
def torture_command(  # noqa: PLR0917  (click passes them by name)
    url: str,
    minutes: float,
    workers: int,
    lease: float,
    rate: float,
    chains: int | None,
    seed: int | None,
    report: Path | None,
    as_data: bool,  # noqa: FBT001  (a flag of the command line)
) -> None:
    """Load the queue that URL names, break what can be broken, and see whether it was all kept.

    Workers are killed and frozen. Where the server is one of our own (an embedded URL), one of the
    same kind is started, killed and restarted, and replies are cut; somebody else's is left alone.
    """
    chosen = random.SystemRandom().randrange(1 << 30) if seed is None else seed
    plan = Plan(60.0 * minutes, workers, lease, rate, chosen, report)
    harness = harness_for(url)
    harness.start()
    tolls: list[Toll] = []
    try:
        if chains is not None:
            sys.exit(_follow(torture_chains(harness, plan, chains), plan, as_data=as_data))
        for number, toll in enumerate(torture(harness, plan), start=1):
            tolls.append(toll)
            words = f"round {number} of {plan.rounds}: {toll.verdict}, {toll.jobs} jobs"
            click.echo("\n".join([words, *([toll.stories] if toll.stories else [])]), err=True)
    except NotApplicable as error:
        click.echo(f"cannot be tortured: {error}", err=True)
        sys.exit(_NOT_APPLICABLE)
    finally:
        harness.stop()
    whole = total(tolls)
    click.echo(json.dumps(_as_json(whole, plan)) if as_data else "\n".join(_table(whole, plan)))
    sys.exit(0 if whole.verdict is Verdict.PASS else 1)


def _follow(toll: ChainToll, plan: Plan, *, as_data: bool) -> int:
    """Print what became of the chains; the code to end with."""
    verdict = Verdict.PASS if toll.is_whole else Verdict.FAIL
    if as_data:
        stages = {name: attrs.asdict(stats) for name, stats in toll.stages.items()}
        told = {"verdict": str(verdict), "seed": plan.seed, "seconds": toll.seconds}
        click.echo(json.dumps({**told, "faults": dict(toll.faults), "stages": stages}))
    else:
        rows: list[tuple[str, object]] = [("chains", toll.chains)]
        rows += [(words, toll.faults.get(kind, 0)) for kind, words in _FAULTS]
        rows += [(f"enqueued in {name}", one.enqueued) for name, one in toll.stages.items()]
        rows.append(("from the first job to the end", f"{toll.seconds:.2f} s"))
        click.echo("\n".join([*_aligned(rows), _verdict(verdict, plan)]))
    return 0 if toll.is_whole else 1


def _as_json(toll: Toll, plan: Plan) -> dict[str, Any]:
    return {
        "verdict": str(toll.verdict),
        "seed": plan.seed,
        "lease": plan.lease,
        "jobs": toll.jobs,
        "deliveries": toll.deliveries,
        "faults": dict(toll.faults),
        "kills_of_holders": toll.kills_of_holders,
        "broken": dict(toll.broken),
        "explained_duplicates": toll.explained,
        "unknown_enqueues_that_took_effect": toll.unknown_enqueues,
        "recoveries": len(toll.recoveries),
        "recovery_seconds": {
            "p50": toll.recovery(0.5),
            "p99": toll.recovery(0.99),
            "max": toll.recovery(1.0),
        },
    }


def _table(toll: Toll, plan: Plan) -> Iterator[str]:
    rows: list[tuple[str, object]] = [("jobs", toll.jobs), ("deliveries", toll.deliveries)]
    rows += [(words, toll.faults.get(kind, 0)) for kind, words in _FAULTS]
    rows.append(("kills that struck a job in hand", toll.kills_of_holders))
    rows += [(name, count) for name, count in toll.broken.items()]
    rows.append(("duplicates, explained", toll.explained))
    times = " / ".join(f"{toll.recovery(part):.2f}" for part in (0.5, 0.99, 1.0))
    rows.append((f"recovery p50 / p99 / max of {len(toll.recoveries)}", f"{times} s"))
    yield from _aligned(rows)
    yield _verdict(toll.verdict, plan)


def _aligned(rows: Sequence[tuple[str, object]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    yield from (f"{name:{width}}  {value}" for name, value in rows)


def _verdict(verdict: Verdict, plan: Plan) -> str:
    return f"verdict: {verdict}; lease {plan.lease:g} s, seed {plan.seed}"
