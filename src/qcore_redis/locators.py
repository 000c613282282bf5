"""How the nodes of each topology are found; the topology is the last word of a scheme."""

from __future__ import annotations

from pathlib import Path

from qcore.backend import Setup
from qcore.errors import InvalidUrl
from qcore_redis.embedded import EmbeddedServer
from qcore_redis.nodes import Locator, Node, OneNode

__all__ = ["locator_for"]

_PORT = 6379
_SENTINEL_PORT = 26379


class _Fixed(OneNode):
    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    def _find(self) -> Node:
        return self._node


class _PrivateServer(OneNode):
    """A user of a private server from the first need on, until it is closed."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._server: EmbeddedServer | None = None

    def _find(self) -> Node:
        if self._server is None:
            self._server = EmbeddedServer.open(self._directory)
        return Node(path=self._server.ensure())

    def close(self) -> None:
        """Stop using the server."""
        if self._server is not None:
            self._server.close()


def locator_for(setup: Setup) -> Locator:
    """How to find the nodes that a URL leads to; does no I/O.

    Raises:
        InvalidUrl: If the URL lacks what its topology needs, or says what it cannot have.
    """
    if setup.topology != "sentinel":
        _refuse_sentinel_words(setup)
    if setup.topology in ("unix", "embedded"):
        return _local(setup)
    if setup.topology == "sentinel":
        return _sentinel(setup)
    if setup.topology == "cluster":
        return _cluster(setup)
    nodes = _nodes(setup, _PORT)
    if len(nodes) > 1:
        scheme = setup.url.scheme
        raise InvalidUrl(f"{scheme} takes one host; several need +sentinel or +cluster")
    return _Fixed(nodes[0])


def _nodes(setup: Setup, port: int) -> list[Node]:
    hosts = setup.url.hosts or (("localhost", None),)
    return [Node(host or "localhost", given or port) for host, given in hosts]


def _local(setup: Setup) -> Locator:
    scheme, path = setup.url.scheme, setup.url.path
    if setup.secure:
        plain = scheme.replace("rediss", "redis", 1)
        raise InvalidUrl(f"{scheme} asks for TLS on a unix socket, which has none; use {plain}")
    if setup.url.hosts or not path.strip("/"):
        raise InvalidUrl(f"{scheme} takes an absolute path: {scheme}:///path")
    if setup.topology == "unix":
        return _Fixed(Node(path=path))
    return _PrivateServer(Path(path))


def _sentinel(setup: Setup) -> Locator:
    from qcore_redis.ports.sentinels import Sentinels

    scheme, name = setup.url.scheme, setup.url.path.strip("/")
    if not name or "/" in name:
        raise InvalidUrl(f"{scheme} takes the name of a primary: {scheme}://host:26379/name")
    if not setup.url.hosts:
        raise InvalidUrl(f"{scheme} takes the hosts of sentinels: {scheme}://host:26379/{name}")
    return Sentinels(setup, _nodes(setup, _SENTINEL_PORT), name)


def _cluster(setup: Setup) -> Locator:
    from qcore_redis.ports.cluster import Cluster

    scheme = setup.url.scheme
    if setup.url.path.strip("/") or setup.params["db"]:
        raise InvalidUrl(f"{scheme} takes hosts alone, since a cluster has no other databases")
    if not setup.url.hosts:
        raise InvalidUrl(f"{scheme} takes hosts of the cluster: {scheme}://host:7000,host:7001")
    return Cluster(setup, _nodes(setup, _PORT))


def _refuse_sentinel_words(setup: Setup) -> None:
    for name in ("sentinel_user", "sentinel_password"):
        if setup.params.get(name):
            raise InvalidUrl(f"parameter {name!r} belongs to URLs of the topology +sentinel")
