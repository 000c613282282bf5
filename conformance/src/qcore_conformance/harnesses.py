"""Harnesses by URL: those of the adapters that come with qcore, and what finds them.

A package that brings an adapter may bring its harness as an entry point of the group
``qcore.harnesses``, named by the scheme; then ``qcore conformance URL`` finds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import qcore
from qcore.backend import COMMON_PARAMETERS, LOG_PARAMETERS
from qcore.url import TOPOLOGIES

from .addresses import Address, Unix
from .client import RawClient
from .harness import Harness, UrlHarness
from .redis_faults import RedisFaults
from .servers import Binary, Server, available_servers, newest

__all__ = ["GROUP", "MemoryHarness", "RedisHarness", "ServedRedis", "harness_for", "mode_of"]

GROUP = "qcore.harnesses"

_LEASE = "lease=2s"
_OF_QUEUES = frozenset({one.name for one in (*COMMON_PARAMETERS, *LOG_PARAMETERS)}) - {
    "namespace",
    "patience",
}
_CLAIMS = Path(__file__).with_name("claims")


def mode_of(url: str) -> str:
    """What makes a URL that of a log, to go behind its scheme; empty for other queues."""
    return "?mode=log" if "mode=log" in re.split("[?&]", url) else ""


def _listening(url: str, scheme: str) -> str:
    """The same place by another scheme, without what only queues that store understand."""
    path, _, query = url.partition("://")[2].partition("?")
    kept = [one for one in query.split("&") if one.partition("=")[0] not in _OF_QUEUES]
    return f"{scheme}://{path}?{'&'.join(kept)}"


class MemoryHarness(UrlHarness):
    """``memory://`` and its topics: one process, nothing to stop or to cut."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._mode = mode_of(url).replace("?", "&")
        self._design = "memory+pubsub" if self.scheme == "memory+pubsub" else "memory"
        self.claims = _CLAIMS / f"{self._design}{'-log' if self._mode else ''}.toml"

    def url(self, namespace: str) -> str:
        """A store that the connections of this process share."""
        lease = "" if "pubsub" in self._design else f"&{_LEASE}"
        return f"{self._design}://conformance?namespace={namespace}{lease}{self._mode}"

    def heard_at(self, url: str) -> str | None:
        """The topics of the same store."""
        return _listening(url, "memory+pubsub")

    def descriptors(self, callers: int) -> int | None:
        """None at all."""
        del callers
        return 0


