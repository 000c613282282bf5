from __future__ import annotations

import subprocess
import sys

from tools import promises


def test_the_pages_show_what_the_adapters_claim_today() -> None:
    """A promise that is made or taken back has to be told."""
    words = [sys.executable, promises.__file__, "--check"]
    run = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  (no shell reads these words)
    assert run.returncode == 0, run.stderr


def test_capabilities_of_the_same_adapters_share_a_line() -> None:
    """The table stays one that can be read."""
    claims: dict[str, promises.Claims] = {
        "a": {"order": {"value": "fifo"}, "lease": {"value": True}, "peek": {"value": True}},
        "b": {"order": {"value": "none"}, "gap": {"value": True}},
    }
    assert promises.table(claims).splitlines()[2:] == [
        "| `order` | fifo | none |",
        "| `lease`, `peek` | yes | - |",
        "| `gap` | - | yes |",
    ]
