"""The verb ``qcore demo``: runs the designs one after the other and shows one table."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from qcore.cli.demo.designs import Design, compared, lesson
from qcore.cli.demo.race import Plan, Result, race
from qcore.cli.demo.words import default_folder, word_counts
from qcore.cli.exits import Exit
from qcore.cli.screen import Column, Row
from qcore.cli.shell import Shell, verb
from qcore.url import parse_url

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["demo", "result_row", "sentence"]

_COLUMNS = (
    Column("design", "design"),
    Column("enqueued", "enqueued", number=True),
    Column("done", "done", number=True),
    Column("redelivered", "redelivered", number=True),
    Column("twice", "twice", number=True),
    Column("lost", "lost", number=True),
    Column("words", "words_counted", number=True),
    Column(
        "recovery (s)",
        "recovery",
        number=True,
        show=lambda value: "never" if value is None else f"{value:.2f}",
    ),
)


def result_row(result: Result) -> Row:
    """One row of the table."""
    promised = result.design.promised(result.capabilities)
    return {
        "design": result.design.name,
        "adapter": result.capabilities.adapter,
        **attrs.asdict(result.outcome),
        "promised": promised,
        "kept": result.outcome.whole or not promised,
        "why": lesson(result.design, result.capabilities),
    }


def sentence(row: Row) -> str:
    """What a row says, in words."""
    if not row["kept"]:
        return (
            f"{row['design']} BROKE ITS PROMISE: it lost {row['lost']} jobs, and counted "
            f"{row['words_counted']} words instead of {row['words_expected']}."
        )
    loss = f"lost {row['lost']} jobs" if row["lost"] else "lost nothing"
    return f"{row['design']} {loss}: {row['why']}."


@contextlib.contextmanager
def _designs(url: str | None) -> Generator[list[Design]]:
    if url is not None:
        yield [Design(parse_url(url).scheme, url)]
        return
    with tempfile.TemporaryDirectory(prefix="qcore-demo-", ignore_cleanup_errors=True) as place:
        yield compared(place)


def _results(shell: Shell, designs: Sequence[Design], plan: Plan) -> Iterator[Result]:
    """Run the designs one after the other, with a bar for each if somebody watches."""
    console = shell.screen.console(remarks=True)
    if console.is_terminal and not shell.screen.as_json and not shell.screen.quiet:
        yield from _watched(console, designs, plan)
        return
    for design in designs:
        shell.screen.note(f"{design.name}: {len(plan.counts)} jobs")
        yield race(design, plan, _unwatched)


def _unwatched(doing: str, done: int) -> None:
    del doing, done


def _watched(console: Console, designs: Sequence[Design], plan: Plan) -> Iterator[Result]:
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description:<14}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[doing]}"),
    )
    with bars.Progress(*columns, console=console) as bar:
        for design in designs:
            task = bar.add_task(design.name, total=len(plan.counts), doing="")

            def show(doing: str, done: int, task: bars.TaskID = task) -> None:
                bar.update(task, completed=done, doing=doing)

            result = race(design, plan, show)
            bar.update(task, doing=f"lost {result.outcome.lost}")
            yield result


def _told(shell: Shell, results: Iterable[Result]) -> Iterator[Row]:
    """The rows, each shown at once to a program that reads them as they come."""
    for result in results:
        row = result_row(result)
        if shell.screen.as_json:
            shell.screen.rows([row], ())
        yield row


@click.command()
@click.argument(
    "folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--url", metavar="URL", help="Try this broker only; '-' for the one in QCORE_URL.")
@click.option(
    "--consumers", type=click.IntRange(2, 64), default=3, show_default=True, help="Processes."
)
@click.option(
    "--hold", type=click.IntRange(1, 100), default=5, show_default=True, help="Jobs of the dead."
)
@verb
def demo(shell: Shell, folder: Path | None, url: str | None, *, consumers: int, hold: int) -> Exit:
    """Kill a consumer that holds jobs, and see what each design loses.

    The words of every text file under FOLDER (the standard library's sources by default) are
    counted, one job a file, by several processes. One of them says that it holds jobs and is
    killed with SIGKILL. Exits with 1 if a design that promises at-least-once lost anything.
    """
    given = None if url is None else shell.url(url)
    plan = Plan(word_counts(folder or default_folder()), consumers, hold)
    with contextlib.redirect_stdout(sys.stderr), _designs(given) as designs:
        rows = list(_told(shell, _results(shell, designs, plan)))
    if not shell.screen.as_json:
        shell.screen.rows(rows, _COLUMNS)
        shell.screen.line("")
        shell.screen.line(f"The files have {sum(plan.counts.values())} words in all.")
        for row in rows:
            shell.screen.line(sentence(row))
    return Exit.OK if all(row["kept"] for row in rows) else Exit.NOTHING
