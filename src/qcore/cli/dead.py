"""``qcore dead``: look at dead jobs, send them back or drop them."""

from __future__ import annotations

from collections.abc import Callable

import click

from qcore.cli.exits import Exit
from qcore.cli.jobs import DEAD_COLUMNS, every, inspected_row
from qcore.cli.shell import Shell, harmful, show_help_if_bare, verb, with_url
from qcore.queue import Queue
from qcore.states import State

__all__ = ["dead"]


@click.group(invoke_without_command=True)
@click.pass_context
def dead(ctx: click.Context) -> None:
    """Look at dead jobs, send them back or drop them."""
    show_help_if_bare(ctx)


@dead.command()
@click.argument("name", metavar="QUEUE")
@click.option("--limit", default=20, show_default=True, help="So many jobs at most.")
@click.option("--offset", default=0, help="So many are skipped.")
@with_url
@verb
def ls(shell: Shell, name: str, limit: int, offset: int, url: str | None) -> Exit:
    """List the dead jobs of a queue, and why they are dead."""
    with shell.connection(url) as connection:
        found = connection.queue(name).peek(State.DEAD.value, limit, offset)
        shell.screen.rows((inspected_row(name, one) for one in found), DEAD_COLUMNS)
    return Exit.OK


@dead.command()
@click.argument("name", metavar="QUEUE")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead jobs of the queue.")
@harmful
@with_url
@verb
def redrive(
    shell: Shell,
    name: str,
    *,
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    dry_run: bool,
    url: str | None,
) -> Exit:
    """Make dead jobs ready again, with their attempts counted from the start."""
    _check_choice(ids, everything=everything)
    with shell.connection(url) as connection:
        queue = connection.queue(name)
        chosen = _Chosen(shell, queue, ids, yes=yes, dry_run=dry_run)
        return chosen.change("redrive", "Make {} ready again?", lambda: queue.redrive(ids or None))


@dead.command()
@click.argument("name", metavar="QUEUE")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead jobs of the queue.")
@harmful
@with_url
@verb
def rm(
    shell: Shell,
    name: str,
    *,
    ids: tuple[str, ...],
    everything: bool,
    yes: bool,
    dry_run: bool,
    url: str | None,
) -> Exit:
    """Drop dead jobs for good."""
    _check_choice(ids, everything=everything)
    with shell.connection(url) as connection:
        queue = connection.queue(name)
        chosen = _Chosen(shell, queue, ids, yes=yes, dry_run=dry_run)
        return chosen.change(
            "rm",
            "Drop {} for good?",
            lambda: queue.remove(ids) if ids else queue.purge(State.DEAD.value),
        )


def _check_choice(ids: tuple[str, ...], *, everything: bool) -> None:
    if bool(ids) == everything:
        raise click.UsageError("name the ids of dead jobs, or give --all")


class _Chosen:
    """The dead jobs that the caller means: those named, or all."""

    def __init__(
        self, shell: Shell, queue: Queue, ids: tuple[str, ...], *, yes: bool, dry_run: bool
    ) -> None:
        self._shell = shell
        self._queue = queue
        self._ids = ids
        self._yes = yes
        self._dry_run = dry_run

    def change(self, action: str, question: str, act: Callable[[], int]) -> Exit:
        """Do something to them after asking; says whether there were any that were asked for."""
        if self._dry_run:
            count = self._count()
        else:
            which = f"{len(self._ids)} jobs" if self._ids else "all dead jobs"
            asked = question.format(f"{which} of {self._queue.name}")
            if not self._shell.agreed(asked, yes=self._yes):
                return Exit.NOTHING
            count = act()
        self._shell.done(action, self._queue.name, count, dry_run=self._dry_run)
        return Exit.NOTHING if self._ids and not count else Exit.OK

    def _count(self) -> int:
        if not self._ids:
            return self._queue.stats().dead
        wanted = set(self._ids)
        return sum(one.id in wanted for one in every(self._queue, State.DEAD))
