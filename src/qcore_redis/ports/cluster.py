"""Which node of a cluster has which slot: asked once, and again when a node says otherwise."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from redis.crc import key_slot

from qcore.backend import Setup
from qcore_redis.faults import NotSent, Refused, SocketLost, is_wrong_node
from qcore_redis.nodes import Node, Redirect
from qcore_redis.ports.asking import Ask, asked
from qcore_redis.ports.settings import connection_options

__all__ = ["Cluster", "SlotMap", "redirect_in", "slot_map"]


@attrs.frozen
class SlotMap:
    """Which node has a slot: ranges, and single slots that moved since.

    Attributes:
        firsts: The first slot of each range, rising.
        lasts: The last slot of each range.
        owners: The node of each range.
        moved: Slots of which a node said that they are elsewhere.
    """

    firsts: Sequence[int] = ()
    lasts: Sequence[int] = ()
    owners: Sequence[Node] = ()
    moved: Mapping[int, Node] = attrs.field(factory=dict[int, Node])

    def node(self, slot: int) -> Node | None:
        """The node of a slot; ``None`` if no range covers it."""
        if slot in self.moved:
            return self.moved[slot]
        at = bisect.bisect_right(self.firsts, slot) - 1
        return self.owners[at] if at >= 0 and slot <= self.lasts[at] else None

    def nodes(self) -> list[Node]:
        """Every node that has a slot."""
        return list(dict.fromkeys([*self.owners, *self.moved.values()]))

    def after_move(self, slot: int, node: Node) -> SlotMap:
        """The map once a slot is known to be elsewhere."""
        return attrs.evolve(self, moved={**self.moved, slot: node})


def slot_map(rows: Sequence[Any], asked_of: Node) -> SlotMap:
    """The map in the reply of CLUSTER SLOTS; a node that tells no host is the one asked."""
    ranges = sorted((int(first), int(last), _node(row, asked_of)) for first, last, row, *_ in rows)
    return SlotMap(
        [first for first, _, _ in ranges],
        [last for _, last, _ in ranges],
        [node for _, _, node in ranges],
    )


def _node(row: Sequence[Any], asked_of: Node) -> Node:
    host = bytes(row[0] or b"").decode()
    return Node(asked_of.host if host in ("", "?") else host, int(row[1]))


def redirect_in(answer: str, refused_by: Node) -> tuple[int, Redirect] | None:
    """The slot and the way that a MOVED or an ASK tells; ``None`` if the answer is neither."""
    code, _, rest = answer.partition(" ")
    slot, _, address = rest.partition(" ")
    host, _, port = address.strip().rpartition(":")
    if code not in ("MOVED", "ASK") or not (slot.isdigit() and port.isdigit()):
        return None
    node = Node(refused_by.host if host in ("", "?") else host, int(port))
    return int(slot), Redirect(node, asking=code == "ASK")


class Cluster:
    """A locator of the nodes of a cluster.

    Args:
        setup: What the URL said.
        seeds: Nodes to ask first; whichever answers knows all others.
        ask: Asks a node.
    """

    def __init__(self, setup: Setup, seeds: Sequence[Node], ask: Ask = asked) -> None:
        self._ask = ask
        self._setup = setup
        self._seeds = tuple(seeds)
        self._map = SlotMap()
        self._stale = True
        self._lock = threading.RLock()

    def node(self, key: str = "") -> Node | None:
        """The primary whose slot this is; without a key the first of all."""
        known = self._map
        if self._stale:
            return None
        if not key:
            return next(iter(known.owners), None)
        return known.node(key_slot(key.encode()))

    def primaries(self) -> Sequence[Node]:
        """Every node that has a slot."""
        return self._map.nodes()

    def locate(self) -> None:
        """Ask the nodes that are known, and then those of the URL, until one answers."""
        reasons: list[str] = []
        for node in dict.fromkeys([*self._map.nodes(), *self._seeds]):
            try:
                options = connection_options(self._setup, node)
                rows = self._ask(self._setup, options, ("CLUSTER", "SLOTS"))
            except (NotSent, SocketLost) as error:
                reasons.append(str(error))
                continue
            with self._lock:
                self._map, self._stale = slot_map(rows, node), False
            return
        raise NotSent(f"no node of the cluster answers: {'; '.join(reasons)}")

    def doubt(self, node: Node, error: NotSent | SocketLost | Refused) -> None:
        """Ask again where everything is, before the next command."""
        del node
        if not isinstance(error, Refused) or is_wrong_node(error) or "CLUSTERDOWN " in str(error):
            self._stale = True

    def redirected(self, node: Node, error: Refused) -> Redirect | None:
        """Where the slot is; remembered if it moved for good."""
        found = redirect_in(str(error), node)
        if found is None:
            return None
        slot, redirect = found
        if not redirect.asking:
            with self._lock:
                self._map = self._map.after_move(slot, redirect.node)
        return redirect

    def close(self) -> None:
        """Nothing to give back."""
