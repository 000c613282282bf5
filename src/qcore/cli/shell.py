"""What all verbs share: their common options, the connection, and the question before harm."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Generator, Iterable
from typing import Any, Concatenate, ParamSpec

import click

from qcore.cli.exits import Exit
from qcore.cli.screen import Screen
from qcore.cli.text import masked
from qcore.connection import Connection, connect
from qcore.errors import InvalidUrl
from qcore.url import Parameter, Url, typed

__all__ = ["Shell", "harmful", "seconds_of", "show_help_if_bare", "verb", "with_url"]

P = ParamSpec("P")

VARIABLE = "QCORE_URL"


_TIME = Parameter("time", "seconds", 0.0, "")


def seconds_of(text: str) -> float:
    """A time as in URLs, in seconds: ``2``, ``2s``, ``500ms``, ``5m``.

    Raises:
        click.BadParameter: If it is none.
    """
    try:
        return float(typed(Url("qcore", params={"time": text}), [_TIME])["time"])
    except InvalidUrl:
        raise click.BadParameter(f"{text!r} is no time such as 30, 30s, 500ms or 5m") from None


class Shell:
    """What a verb works with.

    Attributes:
        screen: Where it shows things.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def url(self, given: str | None) -> str:
        """The broker's URL: as given, or of the environment if nothing or ``-`` was given.

        Raises:
            click.UsageError: If there is none.
        """
        if given and given != "-":
            if masked(given) != given:
                self.screen.warn(
                    "a password on the command line can be seen by every user of this machine; "
                    f"put the URL into the environment variable {VARIABLE} instead"
                )
            return given
        url = os.environ.get(VARIABLE)
        if not url:
            raise click.UsageError(f"no broker is named: set {VARIABLE} or give --url")
        return url

    @contextlib.contextmanager
    def connection(self, given: str | None, require: Iterable[str] = ()) -> Generator[Connection]:
        """An open connection; what others print meanwhile goes to the standard error.

        Raises:
            QcoreError: As ``connect``.
        """
        url = self.url(given)
        with contextlib.redirect_stdout(sys.stderr), connect(url, require=require) as connection:
            if connection.capabilities.value("scope") == "process":
                self.screen.note(
                    f"{connection.capabilities.adapter} keeps its jobs inside one process: "
                    "what this command stores ends with it"
                )
            yield connection

    def agreed(self, question: str, *, yes: bool) -> bool:
        """Whether to go on with something that cannot be undone.

        Raises:
            click.UsageError: If nobody is there to be asked.
        """
        if yes:
            return True
        if self.screen.as_json or not sys.stdin.isatty():
            raise click.UsageError(f"{question} Add --yes to do it, --dry-run to look first")
        return click.confirm(question, err=True)

    def done(self, action: str, queue: str, count: int, *, dry_run: bool) -> None:
        """Show how many jobs of a queue something was done to, or would have been."""
        row = {"queue": queue, "action": action, "count": count, "dry_run": dry_run}
        would = "would " if dry_run else ""
        self.screen.line(f"{would}{action}: {count} jobs of {queue}")
        if self.screen.as_json:
            self.screen.rows([row], ())

    def steered(self, action: str, queue: str, **facts: object) -> None:
        """Show what became of a queue."""
        self.screen.line(f"{action}: {queue}")
        if self.screen.as_json:
            self.screen.rows([{"queue": queue, **facts}], ())


def verb(function: Callable[Concatenate[Shell, P], Exit]) -> Callable[..., None]:
    """Give a verb the options that all have, a shell, and its exit code."""

    @click.option("--json", "as_json", is_flag=True, help="JSON Lines, for programs.")
    @click.option("--quiet", "-q", is_flag=True, help="No remarks on the standard error.")
    @click.option("--no-color", is_flag=True, help="No colours; NO_COLOR does the same.")
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, quiet: bool, no_color: bool, **kwargs: Any) -> None:
        shell = Shell(Screen(as_json=as_json, quiet=quiet, color=not no_color))
        code = function(shell, *args, **kwargs)
        shell.screen.flush()
        click.get_current_context().exit(code)

    return wrapped


with_url = click.option(
    "--url", metavar="URL", help=f"The broker; by default, and better, in {VARIABLE}."
)
"""The option that names the broker."""


def harmful(function: Callable[P, None]) -> Callable[P, None]:
    """Give a verb that destroys the options ``--yes`` and ``--dry-run``."""
    with_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
    with_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
    return with_yes(with_dry_run(function))


def show_help_if_bare(ctx: click.Context) -> None:
    """Show what there is to a caller who typed a noun without a verb."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
