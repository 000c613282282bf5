"""Asks sentinels for the primary that they watch, each time that it may have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qcore.backend import Setup
from qcore_redis.faults import NotSent, Refused, SocketLost, is_wrong_node
from qcore_redis.nodes import Node, OneNode
from qcore_redis.ports.asking import Ask, asked
from qcore_redis.ports.settings import connection_options, transport_options

__all__ = ["Sentinels"]


class Sentinels(OneNode):
    """A locator of the primary of one name; the sentinel that answered is asked first.

    Args:
        setup: What the URL said.
        sentinels: Where they listen.
        name: By which name they know the primary.
        ask: Asks a sentinel, or the server that it names.
    """

    def __init__(
        self, setup: Setup, sentinels: Sequence[Node], name: str, ask: Ask = asked
    ) -> None:
        super().__init__()
        self._ask = ask
        self._setup = setup
        self._sentinels = list(sentinels)
        self._name = name

    def doubt(self, node: Node, error: NotSent | SocketLost | Refused) -> None:
        """Ask again after every lost connection, and when it says that it is no primary."""
        if self._found == node and (not isinstance(error, Refused) or is_wrong_node(error)):
            self._found = None

    def _find(self) -> Node:
        reasons: list[str] = []
        unknown = 0
        for sentinel in list(self._sentinels):
            try:
                address = self._named_by(sentinel)
                if address is None:
                    unknown += 1
                    continue
                primary = Node(address[0].decode(), int(address[1]))
                if self._is_primary(primary):
                    self._sentinels.remove(sentinel)
                    self._sentinels.insert(0, sentinel)
                    return primary
                reasons.append(f"{primary.host}:{primary.port} is no primary yet")
            except (NotSent, SocketLost) as error:
                reasons.append(str(error))
        if unknown and not reasons:
            raise Refused(f"no sentinel knows a primary by the name {self._name!r}")
        raise NotSent(f"no sentinel names a primary {self._name!r}: {'; '.join(reasons)}")

    def _named_by(self, sentinel: Node) -> Any:
        params = self._setup.params
        options = transport_options(self._setup, sentinel) | {
            "username": params["sentinel_user"] or None,
            "password": params["sentinel_password"] or None,
            "protocol": 2,
        }
        return self._ask(self._setup, options, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name))

    def _is_primary(self, node: Node) -> bool:
        """Whether it says so itself: a sentinel may be behind."""
        try:
            role = self._ask(self._setup, connection_options(self._setup, node), ("ROLE",))
        except Refused as error:
            if "NOPERM" in str(error):
                return True
            raise
        return bool(role[0] == b"master")
