"""The scripts beside the packages: a small run of each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(script: str, *words: str, **env: str) -> str:
    """What a script prints; it must end well."""
    done = subprocess.run(  # noqa: S603 - no shell reads these words
        [sys.executable, str(ROOT / script), *words],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_benchmark_measures_every_case() -> None:
    """A line for each case, with its ratio to the bare loops."""
    lines = run("bench/throughput.py", "--jobs", "1000", "--rounds", "1").splitlines()

    assert lines[0].split() == ["case", "jobs/s", "ratio"]
    assert len(lines) == 11


def test_fairness_is_measured_with_and_without_a_backlog() -> None:
    """Three lines for each adapter; where nobody takes turns the wait is that for the backlog."""
    lines = run("bench/fairness.py", "--backlog", "300", "--seconds", "0.5").splitlines()

    assert lines[0].split()[0] == "adapter"
    assert [line.split()[0] for line in lines[1:]] == ["redis+list"] * 3 + ["redis+streams"] * 3


def test_killed_consumers_lose_nothing(tmp_path: Path) -> None:
    """The example counts what was lost, and ends with an error if that is anything."""
    url = f"redis+streams+embedded://{tmp_path}/server"

    said = run("examples/killed_consumers.py", "3", QCORE_URL=url, JOBS="600")

    assert "lost 0" in said


def test_two_services_each_get_everything(tmp_path: Path) -> None:
    """The example kills one of them, and ends with an error if the other felt it."""
    url = f"redis+streams+embedded://{tmp_path}/server?mode=log"

    said = run("examples/two_services.py", "500", QCORE_URL=url)

    assert "shipping: lost 0, done twice 0, redelivered 0" in said
    assert "the same" in said
