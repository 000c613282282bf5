"""Where a scenario plays: an adapter, a colour, a server, and a namespace of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar
from urllib.parse import quote

import attrs

import qcore
from qcore_conformance.resp import Value
from qcore_conformance.servers import Binary, Server, available_servers
from qcore_conformance.waiting import scaled, wait_until
from qcore_redis.keys import QueueKeys
from tests.integration.actors import Client, Hand, Line, SyncClient
from tests.integration.async_actors import AsyncClient, Portal

__all__ = [
    "EDGES",
    "OTHERS",
    "PROMPT",
    "SLACK",
    "Place",
    "Stage",
    "as_bytes",
    "held",
    "members",
    "places",
    "round_trip",
    "texts",
    "together",
]

T = TypeVar("T")

COLOURS = ("sync", "async")
STORED = ("redis+list", "redis+streams")
_SERVERS = available_servers()
EDGES: Sequence[Binary] = tuple(dict.fromkeys((_SERVERS[0], _SERVERS[-1])))
"""The oldest and the newest server: every scenario plays on both."""
SLACK = scaled(0.5)
"""Seconds by which a busy machine may be late with anything."""
PROMPT = scaled(0.9)
"""Seconds in which a sleeper must have its job; less than the 1.5 s after which it looks."""
OTHERS: Sequence[Binary] = tuple(one for one in _SERVERS if one not in EDGES)


class ShiftedClock:
    """The machine's clock, which can be put forward."""

    def __init__(self) -> None:
        self.shift = 0.0

    def time(self) -> float:
        """Seconds since the Unix epoch."""
        return time.time() + self.shift

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic() + self.shift


@attrs.frozen
class Place:
    """One of the combinations that a scenario plays in."""

    adapter: str
    colour: str
    binary: Binary | None = None

    def __str__(self) -> str:
        """The id of the test."""
        server = "" if self.binary is None else f"-{self.binary.name}"
        return f"{self.adapter}-{self.colour}{server}"


def places(binaries: Iterable[Binary | None], *, memory: bool = False) -> list[Place]:
    """Every combination over these servers."""
    stored = [
        Place(adapter, colour, binary)
        for binary in binaries
        for adapter in STORED
        for colour in COLOURS
    ]
    return stored + [Place("memory", colour) for colour in COLOURS if memory]


