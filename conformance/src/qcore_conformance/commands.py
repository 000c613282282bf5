"""The verbs that this distribution adds to the command line.

``qcore conformance URL`` runs the suite against a URL in a process of its own, prints the verdict
and, if asked, leaves the whole report. It ends with 0 if the adapter conforms, with 1 if not,
with 3 if it conforms but for what its harness waives.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

import qcore
from qcore.capabilities import Capabilities

from .contract import contract
from .harness import Harness
from .harnesses import harness_for, mode_of
from .notes import read_notes, suite_facts
from .pages import as_html
from .publishing import as_json, as_markdown, verdict
from .tally import tallied
from .waivers import read_waivers

__all__ = ["conformance", "conformance_page"]

_WITH_WAIVERS = 3


@click.command()
@click.argument("url", envvar="QCORE_URL")
@click.option("--tier", type=click.IntRange(0, 4), default=1, help="Go up to this tier.")
@click.option("--scale", type=float, default=1.0, help="Multiply all large counts.")
@click.option("--workers", type=int, default=0, help="Processes; 0 for this one.")
@click.option("--server", default="", help="Start this server for it, such as redis-6.2.14.")
@click.option("--alternate", type=int, help="From this tier on, each test in one colour only.")
@click.option("--seed", type=int, help="Make values up from this; by default a new one.")
@click.option("--report", type=click.Path(path_type=Path), help="Leave the report here.")
@click.option("--json", "as_data", is_flag=True, help="Print JSON, for programs.")
@click.option("--contract", "version", default="", help="Only what this version promised.")
@click.option("-k", "expression", default="", help="Only tests whose name matches.")
def conformance(  # noqa: PLR0917  (click passes them by name)
    url: str,
    tier: int,
    scale: float,
    workers: int,
    server: str,
    alternate: int | None,
    seed: int | None,
    report: Path | None,
    as_data: bool,  # noqa: FBT001  (a flag of the command line)
    version: str,
    expression: str,
) -> None:
    """Check the adapter that URL names against the contract."""
    try:
        contract(version)
        harness = harness_for(url, server)
    except (ValueError, LookupError) as error:
        raise click.UsageError(str(error)) from None
    capabilities = _capabilities(harness)
    seed = random.getrandbits(32) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="qcore-") as folder:
        place = report or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        options = [f"--qcore-tier={tier}", f"--qcore-scale={scale}", f"--qcore-seed={seed}"]
        options += ["-n", str(workers)] if workers else []
        options += ["-k", expression] if expression else []
        options += [f"--qcore-server={server}"] if server else []
        options += [] if alternate is None else [f"--qcore-alternate={alternate}"]
        options += [f"--qcore-contract={version}"] if version else []
        _run_suite(url, place, options)
        header = _header(url, capabilities, tier, seed)
        waivers = read_waivers(harness.waivers, datetime.now(UTC).date())
        notes = read_notes(place / "outcomes.json")
        tally = tallied(notes, capabilities, header, waivers=waivers, version=version)
        (place / "conformance.json").write_text(json.dumps(as_json(tally), indent=1))
        (place / "conformance.md").write_text(as_markdown(tally))
        (place / "conformance.html").write_text(as_html([as_json(tally)]))
    click.echo(json.dumps(as_json(tally)) if as_data else as_markdown(tally))
    click.echo(verdict(tally), err=True)
    sys.exit(0 if tally.conforms else _WITH_WAIVERS if tally.but_for_waivers else 1)


@click.command("conformance-page")
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=True)
)
@click.option(
    "--out", type=click.Path(path_type=Path), default="conformance.html", show_default=True
)
def conformance_page(folders: tuple[Path, ...], out: Path) -> None:
    """Put the reports that lie in some FOLDERS on one page."""
    reports = [json.loads((folder / "conformance.json").read_text()) for folder in folders]
    out.write_text(as_html(reports))
    click.echo(f"{len(reports)} reports on {out}")


def _run_suite(url: str, place: Path, options: list[str]) -> None:
    """Run pytest in a process of its own; the URL travels in the environment."""
    words = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    words += ["--pyargs", "qcore_conformance.suite", f"--junitxml={place / 'junit.xml'}"]
    words += [f"--qcore-notes={place / 'outcomes.json'}", *options]
    run = subprocess.run(  # noqa: S603  (no shell reads these words)
        words, env={**os.environ, "QCORE_URL": url}, capture_output=True, text=True, check=False
    )
    (place / "pytest.log").write_text(run.stdout + run.stderr)
    if not (place / "outcomes.json").exists():
        raise click.ClickException(
            f"the suite did not run:\n{run.stdout[-4000:]}{run.stderr[-2000:]}"
        )


def _capabilities(harness: Harness) -> Capabilities:
    """What the broker promises.

    Raises:
        QcoreError: If it cannot be had, of which the suite would only complain in each test.
    """
    harness.start()
    try:
        with qcore.connect(harness.url("facts")) as connection:
            return connection.capabilities
    finally:
        harness.stop()


def _header(url: str, capabilities: Capabilities, tier: int, seed: int) -> dict[str, object]:
    """Under what circumstances the suite was played."""
    return {
        "adapter": f"{capabilities.adapter}{mode_of(url)}",
        **suite_facts(),
        "server": dict(capabilities.facts),
        "tier": f"0-{tier} of 4",
        "seed": seed,
    }
