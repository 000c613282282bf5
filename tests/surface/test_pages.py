from __future__ import annotations

from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "conformance/**/*.md", "docs/**/*.md", "examples/**/*.md")
FENCES = Sybil(parsers=[PythonCodeBlockParser(), SkipParser()], path=str(ROOT), pattern="*.md")
PAGES = [
    page
    for pattern in PATTERNS
    for page in sorted(ROOT.glob(pattern))
    if any(FENCES.parse(page).examples())
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_python_fence_of_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader copies works, when it is copied from the top of the page to its end."""
    monkeypatch.chdir(tmp_path)

    for fence in FENCES.parse(page).examples():
        fence.evaluate()
