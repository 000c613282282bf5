from __future__ import annotations

from pathlib import Path

import pytest

from qcore.cli.demo.words import count_words, default_folder, is_text, word_counts
from qcore.errors import InvalidInput


def test_words_are_what_white_space_separates() -> None:
    """The same rule on both sides is all that the proof needs."""
    assert count_words(b" one two\n\tthree \xff\n") == 4
    assert count_words(b"") == 0


def test_a_nul_tells_that_it_is_no_text() -> None:
    """As grep and git tell it."""
    assert is_text("naïve".encode())
    assert not is_text(b"\x7fELF\0")


def test_text_files_of_a_folder_are_counted_in_order(tmp_path: Path) -> None:
    """Files in folders too; not hidden ones, not those of installed packages, not binaries."""
    contents = {
        "b.txt": b"one two",
        "a/c.md": b"three",
        "image.png": b"\0",
        ".hidden": b"x",
        ".git/config": b"x",
        "site-packages/p.py": b"x",
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "dangling").symlink_to("nowhere")
    assert word_counts(tmp_path) == {tmp_path / "b.txt": 2, tmp_path / "a/c.md": 1}


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    """There would be nothing to lose."""
    with pytest.raises(InvalidInput, match="no text file"):
        word_counts(tmp_path)


def test_every_machine_has_something_to_count() -> None:
    """The default is the sources of the standard library, and those alone."""
    counts = word_counts(default_folder())
    assert len(counts) > 300
    assert {path.suffix for path in counts} == {".py"}
