"""How the command ends: one table from errors to exit codes, one place that prints errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

import attrs
import click

from qcore.cli.text import masked, plain
from qcore.errors import (
    AdapterConflict,
    AdapterNotFound,
    HistoryGone,
    Indeterminate,
    InvalidInput,
    LeaseLost,
    NotTracked,
    QcoreError,
    UnsupportedCapability,
)

__all__ = ["Exit", "Failure", "VerbUnusable", "failure_of", "report"]


class Exit(IntEnum):
    """The exit codes, which scripts may rely on."""

    OK = 0
    NOTHING = 1
    USAGE = 2
    BROKER = 3
    UNMET = 4
    INDETERMINATE = 5
    INTERRUPTED = 130
    PIPE = 141


_CODES: Mapping[type[BaseException], Exit] = MappingProxyType(
    {
        InvalidInput: Exit.USAGE,
        AdapterNotFound: Exit.UNMET,
        AdapterConflict: Exit.UNMET,
        HistoryGone: Exit.UNMET,
        NotTracked: Exit.NOTHING,
        UnsupportedCapability: Exit.UNMET,
        Indeterminate: Exit.INDETERMINATE,
        LeaseLost: Exit.INDETERMINATE,
        QcoreError: Exit.BROKER,
    }
)


class VerbUnusable(click.ClickException):
    """A verb of another package that cannot be used, and why."""

    exit_code = Exit.UNMET


@attrs.frozen
class Failure:
    """What is told about an error.

    Attributes:
        exit: The exit code.
        code: A stable word for programs.
        message: One sentence.
        retryable: Whether the very same command may succeed later.
    """

    exit: Exit
    code: str
    message: str
    retryable: bool = False


def failure_of(error: QcoreError | click.ClickException) -> Failure:
    """What an error means for whoever called the command."""
    if isinstance(error, click.UsageError):
        place = error.ctx.command_path if error.ctx else "qcore"
        message = f"{error.format_message().rstrip('.')}; see '{place} --help'"
        return Failure(Exit.USAGE, "usage", message)
    if isinstance(error, VerbUnusable):
        return Failure(Exit.UNMET, "verb-unusable", error.format_message())
    if isinstance(error, click.ClickException):
        return Failure(Exit.USAGE, "usage", error.format_message())
    exit_code = next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    return Failure(exit_code, error.code, str(error), error.retryable)


def report(failure: Failure, *, as_json: bool) -> None:
    """Print a failure to the standard error, without passwords, control characters or traceback."""
    message = plain(masked(failure.message.replace("\n", " ")))
    if as_json:
        fields = {"code": failure.code, "message": message, "retryable": failure.retryable}
        sys.stderr.write(json.dumps({"error": fields}) + "\n")
    else:
        sys.stderr.write(f"qcore: {message}\n")
