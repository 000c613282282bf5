"""The harness: what an adapter's author writes so that the suite can run, in a few lines.

    class AcmeHarness(Harness):
        scheme = "acme"
        claims = "tests/claims.toml"

        def url(self, namespace):
            return f"acme://localhost:7000/?namespace={namespace}&lease=2s"

Only ``scheme`` and ``url`` are mandatory. Everything else raises the tier that a run can reach,
or makes it stricter; what is missing shows as "not run", never as pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .addresses import Address
from .faults import Faults
from .servers import Server

__all__ = ["Harness", "UrlHarness"]


class Harness:
    """How the suite reaches one adapter. A new one is made for each test session.

    Attributes:
        scheme: The scheme under test; opened by URL through its entry point, never imported.
        claims: A file with the capabilities that the adapter is said to have, compared with the
            running one in both directions.
        reference: Whether the broker is set up as the claims file presumes; if not, what it says
            to vary may differ.
        waivers: A file of waived invariants, each with a reason; they run all the same, strictly.
        slack: Seconds that a "not before" or "not after" may be off by.
        recovery: Seconds after the end of a lease in which its job is out again, at most.
        socket_timeout: Seconds after which the client gives up a socket that keeps silent; 0 if
            it has none.
        requests: Names of the requests that carry operations, apart from those that open a
            connection; cuts are aimed at them. All requests if empty.
        idle_rate: Requests a second that one idle consumer makes at most; 0 if none is declared.
        faults: What else can be done to a server of ``server``.
        exclusive: Whether a process keeps all others out while it is in a call, as one does that
            has locked a file; it is frozen between its calls then.
    """

    scheme: str = ""
    claims: str | Path | None = None
    reference: bool = True
    waivers: str | Path | None = None
    slack: float = 0.25
    recovery: float = 2.0
    socket_timeout: float = 0.0
    requests: frozenset[str] = frozenset()
    idle_rate: float = 0.0
    faults: Faults = Faults()
    exclusive: bool = False

    def start(self) -> None:
        """Bring up what the adapter needs; called once."""

    def stop(self) -> None:
        """Take down what ``start`` brought up."""

    def url(self, namespace: str) -> str:
        """A URL whose queues nobody else uses; a short lease (1 to 2 s) keeps the run short."""
        raise NotImplementedError

    def leftovers(self, namespace: str) -> Sequence[str] | None:
        """What is still stored for a namespace, by name; ``None`` if that cannot be told."""
        del namespace
        return None

    def stored_bytes(self, namespace: str) -> int | None:
        """How much memory or disk a namespace takes; ``None`` if that cannot be told."""
        del namespace
        return None

    def descriptors(self, callers: int) -> int | None:
        """The most files and sockets of one connection; ``None`` if nothing is promised.

        Args:
            callers: How many threads or tasks use it at once.
        """
        del callers
        return None

    def plant(self, namespace: str, queue: str, raw: bytes) -> bool:
        """Put bytes that are no job where a job is awaited, next in line; says whether it could."""
        del namespace, queue, raw
        return False

    def residue(self) -> Sequence[str]:
        """Patterns (``fnmatch``) of what may stay after a queue was drained and closed."""
        return ()

    def server(self, settings: Mapping[str, str] | None = None) -> Server | None:
        """A server of one's own that the suite may stop, kill and reconfigure; tier 2.

        Args:
            settings: Directives that differ from the default.
        """
        del settings
        return None

    def url_of(self, address: Address, namespace: str) -> str | None:
        """A URL that reaches the broker at another address: a proxy, or a server of one's own."""
        del address, namespace
        return None

    def heard_at(self, url: str) -> str | None:
        """Where those listen to whom acks of connections to ``url`` tell something."""
        del url
        return None


class UrlHarness(Harness):
    """The harness of somebody who only has a URL. The broker is a stranger's: nothing is broken.

    Args:
        url: The URL, without a namespace.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.scheme = url.partition("://")[0]

    def url(self, namespace: str) -> str:
        """The same URL with a namespace of its own."""
        joint = "&" if "?" in self._url else "?"
        return f"{self._url}{joint}namespace={namespace}"
