"""What scenarios of Pub/Sub need beside a stage: ways to listen, to wait for a gap, to count."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import attrs

import qcore
from qcore_conformance.servers import Server
from qcore_conformance.waiting import wait_until
from qcore_redis.keys import channel
from tests.integration.actors import Hand, Line
from tests.integration.async_actors import AsyncLine
from tests.integration.stage import Place, Stage, as_bytes

__all__ = ["Audience", "bodies", "collect", "play"]


def play(place: Place, server: Server) -> Iterator[Stage]:
    """A stage that is closed at the end."""
    stage = Stage(place, server)
    try:
        yield stage
    finally:
        stage.close()


@attrs.frozen
class Audience:
    """One queue, seen by a listener and by a publisher with a connection of its own.

    Args:
        stage: Where it plays.
        ear: The queue of the listener.
        mouth: The queue of the publisher.
        name: The name of both.
    """

    stage: Stage
    ear: Line
    mouth: Line
    name: str

    @classmethod
    def of(cls, stage: Stage, url: str = "", name: str = "work", **params: object) -> Audience:
        """A listener that listens, at the stage or where the URL says, and a publisher."""
        ear = stage.connect(url or stage.url(**params)).queue(name)
        mouth = stage.connect(stage.url(**params)).queue(name)
        audience = cls(stage, ear, mouth, name)
        audience.subscribe()
        return audience

    def subscribe(self, line: Line | None = None) -> None:
        """Listen."""
        one = line or self.ear
        if isinstance(one, AsyncLine):
            one.portal.call(one.inner.subscribe())
        else:
            cast("qcore.Queue", one).subscribe()

    @property
    def gaps(self) -> int:
        """How many gaps the listener counted."""
        if not isinstance(self.ear, AsyncLine):
            return cast("qcore.Queue", self.ear).gaps
        inner = self.ear.inner

        async def seen() -> int:
            return inner.gaps

        return self.ear.portal.call(seen())

    @property
    def listeners(self) -> int:
        """How many listeners the server knows."""
        found = self.stage.server.cli(
            "PUBSUB", "NUMSUB", channel(self.stage.namespace, self.name, 0)
        )
        assert isinstance(found, list)
        count = found[1]
        assert isinstance(count, int)
        return count

    def wait_listeners(self, count: int) -> None:
        """Wait until the server knows so many listeners."""
        wait_until(lambda: self.listeners == count, within=5.0, what=f"{count} listen")

    def hear_until_gap(self, gaps: int) -> list[bytes]:
        """Take what comes until so many gaps are counted."""
        found: list[bytes] = []

        def counted() -> bool:
            # Whoever looks for a moment may do so while nobody listens.
            with suppress(qcore.Unavailable):
                found.extend(bodies(self.ear.reserve_many(100, timeout=0.02)))
            return self.gaps >= gaps

        wait_until(counted, within=10.0, what=f"{gaps} gaps are counted")
        return found

    def memory_for_listeners(self) -> int:
        """Bytes that the server holds back for those who do not read."""
        rows = as_bytes(self.stage.server.cli("CLIENT", "LIST", "TYPE", "pubsub")).decode()
        return sum(int(word[5:]) for word in rows.split() if word.startswith("omem="))


def bodies(hands: object) -> list[bytes]:
    """The bodies of deliveries."""
    return [hand.job.body for hand in cast("list[Hand]", hands)]


def collect(line: Line, count: int, timeout: float = 5.0) -> list[bytes]:
    """Take so many jobs, each within the timeout in seconds."""
    found: list[bytes] = []
    while len(found) < count:
        now = bodies(line.reserve_many(min(100, count - len(found)), timeout))
        assert now, f"{count - len(found)} of {count} did not come"
        found += now
    return found
