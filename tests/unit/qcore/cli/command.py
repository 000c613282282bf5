"""The command line, typed within this process against a store in memory."""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import attrs

import qcore
from qcore.cli import main

__all__ = ["Command", "Result", "command"]


@attrs.frozen
class Result:
    """How a command ended, and what it printed."""

    exit_code: int
    stdout_bytes: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        """The standard output as text."""
        return self.stdout_bytes.decode()

    @property
    def output(self) -> str:
        """All that was printed."""
        return self.stdout + self.stderr


def _stream(content: bytes = b"") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", write_through=True)


@attrs.frozen
class Command:
    """The command ``qcore`` with a store that lives as long as ``connection``."""

    url: str
    connection: qcore.Connection

    def run(self, *words: str, stdin: bytes | None = None, url: str | None = None) -> Result:
        """Type a command; QCORE_URL names the store, or ``url`` if one is given."""
        out, err = _stream(), _stream()
        with (
            patch.dict("os.environ", QCORE_URL=self.url if url is None else url),
            patch("sys.stdin", _stream(stdin or b"")),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(words)
        return Result(code, written(out), written(err).decode())

    def rows(self, *words: str, stdin: bytes | None = None) -> list[dict[str, Any]]:
        """Type a command with ``--json`` that must succeed; its lines."""
        result = self.run(*words, "--json", stdin=stdin)
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def bury(self, queue: str, *bodies: bytes) -> list[str]:
        """Put dead jobs into a queue; their ids."""
        line = self.connection.queue(queue)
        ids = line.enqueue_many(bodies)
        for delivery in line.reserve_many(len(bodies), timeout=0):
            delivery.dead_letter("no such address")
        return [str(one) for one in ids]


def written(stream: io.TextIOWrapper) -> bytes:
    """What was written to a stream."""
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


@contextmanager
def command() -> Generator[Command]:
    """A command with a store of its own."""
    url = f"memory://{secrets.token_hex(8)}"
    with qcore.connect(url) as connection:
        yield Command(url, connection)
