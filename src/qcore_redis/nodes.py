"""Nodes, and who knows which of them a command goes to.

In goes a key, out comes a node, or ``None`` while it is not known. Only ``locate`` does I/O, and
blocks for it; asyncio calls it in a thread. A port tells a locator what it met (a node that does
not answer, or says that it is the wrong one), and asks again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

from qcore_redis.faults import NotSent, Refused, SocketLost

__all__ = ["Locator", "Node", "OneNode", "Redirect"]


@attrs.frozen
class Node:
    """Where a server listens: a host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the library's connection classes."""
        return {"path": self.path} if self.path else {"host": self.host, "port": self.port}


@attrs.frozen
class Redirect:
    """Where a command belongs that a node refused.

    Attributes:
        node: The node to send it to.
        asking: Whether to say there that it was sent by the node that still has the slot.
    """

    node: Node
    asking: bool = False


class Locator(Protocol):
    """Knows the nodes. Safe to use from any thread."""

    def node(self, key: str = "") -> Node | None:
        """The node of a key; of no key: any. ``None`` until ``locate`` finds it out."""
        ...

    def primaries(self) -> Sequence[Node]:
        """Every node that stores, as far as known."""
        ...

    def locate(self) -> None:
        """Find out where the nodes are, starting a private server if need be.

        Raises:
            NotSent: If nobody could be asked.
            Refused: If whoever was asked refuses to say.
        """
        ...

    def doubt(self, node: Node, error: NotSent | SocketLost | Refused) -> None:
        """Something went wrong there: perhaps it is the node no longer."""
        ...

    def redirected(self, node: Node, error: Refused) -> Redirect | None:
        """Where to send what this node refused; ``None`` if the refusal is final."""
        ...

    def close(self) -> None:
        """Need them no longer; harmless twice."""
        ...


class OneNode:
    """A locator of one node; whoever derives from it finds it."""

    def __init__(self) -> None:
        self._found: Node | None = None

    def _find(self) -> Node:
        raise NotImplementedError

    def node(self, key: str = "") -> Node | None:
        """The node, whatever the key."""
        del key
        return self._found

    def primaries(self) -> Sequence[Node]:
        """The node."""
        found = self._found
        return [] if found is None else [found]

    def locate(self) -> None:
        """Find the node."""
        self._found = self._find()

    def doubt(self, node: Node, error: NotSent | SocketLost | Refused) -> None:
        """Find it again if it could not be reached."""
        if isinstance(error, NotSent) and self._found == node:
            self._found = None

    def redirected(self, node: Node, error: Refused) -> Redirect | None:
        """Nowhere else."""
        del node, error
        return None

    def close(self) -> None:
        """Nothing to give back."""
