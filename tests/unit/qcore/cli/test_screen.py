from __future__ import annotations

import contextlib
import io

import pytest

from qcore.cli.screen import Column, Row, Screen

ROWS: list[Row] = [
    {"name": "a", "size": 3, "hidden": True},
    {"name": "b\x1b[2J", "size": None, "hidden": False},
]
COLUMNS = [Column("name", "name"), Column("size", "size", number=True)]


class Terminal(io.StringIO):
    """Something that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def shown(*, color: bool) -> str:
    """What a terminal gets of a table."""
    with contextlib.redirect_stdout(Terminal()) as terminal:
        Screen(as_json=False, quiet=False, color=color).rows(ROWS, COLUMNS)
    return terminal.getvalue()


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that knows colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_table_has_the_named_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Readers get what matters, and nothing that a terminal would obey."""
    Screen(as_json=False, quiet=False, color=True).rows(ROWS, COLUMNS)
    head, first, second = capsys.readouterr().out.splitlines()
    assert (head.split(), first.split()) == (["name", "size"], ["a", "3"])
    assert second.split() == ["b\\x1b[2J", "-"]


def test_json_has_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get everything, one object a line."""
    Screen(as_json=True, quiet=False, color=True).rows(ROWS, COLUMNS)
    assert capsys.readouterr().out.splitlines()[0] == '{"name": "a", "size": 3, "hidden": true}'


@pytest.mark.usefixtures("_terminal")
def test_a_terminal_gets_bold_heads() -> None:
    """A table is easier to read when its head stands out."""
    assert "\x1b[1m" in shown(color=True)


@pytest.mark.usefixtures("_terminal")
def test_colours_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the flag, and by the variable that all commands share."""
    assert "\x1b[3" not in shown(color=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(color=True)


def test_a_body_cannot_command_a_terminal() -> None:
    """Bytes go out as they are to a pipe, and are made safe for eyes."""
    with contextlib.redirect_stdout(Terminal()) as terminal:
        Screen(as_json=False, quiet=False, color=True).raw(b"\x1b[2J", newline=False)
    assert terminal.getvalue() == "\\x1b[2J\n"


def test_quiet_keeps_remarks_but_not_warnings_back(capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet caller still learns what is dangerous."""
    screen = Screen(as_json=False, quiet=True, color=True)
    screen.note("remark")
    screen.warn("danger at redis+list://u:c4n4ry@h")
    assert capsys.readouterr().err == "qcore: danger at redis+list://u:***@h\n"
