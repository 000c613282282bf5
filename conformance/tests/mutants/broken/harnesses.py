"""Harnesses of the mutants, found by scheme like those of any package."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from conformance.tests.mutants.broken.seams import LEFT
from qcore_conformance.addresses import Address
from qcore_conformance.binaries import newest
from qcore_conformance.harnesses import MemoryHarness, ServedRedis
from qcore_conformance.servers import Server

__all__ = [
    "BrokenList",
    "BrokenMemory",
    "BrokenPubSub",
    "BrokenStreams",
    "Forgetful",
    "SignsIn",
    "Unordered",
]


def _claims(
    folder: str, sound: str | Path | None, scheme: str, differs: Mapping[str, str] | None = None
) -> Path:
    """Claim what the sound adapter claims, under another name, but for what differs."""
    lines = Path(str(sound)).read_text(encoding="utf-8").splitlines()
    said = {"adapter": f'adapter = "{scheme}"', **(differs or {})}
    path = Path(folder) / "claims.toml"
    path.write_text("\n".join(said.get(line.partition(" = ")[0], line) for line in lines))
    return path


class BrokenMemory(MemoryHarness):
    """A mutant of the reference."""

    differs: Mapping[str, str] = {}

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._folder = tempfile.TemporaryDirectory(prefix="qcore-")

    def start(self) -> None:
        """Write down the claims."""
        self.claims = _claims(self._folder.name, self.claims, self.scheme, self.differs)

    def stop(self) -> None:
        """Remove them."""
        self._folder.cleanup()

    def url(self, namespace: str) -> str:
        """A store that the connections of this process share."""
        return f"{self.scheme}://conformance?namespace={namespace}&lease=2s"

    def heard_at(self, url: str) -> None:
        """Nowhere: nobody else shares the stores of a mutant."""
        del url

    def leftovers(self, namespace: str) -> Sequence[str]:
        """What connections left behind."""
        return sorted(LEFT.get(namespace, ()))


class SignsIn(BrokenMemory):
    """One that does not offer dedup."""

    differs: Mapping[str, str] = {"dedup": ""}


class Unordered(BrokenMemory):
    """One that keeps no order, and says so."""

    differs: Mapping[str, str] = {
        "order": 'order = "none"',
        "reentry": "",
        "priority": "",
        "at_front": "",
    }


class _BrokenRedis(ServedRedis):
    """A mutant of a Redis adapter, on a server of its own."""

    design = ""
    # Mutants say some things themselves that the sound one leaves to scripts.
    requests = ServedRedis.requests | {"RPOP", "LMOVE", "RPUSH"}

    def __init__(self, url: str) -> None:
        super().__init__(self.design, newest())
        self.scheme = url.partition("://")[0]
        self._folder = tempfile.TemporaryDirectory(prefix="qcore-")

    def start(self) -> None:
        """Start the server, and write down the claims."""
        super().start()
        self.claims = _claims(self._folder.name, self.claims, self.scheme)
        self._url = self._url.replace(f"redis+{self.design}", self.scheme, 1)

    def stop(self) -> None:
        """End it, and remove what is left."""
        super().stop()
        self._folder.cleanup()

    def url(self, namespace: str) -> str:
        """The server of this run."""
        return self._in(self._url, namespace)

    def url_of(self, address: Address, namespace: str) -> str:
        """Another way to a server."""
        return self._in(address.url(self.scheme), namespace)

    def _in(self, url: str, namespace: str) -> str:
        lease = "" if self.design == "pubsub" else "&lease=2s"
        return f"{url}?namespace={namespace}{lease}"


class BrokenList(_BrokenRedis):
    """A mutant of the list adapter."""

    design = "list"


class BrokenStreams(_BrokenRedis):
    """A mutant of the streams adapter."""

    design = "streams"


class BrokenPubSub(_BrokenRedis):
    """A mutant of the Pub/Sub adapter."""

    design = "pubsub"


class Forgetful(BrokenList):
    """Servers of the list adapter that keep nothing."""

    def server(self, settings: Mapping[str, str] | None = None) -> Server | None:
        """A server without an append-only file."""
        return super().server({**(settings or {}), "appendonly": "no"})
