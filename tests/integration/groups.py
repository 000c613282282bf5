"""Servers that work together: a primary with a replica under sentinels, and a cluster of three."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager

import attrs
from redis.crc import key_slot

import qcore
from qcore_conformance.client import ServerError
from qcore_conformance.resp import Value
from qcore_conformance.servers import Binary, Server, Setting
from qcore_conformance.waiting import wait_until
from tests.integration.stage import as_bytes

__all__ = ["NAME", "Cluster", "Watched", "cluster_of_three", "watched_pair"]

NAME = "jobs"
"""By which name the sentinels know the primary."""
PASSWORD = "hush-hush"
SLOTS = 16384


@attrs.frozen
class Watched:
    """A primary with a replica, and three sentinels that watch them.

    Attributes:
        servers: The two that store; which of them is the primary changes.
        sentinels: Those that watch, each of them with a password.
    """

    servers: list[Server]
    sentinels: list[Server]

    def url(self, adapter: str, **params: object) -> str:
        """A URL that names the sentinels."""
        hosts = ",".join(f"127.0.0.1:{one.tcp.port}" for one in self.sentinels)
        words = {"sentinel_password": PASSWORD, **params}
        query = "&".join(f"{name}={value}" for name, value in words.items())
        return f"{adapter}+sentinel://{hosts}/{NAME}?{query}"

    def primary(self) -> Server:
        """The primary that the first sentinel which answers names."""
        for sentinel in self.sentinels:
            try:
                reply = sentinel.cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            except OSError:
                continue
            assert isinstance(reply, list)
            port = int(as_bytes(reply[1]))
            return next(one for one in self.servers if one.tcp.port == port)
        raise AssertionError("no sentinel answers")

    def replica(self) -> Server:
        """The other one."""
        primary = self.primary()
        return next(one for one in self.servers if one is not primary)

    def catch_up(self) -> None:
        """Wait until the replica has heard all that the primary was told."""
        with self.primary().connect() as raw:
            # What is waited for is the last write of this very connection.
            raw.call("SET", "caught-up", "yes")
            wait_until(lambda: raw.call("WAIT", 1, 100) == 1, within=40.0, what="replica caught up")

    def revive(self, dead: Server) -> None:
        """Start one that was killed, as the replica that the sentinels would make of it."""
        wait_until(lambda: self.primary() is not dead, within=40.0, what="another is primary")
        dead.settings["replicaof"] = ("127.0.0.1", self.primary().tcp.port)
        dead.start()
        self.catch_up()

    def fail_over(self) -> None:
        """Let the sentinels exchange the two, and wait until they agree that it is done."""
        before = self.primary()
        wait_until(lambda: said(self.sentinels[0]), within=30.0, what="failover begins")
        wait_until(lambda: self.primary() is not before, within=30.0, what="another is primary")


def said(sentinel: Server) -> bool:
    """Whether a sentinel begins a failover; it does not while it knows too little."""
    try:
        sentinel.cli("SENTINEL", "FAILOVER", NAME)
    except ServerError as error:
        if "NOGOODSLAVE" in str(error) or "INPROG" in str(error):
            return False
        raise
    return True


@contextmanager
def watched_pair(binary: Binary | None = None) -> Generator[Watched]:
    """Two servers that replicate, and three sentinels that know each other and them."""
    with ExitStack() as stack:
        first = stack.enter_context(Server(binary, port=True))
        settings: dict[str, Setting] = {"replicaof": ("127.0.0.1", first.tcp.port)}
        second = stack.enter_context(Server(binary, port=True, settings=settings))
        watch: dict[str, Setting] = {
            "sentinel monitor": (NAME, "127.0.0.1", first.tcp.port, 2),
            f"sentinel down-after-milliseconds {NAME}": 1500,
            f"sentinel failover-timeout {NAME}": 3000,
            "sentinel sentinel-pass": PASSWORD,
        }
        sentinels = [
            stack.enter_context(
                Server(binary, port=True, settings=watch, password=PASSWORD, sentinel=True)
            )
            for _ in range(3)
        ]
        for sentinel in sentinels:
            wait_until(knows_all(sentinel), within=30.0, what="sentinels know each other")
        yield Watched([first, second], sentinels)


def knows_all(sentinel: Server) -> Callable[[], bool]:
    """Whether a sentinel knows the replica and both others."""

    def known() -> bool:
        reply = sentinel.cli("SENTINEL", "MASTER", NAME)
        assert isinstance(reply, list)
        facts = dict(zip(reply[::2], reply[1::2], strict=True))
        return facts[b"num-slaves"] == b"1" and facts[b"num-other-sentinels"] == b"2"

    return known


@attrs.frozen
class Cluster:
    """Three nodes that share the slots between them, without replicas.

    Attributes:
        servers: The nodes.
        ids: By which ids they know each other.
    """

    servers: list[Server]
    ids: list[str]

    def url(self, adapter: str, **params: object) -> str:
        """A URL that names two of the nodes."""
        hosts = ",".join(f"127.0.0.1:{one.tcp.port}" for one in self.servers[:2])
        query = "&".join(f"{name}={value}" for name, value in params.items())
        return f"{adapter}+cluster://{hosts}?{query}"

    def owner(self, key: str) -> int:
        """The place of the node that has the slot of a key."""
        rows = self.servers[0].cli("CLUSTER", "SLOTS")
        assert isinstance(rows, list)
        return next(self._place(row) for row in rows if has_slot(row, key_slot(key.encode())))

    def _place(self, row: Value) -> int:
        assert isinstance(row, list)
        assert isinstance(row[2], list)
        port = row[2][1]
        return next(at for at, one in enumerate(self.servers) if one.tcp.port == port)

    def begin_move(self, key: str) -> tuple[int, int]:
        """Open the slot of a key for moving; says from where to where."""
        source = self.owner(key)
        target = (source + 1) % len(self.servers)
        slot = key_slot(key.encode())
        self.servers[target].cli("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[source])
        self.servers[source].cli("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[target])
        return source, target

    def end_move(self, key: str, source: int, target: int) -> None:
        """Carry every key of the slot over, and let the target have it."""
        slot = key_slot(key.encode())
        port = self.servers[target].tcp.port
        while keys := self.servers[source].cli("CLUSTER", "GETKEYSINSLOT", slot, 100):
            assert isinstance(keys, list)
            words = [as_bytes(one) for one in keys]
            self.servers[source].cli(
                "MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *words, timeout=10.0
            )
        for server in (self.servers[target], self.servers[source]):
            server.cli("CLUSTER", "SETSLOT", slot, "NODE", self.ids[target])

    def move(self, key: str) -> None:
        """Move the slot of a key to another node, with all that is in it."""
        self.end_move(key, *self.begin_move(key))


def has_slot(row: Value, slot: int) -> bool:
    """Whether a row of CLUSTER SLOTS covers a slot."""
    assert isinstance(row, list)
    first, last = row[:2]
    assert isinstance(first, int)
    assert isinstance(last, int)
    return first <= slot <= last


@contextmanager
def cluster_of_three(binary: Binary | None = None) -> Generator[Cluster]:
    """Three nodes that agree on who has which slots."""
    settings: dict[str, Setting] = {"cluster-enabled": "yes", "cluster-node-timeout": 5000}
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Server(binary, port=True, settings=settings)) for _ in range(3)
        ]
        for place, server in enumerate(servers):
            slots = range(place * SLOTS // 3, (place + 1) * SLOTS // 3)
            server.cli("CLUSTER", "ADDSLOTS", *slots)
            server.cli("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
        for server in servers[1:]:
            servers[0].cli("CLUSTER", "MEET", "127.0.0.1", server.tcp.port)
        for server in servers:
            wait_until(agrees(server), within=60.0, what="the nodes agree")
        for server in servers:
            hears_all(server, servers)
        ids = [as_bytes(server.cli("CLUSTER", "MYID")).decode() for server in servers]
        yield Cluster(servers, ids)


def agrees(server: Server) -> Callable[[], bool]:
    """Whether a node knows of three, and of all slots."""

    def agreed() -> bool:
        text = as_bytes(server.cli("CLUSTER", "INFO"))
        return b"cluster_state:ok" in text and b"cluster_known_nodes:3" in text

    return agreed


def hears_all(server: Server, others: Sequence[Server]) -> None:
    """Wait until a node is told what is said on others: a line that is being laid loses it."""
    missing = {b"%d" % place for place in range(len(others))}
    with ExitStack() as stack:
        ear, *mouths = (
            stack.enter_context(qcore.connect(one.tcp.url("redis+pubsub"))).queue("ready")
            for one in (server, *others)
        )
        ear.subscribe()

        def told() -> bool:
            for place, mouth in enumerate(mouths):
                mouth.enqueue(b"%d" % place)
            while (heard := ear.reserve(timeout=0.05)) is not None:
                missing.discard(heard.job.body)
            return not missing

        wait_until(told, within=60.0, what="the nodes pass on what is said")
