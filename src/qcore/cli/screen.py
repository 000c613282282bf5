"""What a verb shows: data on the standard output, as JSON Lines or a table; remarks on the other.

Goes in: rows as mappings. Comes out: one JSON object a line, or a table of the columns that suit
a reader. The standard output is taken when the screen is made, so that whatever else prints while
a verb works can be sent to the standard error without touching the data.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from qcore.cli.text import masked, plain

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Column", "Row", "Screen"]

Row = Mapping[str, Any]

_WIDE = 200


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


@attrs.frozen
class Column:
    """One column of a table.

    Attributes:
        head: Its title.
        key: Where its value is in a row.
        number: Whether it is set to the right.
        show: How a value becomes text.
    """

    head: str
    key: str
    number: bool = False
    show: Callable[[Any], str] = _shown


class Screen:
    """Shows rows, text and remarks in the way that the caller asked for.

    Args:
        as_json: JSON Lines instead of tables.
        quiet: No remarks.
        color: Colours, where the output is a terminal.
    """

    def __init__(self, *, as_json: bool, quiet: bool, color: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._color = color and not os.environ.get("NO_COLOR")
        self._out = sys.stdout

    def rows(self, rows: Iterable[Row], columns: Sequence[Column]) -> None:
        """Show rows: all their keys as JSON, or the named columns as a table."""
        if self.as_json:
            for row in rows:
                self._out.write(json.dumps(row) + "\n")
                self._out.flush()
        else:
            self._table(list(rows), columns)

    def _table(self, rows: Sequence[Row], columns: Sequence[Column]) -> None:
        from rich.table import Table
        from rich.text import Text

        if not rows:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(
                column.head, justify="right" if column.number else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(plain(column.show(row[column.key]))) for column in columns))
        self.console().print(table)

    def console(self, *, remarks: bool = False) -> Console:
        """A rich console for the data, or for remarks."""
        from rich.console import Console

        stream = sys.stderr if remarks else self._out
        return Console(
            file=stream,
            no_color=not self._color,
            highlight=False,
            width=None if stream.isatty() else _WIDE,
        )

    def line(self, text: str) -> None:
        """Show a line of text to a reader; a program that asked for JSON does not get it."""
        if not self.as_json:
            self._out.write(plain(text) + "\n")

    def raw(self, body: bytes, *, newline: bool) -> None:
        """Show bytes: as they are, or made safe where the output is a terminal."""
        if self._out.isatty():
            self._out.write(plain(body.decode(errors="backslashreplace")) + "\n")
            return
        self._out.flush()
        self._out.buffer.write(body + (b"\n" if newline else b""))

    def flush(self) -> None:
        """See that what was shown has left this process."""
        self._out.flush()

    def note(self, text: str) -> None:
        """Remark on something, on the standard error, unless the caller wants quiet."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Say on the standard error what even a quiet caller must know."""
        sys.stderr.write(f"qcore: {plain(masked(text))}\n")