class Stage:
    """What a scenario works with; everything that it opened is closed at its end.

    Args:
        place: The adapter, colour and server.
        server: The running server; ``None`` for memory.
    """

    def __init__(self, place: Place, server: Server | None = None) -> None:
        self.place = place
        self.namespace = f"t{uuid.uuid4().hex[:12]}"
        self.clock = ShiftedClock()
        self._server = server
        self._portal = Portal() if place.colour == "async" else None
        self._clients: list[Client] = []

    @property
    def server(self) -> Server:
        """The server that this place has."""
        assert self._server is not None
        return self._server

    @property
    def portal(self) -> Portal:
        """The event loop of asyncio."""
        assert self._portal is not None
        return self._portal

    @property
    def is_list(self) -> bool:
        """Whether the adapter keeps jobs in lists."""
        return self.place.adapter == "redis+list"

    def url(self, **params: object) -> str:
        """The URL of this place and namespace, with further parameters."""
        words: Mapping[str, object] = {"patience": "2s", **params}
        if self._server is None:
            return f"memory://{self.namespace}?{_query(words)}"
        base = self._server.unix.url(self.place.adapter)
        return f"{base}?{_query({'namespace': self.namespace, **words})}"

    def connect(self, url: str = "", *, require: Iterable[str] = (), **params: object) -> Client:
        """Open a connection, by default to this place."""
        url = url or self.url(**params)
        client: Client
        if self._portal is None:
            client = SyncClient(qcore.connect(url, require=require, clock=self.clock))
        else:
            client = AsyncClient(self._portal, self._portal.call(self._open(url, require)))
        self._clients.append(client)
        return client

    async def _open(self, url: str, require: Iterable[str]) -> qcore.AsyncConnection:
        return await qcore.connect_async(url, require=require, clock=self.clock)

    @property
    def client(self) -> Client:
        """The first connection, opened at first need."""
        return self._clients[0] if self._clients else self.connect()

    def line(self, name: str = "work") -> Line:
        """A queue of the first connection."""
        return self.client.queue(name)

    def other_line(self, name: str = "work") -> Line:
        """The same queue through a new connection."""
        return self.connect().queue(name)

    def keys(self, name: str = "work") -> QueueKeys:
        """The keys of a queue."""
        return QueueKeys(self.namespace, name, "", "list" if self.is_list else "stream")

    def stored(self) -> dict[str, bytes]:
        """Every key of this namespace with what it holds, without the answers kept for replays."""
        with self.server.connect() as raw:
            return {
                name: as_bytes(raw.call("DUMP", name))
                for name in self.names()
                if ":flush:" not in name
            }

    def names(self) -> list[str]:
        """Every key of this namespace."""
        return sorted(texts(self.server.cli("KEYS", f"qc:{{{self.namespace}/*")))

    def let_leases_end(self, name: str = "work") -> None:
        """Make every lease of a queue run out now, without waiting for it."""
        if self._server is None:
            self.clock.shift += 40.0
        else:
            self._put_back(self.keys(name).one("leased"))

    def let_delays_end(self, name: str = "work") -> None:
        """Make every delayed job due now; in memory leases end as well."""
        if self._server is None:
            self.clock.shift += 4000.0
        else:
            self._put_back(self.keys(name).one("delayed"))

    def _put_back(self, key: str) -> None:
        with self.server.connect() as raw:
            for place, member in enumerate(members(raw.call("ZRANGE", key, 0, -1))):
                raw.call("ZADD", key, "XX", place + 1, member)

    def wait_asleep(self, count: int = 1) -> None:
        """Wait until so many consumers sleep on the server; in memory there is nothing to see."""
        if self._server is not None:
            wait_until(lambda: self.blocked() >= count, within=5.0, what=f"{count} asleep")

    def blocked(self) -> int:
        """How many connections sleep on the server."""
        return int(self.info("clients")["blocked_clients"])

    def info(self, section: str) -> dict[str, str]:
        """A section of INFO."""
        text = as_bytes(self.server.cli("INFO", section)).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def close(self) -> None:
        """Close every connection and the event loop."""
        try:
            for client in reversed(self._clients):
                client.close()
            if self._server is not None and (names := self.names()):
                self._server.cli("DEL", *names)
        finally:
            if self._portal is not None:
                self._portal.close()


def as_bytes(value: Value) -> bytes:
    """A bulk reply."""
    assert isinstance(value, bytes), value
    return value


def members(value: Value) -> list[bytes]:
    """A reply of many bulks."""
    assert isinstance(value, list), value
    return [as_bytes(one) for one in value]


def texts(value: Value) -> list[str]:
    """A reply of many words."""
    return [one.decode() for one in members(value)]


def _query(params: Mapping[str, object]) -> str:
    return "&".join(f"{name}={quote(str(value))}" for name, value in params.items())


def round_trip(stage: Stage, url: str) -> None:
    """A job goes in and out at a URL, the waiting included."""
    line = stage.connect(url).queue()
    assert line.reserve(timeout=0.01) is None
    line.enqueue(b"job")
    held(line.reserve(timeout=1)).ack()
    line.purge()


def held(found: Hand | None) -> Hand:
    """The delivery, which must be there."""
    assert found is not None, "no job came"
    return found


def together(count: int, act: Callable[[int], T]) -> list[T]:
    """Do the same from so many threads at once, each told its number."""
    barrier = Barrier(count)

    def go(number: int) -> T:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(go, range(count)))
