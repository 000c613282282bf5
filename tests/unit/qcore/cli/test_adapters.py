from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qcore import registry
from qcore.capabilities import KNOWN
from tests.unit.qcore.cli.command import Command


def test_the_list_names_scheme_package_and_promises(shell: Command) -> None:
    """Somebody who chooses a broker sees at a glance what is there and what it promises."""
    lines = shell.run("adapters").stdout.splitlines()
    memory = next(line for line in lines if line.startswith("memory "))
    assert memory.split()[1] == "qcore-jobs"
    assert memory.split()[3:] == ["at_least_once", "none", "process", "fifo"]


def test_the_list_as_json_holds_every_capability_at_best(shell: Command) -> None:
    """Programs compare adapters without connecting to anything."""
    rows = {row["scheme"]: row for row in shell.rows("adapters")}
    memory = rows["memory"]
    assert memory["target"] == "qcore.memory:adapter"
    assert memory["problem"] is None
    assert memory["claims"]["fenced"] == {"value": True, "native": True, "why": ""}
    assert "gap" in memory["refusals"]
    assert memory["limits"]["body"] == 1 << 20


def test_an_adapter_that_cannot_be_imported_is_listed_with_the_reason(
    shell: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One broken package must not hide the others."""
    info = tmp_path / "qcore_acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: qcore-acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\nacme = qcore_acme_absent:adapter\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    rows = {row["scheme"]: row for row in shell.rows("adapters")}
    assert "cannot be imported" in rows["acme"]["problem"]
    assert rows["memory"]["problem"] is None
    assert shell.run("adapters").exit_code == 0


def test_with_a_url_every_known_capability_is_shown_with_the_reason(shell: Command) -> None:
    """What is not offered is as important as what is, and so is why."""
    lines = shell.run("adapters", shell.url).stdout.splitlines()
    shown = {line.split()[0]: line for line in lines if line}
    assert KNOWN.keys() <= shown.keys()
    assert shown["gap"].split()[1:3] == ["no", "no"]
    assert "a queue that stores misses nothing" in shown["gap"]
    assert shown["body"].split()[1] == str(1 << 20)


def test_with_a_url_as_json_there_is_one_object(shell: Command) -> None:
    """Here and at best, with limits and facts."""
    (row,) = shell.rows("adapters", "-")
    assert row["scheme"] == "memory"
    assert row["claims"]["delivery"]["value"] == "at_least_once"
    assert row["best"]["claims"].keys() >= row["claims"].keys()
    assert row["facts"] == {}


def test_a_requirement_that_is_not_met_ends_with_4(shell: Command) -> None:
    """A deployment can check in one line that its broker keeps what the program relies on."""
    assert shell.run("adapters", "-", "--require", "fenced").exit_code == 0
    result = shell.run("adapters", "-", "--require", "durability:process", "--require", "gap")
    assert result.exit_code == 4
    assert "durability:process" in result.stderr
    assert "gap" in result.stderr


def test_a_requirement_without_a_url_is_refused(shell: Command) -> None:
    """Without a broker there is nothing to compare it with."""
    assert shell.run("adapters", "--require", "fenced").exit_code == 2
