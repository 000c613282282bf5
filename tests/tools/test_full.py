from __future__ import annotations

from pathlib import Path
from typing import Any

from qcore_conformance.binaries import available_servers
from tools.full import DESIGNS, WITHIN, Run, runs, table


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
