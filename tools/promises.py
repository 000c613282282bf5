"""Write the table of promises into the pages that show it, from what the adapters themselves claim.

What they claim is compared with what they do by the conformance suite, in both directions; so the
table is as true as the suite. It stands between two comments, `promises` and `/promises`.

Usage: ``python tools/promises.py [--check]``; with ``--check`` nothing is written, and it exits
with 1 if a page is stale.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/concepts/guarantees.md")
OURS = "qcore-jobs"
BEGIN, END = "<!-- promises -->", "<!-- /promises -->"
AT_BEST = "durability"

Claims = Mapping[str, Mapping[str, Any]]


def claims() -> Mapping[str, Claims]:
    """What each adapter of this distribution claims at best, by its scheme."""
    words = [sys.executable, "-m", "qcore", "adapters", "--json"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout  # noqa: S603
    rows = [json.loads(line) for line in told.splitlines()]
    rows.sort(key=lambda row: str(row["delivery"]))  # those that keep jobs stand first
    return {row["scheme"]: row["claims"] for row in rows if row["package"].split()[0] == OURS}


def table(adapters: Mapping[str, Claims]) -> str:
    """The table in Markdown; capabilities that the same adapters have share a line."""
    lines = ["| promise | " + " | ".join(f"`{scheme}`" for scheme in adapters) + " |"]
    lines.append("|---" * (len(adapters) + 1) + "|")
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, values in _rows(adapters):
        if set(values) <= {"yes", "-"}:
            groups.setdefault(values, []).append(name)
        else:
            label = f"`{name}`, at best" if name == AT_BEST else f"`{name}`"
            lines.append(_line(label, values))
    for values, names in groups.items():
        lines.append(_line(", ".join(f"`{name}`" for name in names), values))
    return "\n".join(lines)


def _line(label: str, values: tuple[str, ...]) -> str:
    return f"| {label} | " + " | ".join(values) + " |"


def _rows(adapters: Mapping[str, Claims]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in dict.fromkeys(name for each in adapters.values() for name in each):
        yield name, tuple(_cell(each.get(name, {}).get("value")) for each in adapters.values())


def _cell(value: object) -> str:
    return "yes" if value is True else str(value or "-")


def main() -> None:
    """Do it."""
    wanted = f"{BEGIN}\n\n{table(claims())}\n\n{END}"
    stale: list[str] = []
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        fresh = re.sub(f"{BEGIN}.*?{END}", lambda _: wanted, text, flags=re.DOTALL)
        if BEGIN not in text:
            raise SystemExit(f"{page} has no {BEGIN}")
        if fresh != text:
            stale.append(page)
            if "--check" not in sys.argv[1:]:
                path.write_text(fresh, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        raise SystemExit(f"stale: {', '.join(stale)}; make promises writes them anew")


if __name__ == "__main__":
    main()