class RedisHarness(UrlHarness):
    """A Redis adapter, on the server that the URL names.

    Faults that break a server are tried on servers that the suite starts itself, of the same kind
    as an embedded one; a server that somebody else runs is never touched.

    Args:
        url: The URL, without a namespace.
        binary: The program of the servers that the suite starts; the newest by default.
    """

    socket_timeout = 7.0
    requests = frozenset({"EVALSHA", "EVAL", "PUBLISH", "SPUBLISH", "EXEC"})
    idle_rate = 4.0
    faults = RedisFaults()

    def __init__(self, url: str, *, binary: Binary | None = None) -> None:
        super().__init__(url)
        self._binary = binary
        self._design = self.scheme.partition("+")[2].partition("+")[0]
        self._mode = mode_of(url).replace("?", "&")
        self.claims = _CLAIMS / f"redis+{self._design}{'-log' if self._mode else ''}.toml"
        self.reference = self.owned
        self._anchor: qcore.Connection | None = None

    def start(self) -> None:
        """Keep a server of our own alive; it ends with the last connection to it."""
        if self.owned:
            self._anchor = qcore.connect(self._url)

    def stop(self) -> None:
        """Let it go."""
        if self._anchor is not None:
            self._anchor.close()

    def url(self, namespace: str) -> str:
        """The URL with a namespace, and a short lease where there are leases."""
        lease = "" if "pubsub" in self.scheme else f"&{_LEASE}"
        return f"{super().url(namespace)}{lease}"

    @property
    def owned(self) -> bool:
        """Whether the broker is one of our own, so that the suite may break its like."""
        return self.scheme.endswith("+embedded")

    def server(self, settings: Mapping[str, str] | None = None) -> Server | None:
        """A server of one's own, with an append-only file unless told otherwise.

        It writes before each reply. With ``everysec`` it holds writes back while the disk is slow,
        and on a busy machine they would die with it.
        """
        if not self.owned:
            return None
        wanted = {"appendonly": "yes", "appendfsync": "no", **(settings or {})}
        return Server(self._binary or newest(), settings=wanted, port=True)

    def url_of(self, address: Address, namespace: str) -> str | None:
        """The same adapter at another address."""
        base = f"redis+{self._design}"
        lease = "" if "pubsub" in base else f"&{_LEASE}"
        return f"{address.url(base)}?namespace={namespace}{lease}{self._mode}"

    def heard_at(self, url: str) -> str | None:
        """The channels of the same server."""
        first, *_, last = url.partition("://")[0].split("+")
        secure = first in ("rediss", "valkeys")
        topology = f"+{last}" if last in TOPOLOGIES else ""
        return _listening(url, f"redis{'s' * secure}+pubsub{topology}")

    def leftovers(self, namespace: str) -> Sequence[str] | None:
        """The keys of a namespace, as far as the server can be asked."""
        if not self.owned:
            return None
        with self._client() as client:
            keys = client.call("KEYS", f"qc:{{{namespace}/*")
        listed = keys if isinstance(keys, list) else []
        return [key.decode() for key in listed if isinstance(key, bytes)]

    def stored_bytes(self, namespace: str) -> int | None:
        """What the keys of a namespace take, by the server's own account."""
        keys = self.leftovers(namespace)
        if keys is None:
            return None
        with self._client() as client:
            sizes = [client.call("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys]
        return sum(size for size in sizes if isinstance(size, int))

    def descriptors(self, callers: int) -> int | None:
        """A socket for commands and one with its alarm for waiting, each; the server's locks."""
        return 4 + 4 * callers

    def plant(self, namespace: str, queue: str, raw: bytes) -> bool:
        """Store or publish a job whose envelope is ``raw``, in the form of the data model."""
        if not self.owned:
            return False
        tag = f"{{{namespace}/{queue}}}"
        with self._client() as client:
            if self._design == "list":
                client.call("HSET", f"qc:{tag}:list:jobs", "planted", raw)
                client.call("RPUSH", f"qc:{tag}:list:ready:0", "planted|5|0|1|0|0")
            elif self._mode:
                number = str(client.call("HINCRBY", f"qc:{tag}:log:meta", "last", 1))
                fields = ("id", "planted", "n", number, "job", raw)
                client.call("XADD", f"qc:{tag}:log:entries", "*", *fields)
            elif self._design == "streams":
                client.call("XADD", f"qc:{tag}:stream:new:0", "*", "id", "planted", "job", raw)
            else:
                client.call("PUBLISH", f"qc:0:{tag}", b"planted\n" + raw)
        return True

    def _client(self) -> RawClient:
        """A connection of our own to the server that the URL names."""
        return RawClient(Unix(Path(self._path) / "s.sock"))

    def residue(self) -> Sequence[str]:
        """What an empty queue leaves behind, as the data model declares it."""
        always = ("*:meta", "*:id:*", "*:dedup:*")
        if self._mode:
            return (*always, "*:log:entries", "*:log:index", "*:log:g:*:bell")
        return (*always, "*:stream:new:*", "*:stream:bell")

    @property
    def _path(self) -> str:
        return re.sub(r"^[^:]+://|\?.*$", "", self._url)


class ServedRedis(RedisHarness):
    """A Redis adapter on a server of any version, which the harness starts itself.

    Args:
        design: ``list``, ``streams``, ``streams?mode=log`` or ``pubsub``.
        binary: The program of the server.
    """

    def __init__(self, design: str, binary: Binary) -> None:
        scheme, mark, query = design.partition("?")
        super().__init__(f"redis+{scheme}://{mark}{query}", binary=binary)
        self._server = Server(binary, settings={"appendonly": "yes"})

    @property
    def owned(self) -> bool:
        """It is ours."""
        return True

    def start(self) -> None:
        """Start the server."""
        self._server.start()
        self._url = self._server.unix.url(f"redis+{self._design}") + self._mode.replace("&", "?")

    def stop(self) -> None:
        """End it, and remove what it kept."""
        self._server.close()

    def _client(self) -> RawClient:
        return self._server.connect()


_BUILT_IN: Mapping[str, Callable[[str], Harness]] = {
    "memory": MemoryHarness,
    "redis": RedisHarness,
    "rediss": RedisHarness,
}


def harness_for(url: str, server: str = "") -> Harness:
    """The harness for a URL: a registered one, a built-in one, or one that only knows the URL.

    Args:
        url: The URL of the adapter.
        server: The name of a server, such as ``redis-6.2.14``, that is started for the adapter;
            of the URL only the scheme and ``mode`` count then.

    Raises:
        LookupError: If there is no such server, or it is none for this adapter.
    """
    scheme = url.partition("://")[0]
    if server:
        return _served(url, server)
    for point in entry_points(group=GROUP):
        if scheme == point.name:
            made: Harness = point.load()(url)
            return made
    return _BUILT_IN.get(scheme.partition("+")[0], UrlHarness)(url)


def _served(url: str, server: str) -> ServedRedis:
    scheme = url.partition("://")[0]
    family, _, design = scheme.partition("+")
    if family != "redis":
        raise LookupError(f"{scheme} does not run on a server of the suite's own")
    binaries = {binary.name: binary for binary in available_servers()}
    if server not in binaries:
        raise LookupError(f"there is no server {server!r} here, but {', '.join(binaries)}")
    return ServedRedis(f"{design.removesuffix('+embedded')}{mode_of(url)}", binaries[server])
