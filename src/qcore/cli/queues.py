"""``qcore queue``: look into queues, put jobs in, take jobs out."""

from __future__ import annotations

import attrs
import click

from qcore.cli.exits import Exit
from qcore.cli.getting import get
from qcore.cli.jobs import DEAD_COLUMNS, PEEK_COLUMNS, inspected_row
from qcore.cli.putting import put
from qcore.cli.screen import Column
from qcore.cli.shell import Shell, harmful, show_help_if_bare, verb, with_url
from qcore.consume.inspect import checked_state
from qcore.states import State

__all__ = ["queue"]

_COUNTS = tuple(
    Column(state, state, number=True)
    for state in ("ready", "delayed", "held", "dead", "enqueued", "acked", "dropped", "outbox")
)
_PAUSED = Column("paused", "paused", show=lambda paused: "yes" if paused else "")


@click.group(invoke_without_command=True)
@click.pass_context
def queue(ctx: click.Context) -> None:
    """Look into queues, put jobs in, take jobs out."""
    show_help_if_bare(ctx)


queue.add_command(get)
queue.add_command(put)


@queue.command()
@with_url
@verb
def ls(shell: Shell, url: str | None) -> Exit:
    """List the queues that the broker keeps."""
    with shell.connection(url) as connection:
        rows = [{"queue": name} for name in connection.queues()]
        shell.screen.rows(rows, [Column("queue", "queue")])
    return Exit.OK


@queue.command()
@click.argument("names", metavar="[QUEUE]...", nargs=-1)
@with_url
@verb
def stats(shell: Shell, names: tuple[str, ...], url: str | None) -> Exit:
    """Count jobs by state, in all queues or in those named, and say which are paused."""
    with shell.connection(url) as connection:
        rows = [
            {"queue": name, **attrs.asdict(connection.queue(name).stats())}
            for name in names or connection.queues()
        ]
        shell.screen.rows(rows, [Column("queue", "queue"), *_COUNTS, _PAUSED])
    return Exit.OK


@queue.command()
@click.argument("name", metavar="QUEUE")
@click.option("--state", default="ready", show_default=True, help="ready, delayed, held or dead.")
@click.option("--limit", default=20, show_default=True, help="So many jobs at most.")
@click.option("--offset", default=0, help="So many are skipped.")
@with_url
@verb
def peek(shell: Shell, name: str, *, state: str, limit: int, offset: int, url: str | None) -> Exit:
    """Look at jobs without touching them, the next one first."""
    with shell.connection(url) as connection:
        found = connection.queue(name).peek(state, limit, offset)
        columns = DEAD_COLUMNS if state == State.DEAD else PEEK_COLUMNS
        shell.screen.rows((inspected_row(name, one) for one in found), columns)
    return Exit.OK


@queue.command()
@click.argument("name", metavar="QUEUE")
@click.option("--state", default="ready", show_default=True, help="ready, delayed or dead.")
@harmful
@with_url
@verb
def purge(
    shell: Shell, name: str, state: str, *, yes: bool, dry_run: bool, url: str | None
) -> Exit:
    """Drop all jobs in one state."""
    checked = checked_state(state, purge=True)
    with shell.connection(url) as connection:
        line = connection.queue(name)
        count: int = getattr(line.stats(), checked.value)
        if not dry_run:
            if not shell.agreed(f"Drop the {count} {checked} jobs of {name}?", yes=yes):
                return Exit.NOTHING
            count = line.purge(checked.value)
        shell.done("purge", name, count, dry_run=dry_run)
    return Exit.OK


@queue.command()
@click.argument("name", metavar="FROM")
@click.argument("to", metavar="TO")
@click.option("--state", default="ready", show_default=True, help="ready, delayed or dead.")
@click.option("--limit", type=int, help="So many jobs at most; all by default.")
@with_url
@verb
def move(
    shell: Shell, name: str, to: str, *, state: str, limit: int | None, url: str | None
) -> Exit:
    """Bring jobs of a queue to another one; dead ones are ready there."""
    with shell.connection(url) as connection:
        count = connection.queue(name).move(to, state, limit)
        shell.screen.line(f"moved: {count} {state} jobs of {name} to {to}")
        if shell.screen.as_json:
            row = {"queue": name, "to": to, "action": "move", "state": state, "count": count}
            shell.screen.rows([row], ())
    return Exit.OK


@queue.command()
@click.argument("name", metavar="QUEUE")
@with_url
@verb
def pause(shell: Shell, name: str, url: str | None) -> Exit:
    """Deliver no jobs of a queue until it is resumed."""
    with shell.connection(url) as connection:
        connection.queue(name).pause()
        shell.steered("paused", name, paused=True)
    return Exit.OK


@queue.command()
@click.argument("name", metavar="QUEUE")
@with_url
@verb
def resume(shell: Shell, name: str, url: str | None) -> Exit:
    """Deliver jobs of a queue again, and wake those who wait."""
    with shell.connection(url) as connection:
        connection.queue(name).resume()
        shell.steered("resumed", name, paused=False)
    return Exit.OK
