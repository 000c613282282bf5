"""The report as a page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import qcore
from qcore_conformance.commands import conformance_page
from qcore_conformance.contract import contract
from qcore_conformance.outcomes import Outcome
from qcore_conformance.pages import as_html
from qcore_conformance.publishing import as_json
from qcore_conformance.tally import TestOutcome, tallied


def report(adapter: str = "acme", why: str = "<b>broken & lost</b>") -> dict[str, Any]:
    """A run in which something passed, something failed and much did not run."""
    with qcore.connect("memory://page") as connection:
        capabilities = connection.capabilities
    outcomes = [
        TestOutcome("test_it[sync]", ["Q-CORE-01"], Outcome.PASS, "", [("wake", 1.25, "ms")]),
        TestOutcome("test_that[sync]", ["Q-ACK-02"], Outcome.FAIL, why),
    ]
    header = {"adapter": adapter, "server": {"redis_version": "7.2.4", "valkey_version": "9.1.2"}}
    made: dict[str, Any] = json.loads(json.dumps(as_json(tallied(outcomes, capabilities, header))))
    return made


@pytest.fixture(scope="module")
def page() -> str:
    """The page over two adapters."""
    return as_html([report(), report("other")])


def test_a_page_needs_nothing_beside_itself(page: str) -> None:
    """It can be sent by mail and read without a network."""
    assert not re.findall(r"<script|<link|<img|url\(|@import|(?:src|href)=", page)


def test_every_cell_opens_what_it_stands_for(page: str) -> None:
    """Each button has its target, and each target is there once."""
    targets = re.findall(r'popovertarget="([^"]+)"', page)
    ids = re.findall(r'id="([^"]+)"', page)
    assert set(targets) <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_page_tells_of_every_invariant_for_every_adapter(page: str) -> None:
    """Of those that did not run as well: skip is never pass."""
    for name in contract():
        assert page.count(f'<span class="id">{name}</span>') == 2, name
    assert "DOES NOT CONFORM" in page
    assert "wake: 1.25 ms" in page
    assert "Valkey 9.1.2" in page


def test_what_a_test_says_is_text_and_nothing_else(page: str) -> None:
    """Whatever a broker put into an error."""
    assert "<b>broken" not in page
    assert "&lt;b&gt;broken &amp; lost&lt;/b&gt;" in page


def test_reports_of_several_runs_come_on_one_page(tmp_path: Path) -> None:
    """In the order in which they are named."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "conformance.json").write_text(json.dumps(report(name)))
    out = tmp_path / "page.html"
    words = [str(tmp_path / "two"), str(tmp_path / "one"), "--out", str(out)]
    done = CliRunner().invoke(conformance_page, words)
    assert done.exit_code == 0, done.output
    written = out.read_text()
    assert written.index('"adapter">two<') < written.index('"adapter">one<')
