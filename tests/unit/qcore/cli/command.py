"""The command line, typed within this process against a store in memory."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import attrs
from click.testing import CliRunner, Result

import qcore
from qcore.cli.app import cli

__all__ = ["Command", "command"]


@attrs.frozen
class Command:
    """The command ``qcore`` with a store that lives as long as ``connection``."""

    url: str
    connection: qcore.Connection

    def run(self, *words: str, stdin: bytes | None = None, url: str | None = None) -> Result:
        """Type a command; QCORE_URL names the store, or ``url`` if one is given."""
        env = {"QCORE_URL": self.url if url is None else url}
        return CliRunner().invoke(cli, words, input=stdin, env=env)

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


@contextmanager
def command() -> Generator[Command]:
    """A command with a store of its own."""
    url = f"memory://{secrets.token_hex(8)}"
    with qcore.connect(url) as connection:
        yield Command(url, connection)
