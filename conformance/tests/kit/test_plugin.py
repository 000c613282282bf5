"""What the plugin makes of tests that do not concern an adapter, in pytest's own words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

INTERRUPTS = """
def pytest_exception_interact(node):
    print("interrupted by", node.name)
"""


def test_what_does_not_concern_an_adapter_is_a_skip(tmp_path: Path) -> None:
    """It says why, and neither does a debugger stop there nor are sources looked through."""
    (tmp_path / "interrupts.py").write_text(INTERRUPTS)
    words = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "interrupts", "-c", os.devnull]
    words += ["-p", "no:cacheprovider", "--qcore-url=memory+pubsub://kit", "--pyargs"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(  # noqa: S603  (this very interpreter)
        [*words, "qcore_conformance.suite.test_leases"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "refuses: memory+pubsub does not claim 'lease'" in done.stdout
    assert "interrupted by" not in done.stdout
