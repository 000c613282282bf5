"""A scene of a crash: an adapter, a colour, a server, a namespace, and somebody who watches.

The watcher goes to the server by a way of its own, so that no fault of the scene concerns it.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, Self
from urllib.parse import urlencode

import attrs

import qcore
from qcore.backend import Enqueue
from qcore_conformance.addresses import Address
from qcore_conformance.pipes import Stage
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.servers import Server
from qcore_conformance.waiting import scaled, wait_until
from qcore_redis.keys import QueueKeys
from tests.crash.workers import Part, Worker
from tests.integration.actors import Client, Line, SyncClient
from tests.integration.async_actors import AsyncClient, Portal
from tests.integration.stage import Place

__all__ = ["FLUSH", "LEASE", "RECOVERY", "SLACK", "Came", "Scene", "asleep", "bodies", "contents"]

P = ParamSpec("P")

LEASE = 1.0
"""Seconds of a lease in these tests."""
RECOVERY = 2.0
"""Seconds after the end of a lease within which a job must be with somebody else."""
SLACK = 0.05
"""Seconds by which the clocks of server and test may seem to differ."""

FLUSH = frozenset({"EVALSHA", "EVAL"})
"""The commands that change a queue."""

_BLOCKING = ("BLMOVE", "BRPOPLPUSH", "BZPOPMIN")
_RESIDUE = (":meta", ":waiters", ":lapsed", ":bell", ":id:", ":dedup:", ":flush:")
"""What an empty queue may leave behind."""


@attrs.frozen
class Came:
    """One delivery to the watcher, and when it came by the monotonic clock."""

    at: float
    delivery: qcore.Delivery

    @property
    def counts(self) -> tuple[int, int]:
        """Attempt and crashes."""
        return self.delivery.attempt, self.delivery.crashes


class Scene:
    """What a crash test works with; everything that it opened is closed at its end.

    Args:
        place: The adapter, colour and server.
        server: The running server.
    """

    def __init__(self, place: Place, server: Server) -> None:
        self.place = place
        self.server = server
        self.namespace = f"t{uuid.uuid4().hex[:12]}"
        self._open = contextlib.ExitStack()
        self._watcher: qcore.Connection | None = None
        self._portal: Portal | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def is_list(self) -> bool:
        """Whether the adapter keeps jobs in lists."""
        return self.place.adapter == "redis+list"

    def url(self, via: Address | None = None, **params: object) -> str:
        """The URL of this scene, by the server's socket or another way."""
        words: Mapping[str, object] = {"namespace": self.namespace, "lease": f"{LEASE}s", **params}
        return f"{(via or self.server.unix).url(self.place.adapter)}?{urlencode(words)}"

    def proxy(self) -> CountingProxy:
        """A proxy of its own, that counts and breaks exchanges."""
        return self._open.enter_context(CountingProxy(self.server.unix))

    def work(
        self,
        act: Callable[Concatenate[Part, P], None],
        url: str = "",
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Worker[P]:
        """A worker of the scene's colour."""
        worker = Worker(act, url or self.url(), self.place.colour, *args, **kwargs)
        return self._open.enter_context(worker)

    def connect(self, url: str = "") -> Client:
        """A connection of this process, in the scene's colour."""
        url = url or self.url()
        client: Client
        if self.place.colour == "sync":
            client = SyncClient(qcore.connect(url))
        else:
            if self._portal is None:
                self._portal = self._open.enter_context(contextlib.closing(Portal()))

            async def opened() -> qcore.AsyncConnection:
                return await qcore.connect_async(url)

            client = AsyncClient(self._portal, self._portal.call(opened()))
        return self._open.enter_context(contextlib.closing(client))

    def line(self, url: str = "") -> Line:
        """The queue through a new connection of this process."""
        return self.connect(url).queue("work")

    @property
    def watch(self) -> qcore.Queue:
        """The queue as the watcher sees it."""
        if self._watcher is None:
            self._watcher = self._open.enter_context(qcore.connect(self.url()))
        return self._watcher.queue("work")

    @property
    def keys(self) -> QueueKeys:
        """The keys of the queue."""
        return QueueKeys(self.namespace, "work", "", "list" if self.is_list else "stream")

    def ask(self, *words: str | bytes | float) -> Any:
        """One command to the server, past everything."""
        return self.server.cli(*words)

    def store_junk(self) -> None:
        """Store something that is no job."""
        self.watch.session.enqueue("work", [Enqueue("junk", b"\xff")])

    def arrivals(self, *, within: float) -> Iterator[Came]:
        """Deliveries to the watcher, none of them settled, until nothing comes any more."""
        deadline = time.monotonic() + scaled(within)
        while (rest := deadline - time.monotonic()) > 0:
            for delivery in self.watch.reserve_many(100, rest, 60.0):
                yield Came(time.monotonic(), delivery)

    def collect(self, count: int, *, within: float = LEASE + RECOVERY) -> list[Came]:
        """Take so many jobs, and ack them when all are there."""
        found: list[Came] = []
        arrivals = self.arrivals(within=within)
        while len(found) < count and (came := next(arrivals, None)):
            found.append(came)
        assert len(found) == count, f"{len(found)} of {count} came: {self.whereabouts()}"
        assert all(self.watch.ack_many(came.delivery for came in found))
        return found

    def whereabouts(self) -> dict[str, list[str]]:
        """Where each job is, by its id; every copy counts."""
        found: dict[str, list[str]] = {}
        for state in ("ready", "delayed", "held", "dead"):
            for job in self.watch.peek(state, limit=1000):
                found.setdefault(job.id, []).append(state)
        for name in self.claims():
            for element in self.ask("LRANGE", name, 0, -1):
                if element:
                    found.setdefault(element.decode().split("|")[0], []).append("claimed")
        return found

    def tally(self) -> dict[str, int]:
        """How many jobs are in each state, without those that nobody is in."""
        stats = attrs.asdict(self.watch.stats())
        del stats["enqueued"]
        stats["claimed"] = sum(states == ["claimed"] for states in self.whereabouts().values())
        return {state: count for state, count in stats.items() if count}

    def hasten(self) -> None:
        """Make every delayed job due now."""
        key = self.keys.one("delayed")
        for place, member in enumerate(self.ask("ZRANGE", key, 0, -1)):
            self.ask("ZADD", key, "XX", place + 1, member)

    def claims(self) -> list[str]:
        """The processing lists of waiting connections that hold something."""
        return [name.decode() for name in self.ask("KEYS", f"{_plain(self.keys.tag)}:claim:*")]

    def assert_no_copies(self) -> None:
        """Each job lies in one place at most, and the counters know of all of them."""
        places = self.whereabouts()
        twice = {job: states for job, states in places.items() if len(states) > 1}
        assert not twice, f"jobs in several places: {twice}"
        stats = self.watch.stats()
        gone = stats.acked + stats.dropped
        assert stats.enqueued == len(places) + gone, f"{stats} but {len(places)} jobs were found"

    def assert_at_rest(self, *, dead: int = 0) -> None:
        """Nothing is left but dead jobs, the counters agree, and nothing was forgotten."""
        stats = self.watch.stats()
        assert (stats.ready, stats.delayed, stats.held, stats.dead) == (0, 0, 0, dead), stats
        assert stats.enqueued == stats.acked + stats.dropped + stats.dead, stats
        assert not self.claims()
        if not dead:
            assert self.leftovers() == {}

    def leftovers(self) -> dict[str, Any]:
        """Keys that an empty queue should not have."""
        found: dict[str, Any] = {}
        for name in self.ask("KEYS", f"{_plain(self.keys.tag)}:*"):
            key = name.decode()
            rest = key.removeprefix(self.keys.tag)
            if any(rest.startswith(part) for part in _RESIDUE):
                continue
            if rest.startswith(":ready:") and self.ask("LRANGE", key, 0, -1) == [b""]:
                continue  # a blank that only rings
            if rest.startswith(":new:") and self.ask("XLEN", key) == 0:
                continue
            found[key] = self.ask("TYPE", key)
        return found

    def wait_asleep(self, count: int = 1) -> None:
        """Wait until so many consumers sleep on the server."""

        def blocked() -> bool:
            text: bytes = self.ask("INFO", "clients")
            fields = dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)
            return int(fields["blocked_clients"]) >= count

        wait_until(blocked, within=10.0, what=f"{count} consumers sleep")


def asleep(proxy: CountingProxy, count: int = 1) -> bool:
    """Whether so many of the clients of a proxy sleep on the server."""
    sleeping = [
        each for each in proxy.log if each.command in _BLOCKING and each.stage is Stage.SENT
    ]
    return len(sleeping) >= count


def _plain(text: str) -> str:
    """A pattern that matches nothing but the text."""
    return "".join(f"\\{sign}" if sign in "*?[]\\" else sign for sign in text)


def bodies(count: int, *, prefix: str = "") -> Sequence[qcore.NewJob]:
    """Jobs that differ in every byte that may go wrong."""
    every = bytes(range(256))
    return [
        qcore.NewJob(
            f"{prefix}{number}".encode() + b"\r\n" + every,
            headers={"number": str(number), "blank": "", "sign": "\N{SNOWMAN}\r\n"},
        )
        for number in range(count)
    ]


def contents(jobs: Iterable[qcore.NewJob | qcore.Job]) -> list[tuple[object, Mapping[str, str]]]:
    """What must not change on the way, in an order of its own."""
    return sorted(((job.body, dict(job.headers)) for job in jobs), key=str)
