"""The verbs that this distribution adds to the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from qcore.errors import QcoreError
from qcore_conformance.commands import conformance


@pytest.mark.parametrize("url", ["nosuch://jobs", "redis+list://127.0.0.1:1?patience=100ms"])
def test_a_broker_that_cannot_be_had_is_an_error_before_anything_is_played(
    tmp_path: Path, url: str
) -> None:
    """The whole suite would only say the same of each of its tests."""
    done = CliRunner().invoke(conformance, [url, "--report", str(tmp_path / "report")])
    assert isinstance(done.exception, QcoreError)
    assert not (tmp_path / "report" / "pytest.log").exists()
