"""Hold every adapter to the whole contract on every server, and publish what was found.

Each run is a process of its own, with nothing scaled down; together they take hours. The report
goes into ``docs/conformance``: a table for the page, and the page that each cell opens.

Usage: ``python tools/full.py [--only WORD]… [--reports FOLDER] [OPTION…]``; a run takes part if its
name contains one of the words, and further options go to ``qcore conformance``. Reports stay in the
folder, and those that earlier runs left there are published as well: the hours can be split.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qcore_conformance.binaries import available_servers
from qcore_conformance.pages import as_html

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs/conformance/index.md"
PAGE = ROOT / "docs/conformance/extra/conformance-report.html"
BEGIN, END = "<!-- runs -->", "<!-- /runs -->"
DESIGNS = ("list://", "streams://", "streams://?mode=log", "pubsub://")
WITHIN = ("memory://conformance", "memory://conformance?mode=log", "memory+pubsub://conformance")


class Run(NamedTuple):
    """One adapter on one server; ``server`` is empty where there is none."""

    url: str
    server: str

    @property
    def folder(self) -> str:
        """What the folder of its report is called."""
        return re.sub(r"[^\w.+-]", "-", self.name)

    @property
    def name(self) -> str:
        """What it is called on the command line and in the table."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}{''.join(rest.partition('?')[1:])} {self.server}".strip()


def runs(folder: Path) -> Iterator[Run]:
    """Every adapter that this project has, on every server of this machine, the newest first."""
    yield from (Run(url, "") for url in WITHIN)
    for binary in reversed(available_servers()):
        yield from (Run(f"redis+{design}", binary.name) for design in DESIGNS)
    yield Run(f"sqlite://{folder}/jobs.db", "")


def play(run: Run, reports: Path, options: Sequence[str]) -> None:
    """Play one run, which leaves its report.

    Raises:
        SystemExit: If it leaves none; what an earlier run left there is gone then as well.
    """
    report = reports / run.folder
    (report / "conformance.json").unlink(missing_ok=True)
    words = [sys.executable, "-m", "qcore", "conformance", run.url, "--report", str(report)]
    words += [f"--server={run.server}"] if run.server else []
    done = subprocess.run([*words, *options], capture_output=True, text=True, check=False)  # noqa: S603
    said = f"{run.name}: {done.stderr.strip().splitlines()[-1]}"
    if not (report / "conformance.json").exists():
        raise SystemExit(said)
    print(said, flush=True)


def reported(chosen: Iterable[Run], reports: Path) -> list[tuple[Run, dict[str, Any]]]:
    """The reports of the runs that were played, now or before.

    Raises:
        SystemExit: If they are not of one suite, so that no table could hold them all.
    """
    files = [(run, reports / run.folder / "conformance.json") for run in chosen]
    found = [(run, json.loads(file.read_text())) for run, file in files if file.exists()]
    if len({(report["header"]["suite"], report["header"]["tier"]) for _, report in found}) > 1:
        raise SystemExit(f"{reports} has reports of several suites or tiers; remove the older ones")
    return found


def table(found: Sequence[tuple[Run, dict[str, Any]]]) -> str:
    """The table of the page, a line for each run."""
    lines = ["| adapter | server | verdict | passed | refused | not applicable | not run |"]
    lines.append("|---|---|---|---|---|---|---|")
    for run, report in found:
        counts = [report["counts"].get(name, 0) for name in ("pass", "refuses")]
        counts += [report["counts"].get(name, 0) for name in ("not applicable", "not run")]
        verdict = "conforms" if report["conforms"] else "**does not conform**"
        cells = [f"`{report['header']['adapter']}`", run.server or "-", verdict, *map(str, counts)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Do it; 1 if an adapter does not conform."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--reports", type=Path)
    known, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="qcore-") as temporary:
        folder = Path(temporary)
        reports: Path = known.reports or folder
        for run in runs(folder):
            if not known.only or any(word in run.name for word in known.only):
                play(run, reports, options)
        found = reported(runs(folder), reports)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(as_html([report for _, report in found]))
    header = found[0][1]["header"]
    told = f"Contract {header['contract']}, suite {header['suite']}, tiers {header['tier']}."
    told += f" Run with `{' '.join(options)}`." if options else ""
    fresh = f"{BEGIN}\n\n{told}\n\n{table(found)}\n\n{END}"
    text = re.sub(f"{BEGIN}.*?{END}", lambda _: fresh, TABLE.read_text(), flags=re.DOTALL)
    TABLE.write_text(text)
    return 0 if all(report["conforms"] for _, report in found) else 1


if __name__ == "__main__":
    sys.exit(main())
