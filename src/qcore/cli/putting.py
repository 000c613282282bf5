"""``qcore queue put``: one job from an argument or the standard input, or one for each line."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import click

from qcore.cli.exits import Exit
from qcore.cli.screen import Row
from qcore.cli.shell import Shell, seconds_of, verb, with_url
from qcore.errors import InvalidInput
from qcore.job import JobId
from qcore.options import NewJob

__all__ = ["moment_of", "put"]

_BATCH = 100


def _headers(ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """Headers as ``name=value``."""
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", ctx, param)
    return dict(pair.split("=", 1) for pair in pairs)


def moment_of(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """A point in time as ISO 8601."""
    try:
        return None if value is None else datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no time such as 2030-01-31T08:00:00Z", ctx, param
        ) from None


def _encoded(body: bytes, codec: str) -> object:
    """The body as the queue's codec wants it: bytes, or the value that a JSON text says.

    Raises:
        InvalidInput: If it should be JSON and is not.
    """
    if codec == "bytes":
        return body
    try:
        return json.loads(body)
    except ValueError as error:
        raise InvalidInput(f"with codec {codec} the body must be JSON: {error}") from None


def _bodies(body: str | None, *, lines: bool) -> Iterator[bytes]:
    """The bodies that the caller gives, read while they come."""
    if body is not None and body != "-":
        if lines:
            raise click.UsageError("--lines reads the standard input; leave BODY out")
        yield os.fsencode(body)
        return
    if body is None and sys.stdin.isatty():
        raise click.UsageError("give BODY, or send it to the standard input")
    stdin = sys.stdin.buffer
    if lines:
        yield from (line.rstrip(b"\r\n") for line in stdin)
    else:
        yield stdin.read()


def _row(queue: str, stored: JobId) -> Row:
    return {
        "queue": queue,
        "id": str(stored),
        "created": stored.created,
        "receivers": stored.receivers,
    }


def _tell(shell: Shell, queue: str, ids: Iterable[JobId]) -> None:
    for stored in ids:
        if shell.screen.as_json:
            shell.screen.rows([_row(queue, stored)], ())
        shell.screen.line(stored)
        if not stored.created:
            shell.screen.note(f"{stored} was known already; nothing was stored")
        if stored.receivers == 0:
            shell.screen.note(f"nobody was listening; {stored} reached no one")


@click.command()
@click.argument("name", metavar="QUEUE")
@click.argument("body", required=False)
@click.option("--lines", is_flag=True, help="One job for each line of the standard input.")
@click.option("--header", "headers", multiple=True, callback=_headers, metavar="NAME=VALUE")
@click.option("--id", help="An id of your own; the same id again changes nothing.")
@click.option("--dedup", metavar="KEY", help="The same key again changes nothing for a while.")
@click.option(
    "--delay",
    type=seconds_of,
    default="0",
    metavar="TIME",
    help="Due after this time, such as 90s.",
)
@click.option("--at", callback=moment_of, metavar="ISO-TIME", help="Due at this time.")
@click.option("--priority", default=0, help="-4 to 4, larger is more urgent.")
@click.option(
    "--ttl", type=seconds_of, metavar="TIME", help="Dropped if not taken within this time."
)
@click.option("--tenant", metavar="NAME", help="On whose behalf; tenants take turns.")
@click.option("--front", is_flag=True, help="Before everything that waits on its level.")
@click.option("--codec", default="bytes", show_default=True, help="bytes, json or msgpack.")
@with_url
@verb
def put(
    shell: Shell,
    /,
    name: str,
    *,
    body: str | None,
    lines: bool,
    codec: str,
    url: str | None,
    **options: Any,
) -> Exit:
    """Enqueue BODY, or the standard input if BODY is left out or '-'; show the job's id.

    With the codecs json and msgpack the body is a JSON text.
    """
    if lines and options["id"]:
        raise click.UsageError("--id names one job, and --lines makes many")
    if lines and options["front"]:
        raise click.UsageError("--front makes one job the next, and --lines makes many")
    with shell.connection(url) as connection:
        queue = connection.queue(name, codec=codec)
        bodies = _bodies(body, lines=lines)
        while batch := list(itertools.islice(bodies, _BATCH)):
            jobs = [NewJob(_encoded(one, codec), **options) for one in batch]
            _tell(shell, name, queue.enqueue_many(jobs))
    return Exit.OK
