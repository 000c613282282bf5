from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qcore_conformance.binaries import available_servers
from tools.full import DESIGNS, WITHIN, Run, play, reported, runs, table


def report(adapter: str, *, conforms: bool, **counts: int) -> dict[str, Any]:
    """What a run leaves, as far as the table reads it."""
    return {"header": {"adapter": adapter}, "conforms": conforms, "counts": counts}


def test_every_adapter_is_tried_on_every_server(tmp_path: Path) -> None:
    """What is not tried is not published as kept."""
    wanted = [run.name for run in runs(tmp_path)]
    served = len(DESIGNS) * len(available_servers())
    assert len(set(wanted)) == len(wanted) == len(WITHIN) + served + len(["sqlite"])


def test_a_run_has_a_line_that_says_how_it_ended() -> None:
    """What was not seen is counted apart from what passed."""
    good = (Run("memory://x", ""), report("memory", conforms=True, **{"pass": 5, "not run": 2}))
    bad = (Run("redis+list://", "redis-6"), report("redis+list", conforms=False, fail=1))
    assert table([good, bad]).splitlines()[2:] == [
        "| `memory` | - | conforms | 5 | 0 | 0 | 2 |",
        "| `redis+list` | redis-6 | **does not conform** | 0 | 0 | 0 | 0 |",
    ]


def test_runs_of_two_suites_are_not_put_into_one_table(tmp_path: Path) -> None:
    """One of them did not see what the other one asked."""
    chosen = [Run("memory://x", ""), Run("redis+list://", "redis-6"), Run("sqlite:///x", "")]
    _left(tmp_path, chosen[0], suite="0.1.0 (new)")
    _left(tmp_path, chosen[1], suite="0.1.0 (new)")
    assert [run for run, _ in reported(chosen, tmp_path)] == chosen[:2]

    _left(tmp_path, chosen[1], suite="0.1.0 (old)")
    with pytest.raises(SystemExit, match="several suites"):
        reported(chosen, tmp_path)


def test_a_run_that_broke_off_leaves_nothing_to_be_published(tmp_path: Path) -> None:
    """What an earlier run found is not what this one found."""
    broken = Run("memory://x", "")
    _left(tmp_path, broken, suite="0.1.0 (new)")

    with pytest.raises(SystemExit, match=r"memory: .*no-such-option"):
        play(broken, tmp_path, ["--no-such-option"])

    assert reported([broken], tmp_path) == []


def _left(reports: Path, run: Run, suite: str) -> None:
    """Leave the report of a run in its folder."""
    folder = reports / run.folder
    folder.mkdir(exist_ok=True)
    header = {"header": {"suite": suite, "tier": "0-4 of 4"}}
    (folder / "conformance.json").write_text(json.dumps(header))
