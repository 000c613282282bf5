"""The adapters that the entry points name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from qcore.backend import COMMON_PARAMETERS, Adapter, AsyncBackend, Backend, Setup
from qcore.capabilities import Capabilities
from qcore.errors import InvalidUrl
from qcore.url import Parameter
from qcore_redis.embedded import EmbeddedServer
from qcore_redis.promises import LIST, PUBSUB, STREAMS

__all__ = ["pubsub", "reliable_list", "streams"]

SERVER_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("db", "int", 0, "database number, where the path does not say it", least=0),
    Parameter("tls_ca", "str", "", "file of the authorities to trust; the system's if absent"),
    Parameter("tls_cert", "str", "", "file of this client's certificate"),
    Parameter("tls_key", "str", "", "file of this client's key"),
    Parameter("tls_verify", "bool", True, "whether to check the server's certificate and name"),
)


def locator(setup: Setup) -> Callable[[], str] | None:
    """How to find the unix socket of a topology; ``None`` for TCP.

    Raises:
        InvalidUrl: If the URL names no path.
    """
    if not setup.topology:
        return None
    if setup.url.hosts or len(setup.url.path) < 2:
        raise InvalidUrl(f"{setup.url.scheme} takes an absolute path: {setup.url.scheme}:///path")
    if setup.topology == "unix":
        return lambda: setup.url.path
    return _Embedded(Path(setup.url.path)).locate


class _Embedded:
    """A user of a private server, joined at first need and for as long as it is referred to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server: EmbeddedServer | None = None

    def locate(self) -> str:
        """The socket of a server that runs, started anew if it has gone."""
        if self._server is None:
            self._server = EmbeddedServer.open(self._directory)
        return self._server.ensure()


class StoredAdapter:
    """Opens connections to queues that store.

    Args:
        best: What it promises at best.
        store: ``list`` or ``stream``.
    """

    parameters: Sequence[Parameter] = (*COMMON_PARAMETERS, *SERVER_PARAMETERS)

    def __init__(self, best: Capabilities, store: str) -> None:
        self.scheme = best.adapter
        self._best = best
        self._store = store

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return self._best

    def backend(self, setup: Setup) -> Backend:
        """A connection for callers that block."""
        from qcore_redis.backends import StoredBackend
        from qcore_redis.ports.sync import SyncPort
        from qcore_redis.programs import StoredPrograms

        programs = StoredPrograms(setup, self._store)
        return StoredBackend(programs, SyncPort(setup, locator(setup)), self._best)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """A connection for asyncio."""
        from qcore_redis.async_backends import AsyncStoredBackend
        from qcore_redis.ports.aio import AsyncPort
        from qcore_redis.programs import StoredPrograms

        programs = StoredPrograms(setup, self._store)
        return AsyncStoredBackend(programs, AsyncPort(setup, locator(setup)), self._best)


class PubSubAdapter:
    """Opens connections to queues that only hand on."""

    scheme = PUBSUB.adapter
    parameters: Sequence[Parameter] = (
        *(one for one in COMMON_PARAMETERS if one.name in {"namespace", "patience"}),
        *SERVER_PARAMETERS,
        Parameter(
            "sharded",
            "bool",
            default=False,
            help="channels stay within one shard of a cluster; needs Redis 7",
        ),
    )

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return PUBSUB

    def backend(self, setup: Setup) -> Backend:
        """A connection for callers that block."""
        from qcore_redis.channels import Channels
        from qcore_redis.ports.listening import Listener
        from qcore_redis.ports.sync import SyncPort
        from qcore_redis.pubsub import PubSubBackend

        port = SyncPort(setup, locator(setup))
        listener = Listener(port, float(setup.params["patience"]))
        return PubSubBackend(Channels(setup), port, listener)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """A connection for asyncio."""
        from qcore_redis.async_pubsub import AsyncPubSubBackend
        from qcore_redis.channels import Channels
        from qcore_redis.ports.aio import AsyncPort
        from qcore_redis.ports.aio_listening import AsyncListener

        port = AsyncPort(setup, locator(setup))
        listener = AsyncListener(port, float(setup.params["patience"]))
        return AsyncPubSubBackend(Channels(setup), port, listener)


reliable_list: Adapter = StoredAdapter(LIST, "list")
streams: Adapter = StoredAdapter(STREAMS, "stream")
pubsub: Adapter = PubSubAdapter()
