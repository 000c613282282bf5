from __future__ import annotations

import io
import sys

import click
import pytest

import qcore
from qcore.cli.screen import Screen
from qcore.cli.shell import Shell, seconds_of
from tests.unit.qcore.cli.command import Command


@pytest.mark.parametrize(
    ("text", "value"), [("2", 2), ("2.5s", 2.5), ("500ms", 0.5), ("5m", 300), ("1h", 3600)]
)
def test_times_are_written_as_in_urls(text: str, value: float) -> None:
    """One way to write a time is enough to remember."""
    assert seconds_of(text) == value


def test_what_is_no_time_is_refused() -> None:
    """A slip must not become a delay of zero."""
    with pytest.raises(click.BadParameter, match="500ms"):
        seconds_of("soon")


def test_without_a_url_the_message_names_the_variable(shell: Command) -> None:
    """The first thing that everybody forgets."""
    result = shell.run("queue", "ls", url="")
    assert result.exit_code == 2
    assert "QCORE_URL" in result.stderr


def test_a_url_on_the_command_line_wins(shell: Command) -> None:
    """What is typed is meant."""
    shell.connection.queue("mail").enqueue(b"x")
    result = shell.run("queue", "ls", "--url", shell.url, "--json", url="memory://other")
    assert result.stdout == '{"queue": "mail"}\n'


def test_a_store_that_dies_with_the_process_is_remarked_upon(shell: Command) -> None:
    """Somebody who tries memory:// learns why nothing stays; a quiet caller is spared."""
    assert "inside one process" in shell.run("queue", "ls").stderr
    assert shell.run("queue", "ls", "--quiet").stderr == ""


class Keyboard(io.StringIO):
    """Somebody who can be asked."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_somebody_who_can_be_asked_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    agreed: object,
) -> None:
    """And to press return alone destroys nothing; the question is no part of the data."""
    monkeypatch.setattr(sys, "stdin", Keyboard(answer))
    asked = Shell(Screen(as_json=False, quiet=False, color=True)).agreed("Drop it?", yes=False)
    assert asked is agreed
    out, err = capsys.readouterr()
    assert out.strip() == ""
    assert err.startswith("Drop it?")


def test_what_libraries_print_does_not_reach_the_data(
    shell: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard output is data alone, whatever else prints while a verb works."""

    def noisy(_: object) -> list[str]:
        sys.stdout.write("noise")
        return ["mail"]

    monkeypatch.setattr(qcore.Connection, "queues", noisy)
    result = shell.run("queue", "ls", "--json")
    assert result.stdout == '{"queue": "mail"}\n'
    assert "noise" in result.stderr
