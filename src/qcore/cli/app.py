"""The command itself: finds verbs, imports only the one that is typed, ends with an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import click

from qcore.cli.exits import Exit, VerbUnusable, failure_of, report
from qcore.cli.plugins import load, plugins, refused
from qcore.cli.shell import show_help_if_bare
from qcore.errors import QcoreError
from qcore.url import nearest

__all__ = ["BUILT_IN", "Verbs", "cli", "run"]

BUILT_IN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "adapters": ("qcore.cli.adapters:adapters", "Show adapters and what they promise."),
        "dead": ("qcore.cli.dead:dead", "Look at dead jobs, send them back or drop them."),
        "demo": ("qcore.cli.demo.command:demo", "Kill a consumer and see what each design loses."),
        "job": ("qcore.cli.job:job", "Show, cancel or reschedule single jobs."),
        "queue": ("qcore.cli.queues:queue", "Look into queues, put jobs in, take jobs out."),
    }
)
"""Each verb with the place of its click command and a line of help."""


class Verbs(click.Group):
    """A group whose verbs are imported when they are typed; help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all verbs."""
        del ctx
        return sorted({*BUILT_IN, *(plugin.name for plugin in plugins())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one verb.

        Raises:
            click.UsageError: If there is none of that name.
            VerbUnusable: If the package that registers it is broken or not the only one.
        """
        try:
            return self._verb(ctx, cmd_name)
        except (click.UsageError, VerbUnusable):
            if ctx.resilient_parsing:
                return None
            raise

    def _verb(self, ctx: click.Context, name: str) -> click.Command:
        found = [plugin for plugin in plugins() if plugin.name == name]
        if name in BUILT_IN:
            if found and not ctx.resilient_parsing:
                sys.stderr.write(f"qcore: {refused(name, found, BUILT_IN)}\n")
            module, _, attribute = BUILT_IN[name][0].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        if not found:
            hint = nearest(name, self.list_commands(ctx))
            raise click.UsageError(f"there is no verb {name!r}{hint}", ctx)
        if why := refused(name, found, BUILT_IN):
            raise VerbUnusable(why)
        return load(found[0])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs, those of other packages with the package's name."""
        del ctx
        found = plugins()
        rows = [(name, line) for name, (_, line) in BUILT_IN.items()]
        for plugin in found:
            why = refused(plugin.name, found, BUILT_IN)
            rows.append((plugin.name, f"({why or f'of {plugin.package}'})"))
        with formatter.section("Verbs"):
            formatter.write_dl(rows)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, and end the process.

        Raises:
            SystemExit: Always.
        """
        words: Sequence[str] | None = args[0] if args else extra.pop("args", None)
        sys.exit(self.run(sys.argv[1:] if words is None else words))

    def run(self, words: Sequence[str]) -> int:
        """Run with exit codes and messages of qcore's own.

        Args:
            words: What stands after the command's name.

        Returns:
            The exit code.
        """
        argv = list(words)
        try:
            code: object = super().main(argv, prog_name="qcore", standalone_mode=False)
        except (QcoreError, click.ClickException) as error:
            failure = failure_of(error)
            report(failure, as_json="--json" in argv)
            return failure.exit
        except (click.Abort, KeyboardInterrupt):
            return Exit.INTERRUPTED
        return code if isinstance(code, int) else Exit.OK

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Understand what stands before the verb, and show help or version."""
        with _readers_may_leave(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Run one verb."""
        with _readers_may_leave(ctx):
            super().invoke(ctx)


@contextlib.contextmanager
def _readers_may_leave(ctx: click.Context) -> Generator[None]:
    """A reader that closes its end of the pipe is no error of ours."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not be written to the closed pipe when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        ctx.exit(Exit.PIPE)


def _show_version(ctx: click.Context, _: click.Parameter, value: object) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"qcore {version('qcore-jobs')}")
        ctx.exit()


@click.command(
    cls=Verbs,
    invoke_without_command=True,
    epilog="The broker is a URL: --url, or better the environment variable QCORE_URL.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A job queue in which the broker is chosen by a URL."""
    show_help_if_bare(ctx)


def run(argv: Sequence[str]) -> int:
    """Run the command line with these words; the exit code."""
    return cli.run(argv)
