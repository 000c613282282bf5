"""``qcore job``: what can be done to a single job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs
import click
import msgspec

from qcore.cli.exits import Exit
from qcore.cli.putting import moment_of
from qcore.cli.shell import Shell, seconds_of, show_help_if_bare, verb, with_url
from qcore.record import Record

__all__ = ["job"]


@click.group(invoke_without_command=True)
@click.pass_context
def job(ctx: click.Context) -> None:
    """Show, cancel or reschedule single jobs."""
    show_help_if_bare(ctx)


@job.command()
@click.argument("name", metavar="QUEUE")
@click.argument("job_id", metavar="ID")
@click.option("--wait", type=seconds_of, metavar="TIME", help="Wait so long for its end.")
@with_url
@verb
def show(shell: Shell, name: str, job_id: str, *, wait: float | None, url: str | None) -> Exit:
    """Show the record of a job that was enqueued with one."""
    with shell.connection(url) as connection:
        queue = connection.queue(name)
        record = queue.get(job_id) if wait is None else queue.wait(job_id, timeout=wait)
        for line in _lines(record):
            shell.screen.line(line)
        if shell.screen.as_json:
            shell.screen.rows([{"queue": name, **_row(record)}], ())
    return Exit.OK if wait is None or record.has_ended else Exit.NOTHING


def _row(record: Record) -> dict[str, object]:
    row = attrs.asdict(record, filter=attrs.filters.exclude("stored_result", "stored_report"))
    said = {"progress": record.progress, "meta": dict(record.meta)}
    return {**row, **said, "result": _readable(record.result)}


def _readable(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return msgspec.to_builtins(value)


def _lines(record: Record) -> Iterator[str]:
    """What a reader wants to know, what is not there left out."""
    row = _row(record)
    yield f"{record.id}: {record.state}"
    for name in ("number", "attempt", "crashes", "worker", "progress", "note", "result"):
        if row[name] not in (None, ""):
            yield f"  {name}: {row[name]}"
    for name, value in record.meta.items():
        yield f"  meta {name}: {value}"
    for one in record.tries:
        took = one.ended_at - one.taken_at
        end = f"{one.outcome} after {took:.3f} s"
        yield f"  delivery {one.number}: {end}{': ' if one.note else ''}{one.note}"


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
