"""``qcore queue get``: take jobs, show them, and only then settle them."""

from __future__ import annotations

import contextlib

import click

from qcore.backend import Verb
from qcore.cli.exits import Exit
from qcore.cli.jobs import delivered_row
from qcore.cli.shell import Shell, seconds_of, verb, with_url
from qcore.consume.settlement import Settlement
from qcore.errors import LeaseLost, QcoreError
from qcore.queue import Delivery, Queue

__all__ = ["get"]


def _show(shell: Shell, found: list[Delivery], *, newline: bool) -> None:
    for delivery in found:
        if shell.screen.as_json:
            shell.screen.rows([delivered_row(delivery)], ())
        else:
            shell.screen.raw(delivery.job.body, newline=newline)
    shell.screen.flush()


def _settle(queue: Queue, found: list[Delivery], ending: Verb) -> None:
    held = queue.settle_many(Settlement(delivery, ending) for delivery in found)
    lost = [one.job.id for one, is_held in zip(found, held, strict=True) if not is_held]
    if lost:
        raise LeaseLost(
            f"shown, but no longer held: {', '.join(lost)}; somebody else may get them too; "
            "give a longer --lease"
        )


@click.command()
@click.argument("name", metavar="QUEUE")
@click.option("--limit", default=1, show_default=True, help="So many jobs at most.")
@click.option(
    "--timeout",
    type=seconds_of,
    default="0",
    metavar="TIME",
    help="How long to wait for the first.",
)
@click.option(
    "--lease", type=seconds_of, metavar="TIME", help="How long the jobs stay hidden meanwhile."
)
@click.option("--release", is_flag=True, help="Give them back instead of taking them out.")
@with_url
@verb
def get(
    shell: Shell,
    name: str,
    *,
    limit: int,
    timeout: float,
    lease: float | None,
    release: bool,
    url: str | None,
) -> Exit:
    """Take jobs out of a queue and show their bodies; exit with 1 if there was none.

    A job is settled after its body was written; if that fails it goes back. Several bodies are
    each followed by a newline.
    """
    with shell.connection(url) as connection:
        if release:
            connection.capabilities.need("release")
        queue = connection.queue(name)
        found = queue.reserve_many(limit, timeout, lease)
        try:
            _show(shell, found, newline=limit > 1)
        except BaseException:
            with contextlib.suppress(QcoreError):
                _settle(queue, found, Verb.RELEASE)
            raise
        _settle(queue, found, Verb.RELEASE if release else Verb.ACK)
    return Exit.OK if found else Exit.NOTHING
