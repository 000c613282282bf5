"""The queue that everybody writes first: LPUSH on one side, BRPOP on the other.

It is here as a warning. BRPOP removes an element before anybody has worked on it, so its only
copy is in the consumer's memory, and dies with it; no other client ever learns that it was there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from qcore.connection import Connection
from qcore.errors import UnsupportedCapability

__all__ = ["NaiveQueue"]


@runtime_checkable
class _Client(Protocol):
    def execute_command(self, *words: Any) -> Any: ...


class NaiveQueue:
    """A list, with nothing to say who has what.

    Args:
        connection: A connection to a Redis or Valkey server.
        key: The list's key.

    Raises:
        UnsupportedCapability: If the broker is none that knows lists.
    """

    def __init__(self, connection: Connection, key: str) -> None:
        client = connection.native(object)
        if not isinstance(client, _Client):
            adapter = connection.capabilities.adapter
            raise UnsupportedCapability(adapter, "LPUSH", "there is no Redis client underneath")
        self._execute = client.execute_command
        self._key = key

    def push(self, items: Sequence[bytes]) -> None:
        """Append items."""
        self._execute("LPUSH", self._key, *items)

    def pop(self, timeout: float) -> bytes | None:
        """Remove the oldest item for good, waiting for it up to ``timeout`` seconds."""
        found = self._execute("BRPOP", self._key, timeout)
        return None if found is None else bytes(found[1])

    def clear(self) -> None:
        """Remove what is left."""
        self._execute("DEL", self._key)
