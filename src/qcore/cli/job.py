"""``qcore job``: what can be done to a single job."""

from __future__ import annotations

from datetime import datetime

import click

from qcore.cli.exits import Exit
from qcore.cli.putting import moment_of
from qcore.cli.shell import Shell, seconds_of, show_help_if_bare, verb, with_url

__all__ = ["job"]


@click.group(invoke_without_command=True)
@click.pass_context
def job(ctx: click.Context) -> None:
    """Cancel or reschedule single jobs."""
    show_help_if_bare(ctx)


@job.command()
@click.argument("name", metavar="QUEUE")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@with_url
@verb
def cancel(shell: Shell, name: str, ids: tuple[str, ...], *, yes: bool, url: str | None) -> Exit:
    """Drop jobs for good, also those that somebody works on."""
    if not shell.agreed(f"Drop {', '.join(ids)} of {name} for good?", yes=yes):
        return Exit.NOTHING
    with shell.connection(url) as connection:
        queue = connection.queue(name)
        states = {job_id: queue.cancel(job_id) for job_id in ids}
        for job_id, state in states.items():
            shell.screen.line(f"{job_id}: {state or 'not there'}")
        if shell.screen.as_json:
            rows = ({"queue": name, "id": one, "was": states[one]} for one in ids)
            shell.screen.rows(rows, ())
    return Exit.OK if all(states.values()) else Exit.NOTHING


@job.command()
@click.argument("name", metavar="QUEUE")
@click.argument("job_id", metavar="ID")
@click.option("--delay", type=seconds_of, metavar="TIME", help="Due after this time from now.")
@click.option("--at", callback=moment_of, metavar="ISO-TIME", help="Due at this time.")
@with_url
@verb
def reschedule(
    shell: Shell,
    name: str,
    job_id: str,
    *,
    delay: float | None,
    at: datetime | None,
    url: str | None,
) -> Exit:
    """Make a delayed job due at another time."""
    with shell.connection(url) as connection:
        done = connection.queue(name).reschedule(job_id, delay=delay, at=at)
        shell.screen.line(f"{job_id}: {'rescheduled' if done else 'not delayed'}")
        if shell.screen.as_json:
            shell.screen.rows([{"queue": name, "id": job_id, "rescheduled": done}], ())
    return Exit.OK if done else Exit.NOTHING
