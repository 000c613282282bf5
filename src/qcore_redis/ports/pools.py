"""A pool of connections for each node, without a colour: whoever made a pool disconnects it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from qcore_redis.faults import Refused
from qcore_redis.nodes import Locator, Node

__all__ = ["HOPS", "Pools", "known_node"]

HOPS = 5
"""To how many nodes a command is sent that each of them sends on."""


class Pools:
    """The pools in use.

    Args:
        make: Makes the pool of a node, without any I/O.
    """

    def __init__(self, make: Callable[[Node], Any]) -> None:
        self._make = make
        self._pools: dict[Node, Any] = {}
        self._last: Any = None

    def of(self, node: Node) -> Any:
        """The pool of a node."""
        pool = self._pools.get(node)
        if pool is None:
            pool = self._last = self._pools.setdefault(node, self._make(node))
        return pool

    def uses(self, node: Node, pool: Any) -> bool:
        """Whether this is still the pool of that node."""
        return self._pools.get(node) is pool

    def only(self, nodes: Collection[Node]) -> list[Any]:
        """Forget the pools of all other nodes; says which these were."""
        return [self._pools.pop(node) for node in list(self._pools) if node not in nodes]

    def all(self) -> list[Any]:
        """Every pool."""
        return list(self._pools.values())

    @property
    def latest(self) -> Any:
        """The pool that was made last; ``None`` if there never was one."""
        return self._last


def known_node(locator: Locator, key: str) -> Node:
    """The node of a key, once it was asked for.

    Raises:
        Refused: If no node has it.
    """
    node = locator.node(key)
    if node is None:
        raise Refused("CLUSTERDOWN no node serves the slot of this queue")
    return node
