from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import qcore
from qcore.cli.demo.designs import Design, compared
from qcore.cli.demo.race import Plan, race
from qcore.errors import UnsupportedCapability

HELD = 5


def plan(folder: Path) -> Plan:
    """Files of one to sixty words, three consumers, one of which dies."""
    counts: dict[Path, int] = {}
    for number in range(1, 61):
        path = folder / f"{number}.txt"
        path.write_text("word " * number)
        counts[path] = number
    return Plan(counts, consumers=3, hold=HELD, lease=1.0)


def silent(doing: str, done: int) -> None:
    """Nobody watches."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder for the files to be counted."""
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


@pytest.fixture
def designs(tmp_path: Path) -> dict[str, Design]:
    """The four designs on a private server."""
    return {design.name: design for design in compared(str(tmp_path / "data"))}


@pytest.mark.parametrize("name", ["redis+list", "redis+streams"])
def test_a_design_with_leases_loses_nothing(
    files: Path, designs: dict[str, Design], name: str
) -> None:
    """What the dead consumer held comes back, and every word is counted."""
    outcome = race(designs[name], plan(files), silent).outcome
    assert outcome.whole
    assert outcome.redelivered >= HELD
    assert outcome.recovery is not None
    assert 0 < outcome.recovery < 20


def test_the_naive_queue_loses_what_the_dead_one_held(
    files: Path, designs: dict[str, Design]
) -> None:
    """Exactly that: nothing else is wrong with it, which is why people trust it."""
    outcome = race(designs["LPUSH / BRPOP"], plan(files), silent).outcome
    assert (outcome.lost, outcome.redelivered, outcome.recovery) == (HELD, 0, None)


def test_pubsub_loses_what_was_sent_to_the_dead_one(
    files: Path, designs: dict[str, Design]
) -> None:
    """All that was dealt to it, since nothing is stored; the others lose nothing."""
    outcome = race(designs["redis+pubsub"], plan(files), silent).outcome
    assert (outcome.lost, outcome.redelivered) == (20, 0)


def test_nothing_stays_behind_on_the_broker(files: Path, designs: dict[str, Design]) -> None:
    """Somebody who tries the demo on a broker of their own finds it as it was."""
    design = designs["redis+streams"]
    with qcore.connect(design.url) as connection:
        race(design, plan(files), silent)
        counts = [connection.queue(name).stats() for name in connection.queues()]
    assert all(one.ready == one.held == one.delayed == one.dead == 0 for one in counts)


def test_a_store_inside_one_process_is_refused(files: Path) -> None:
    """The consumers are processes, and could not see its jobs."""
    with pytest.raises(UnsupportedCapability, match="are processes"):
        race(Design("memory", "memory://demo"), plan(files), silent)


def test_the_verb_shows_one_design_as_json(files: Path, designs: dict[str, Design]) -> None:
    """From the command line to the last word, with an exit code for continuous integration."""
    plan(files)
    url = designs["redis+list"].url
    done = subprocess.run(  # noqa: S603 - no shell reads these words
        [sys.executable, "-m", "qcore", "demo", str(files), "--url", url, "--json", "--quiet"],
        capture_output=True,
        check=True,
    )
    row = json.loads(done.stdout)
    assert (row["adapter"], row["enqueued"], row["lost"], row["kept"]) == (
        "redis+list",
        60,
        0,
        True,
    )
    assert row["words_counted"] == row["words_expected"] == sum(range(61))
