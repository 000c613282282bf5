from __future__ import annotations

from pathlib import Path

import pytest

from tools import sizes


def write_functions(root: Path, *, short: int, long: int) -> None:
    """Write a module of functions with 2 and with 40 lines."""
    bodies = [1] * short + [39] * long
    text = "".join(
        f"def f{number}():\n" + "    pass\n" * lines for number, lines in enumerate(bodies)
    )
    (root / "src").mkdir()
    (root / "src" / "room.py").write_text(text)


def test_one_long_function_in_ten_is_let_through(tmp_path: Path) -> None:
    """Nine in ten is the promise, not all."""
    write_functions(tmp_path, short=9, long=1)

    assert sizes.main(tmp_path) == 0


def test_two_long_functions_in_ten_are_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The complaint says where to begin."""
    write_functions(tmp_path, short=8, long=2)

    assert sizes.main(tmp_path) == 1
    assert "src/room.py:17 f8 (40)" in capsys.readouterr().out


def test_a_docstring_is_not_counted(tmp_path: Path) -> None:
    """Explaining oneself costs nothing."""
    path = tmp_path / "room.py"
    path.write_text('def f():\n    """One.\n\n    Two.\n    """\n    return 1\n')

    assert [size.lines for size in sizes.function_sizes(tmp_path, path)] == [2]


def test_the_cap_holds_for_lua_and_for_tests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file is too unimportant to be read."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "take.lua").write_text("--\n" * 501)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_all.py").write_text("#\n" * 501)

    assert sizes.main(tmp_path) == 1
    printed = capsys.readouterr().out
    assert "src/take.lua has 501 lines" in printed
    assert "tests/test_all.py has 501 lines" in printed


def test_a_tree_without_code_has_nothing_too_large(tmp_path: Path) -> None:
    """An empty tree is no error."""
    assert sizes.main(tmp_path) == 0
