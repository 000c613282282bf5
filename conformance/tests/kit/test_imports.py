"""What the kit may lean on."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qcore_conformance

ROOT = Path(qcore_conformance.__file__).parent
KIT = [
    ROOT / f"{name}.py"
    for name in (
        "addresses", "binaries", "checker", "children", "client", "conversation", "events",
        "guarantees", "history", "operations", "pens", "pipes", "plans", "processes", "proxy",
        "report", "resp", "servers", "stories", "tls", "verdicts", "waiting",
    )
] + sorted((ROOT / "checks").glob("*.py"))  # fmt: skip


def imported(path: Path) -> Iterator[str]:
    """The packages that a module imports from outside."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("path", KIT, ids=lambda path: path.stem)
def test_the_kit_needs_the_standard_library_and_attrs_only(path: Path) -> None:
    """It judges adapters of any kind, so it depends on none, nor on what they use."""
    allowed = sys.stdlib_module_names | {"attrs", "qcore_conformance"}
    assert set(imported(path)) <= allowed
