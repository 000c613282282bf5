"""The adapters that the entry points name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qcore.backend import (
    COMMON_PARAMETERS,
    LOG_PARAMETERS,
    Adapter,
    AsyncBackend,
    Backend,
    Setup,
    is_log,
)
from qcore.capabilities import Capabilities
from qcore.url import Parameter
from qcore_redis.locators import locator_for
from qcore_redis.promises import LIST, PUBSUB, STREAMS, reached

__all__ = ["pubsub", "reliable_list", "streams"]

SERVER_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("db", "int", 0, "database number, where the path does not say it", least=0),
    Parameter("tls_ca", "str", "", "file of the authorities to trust; the system's if absent"),
    Parameter("tls_cert", "str", "", "file of this client's certificate"),
    Parameter("tls_key", "str", "", "file of this client's key"),
    Parameter(
        "tls_verify",
        "bool",
        default=True,
        help="whether to check the server's certificate and name",
    ),
    Parameter("sentinel_user", "str", "", "user name for the sentinels, where they want one"),
    Parameter("sentinel_password", "str", "", "password for the sentinels, where they want one"),
)


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
        port = SyncPort(setup, locator_for(setup))
        return StoredBackend(programs, port, reached(self._best, setup))

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """A connection for asyncio."""
        from qcore_redis.async_backends import AsyncStoredBackend
        from qcore_redis.ports.aio import AsyncPort
        from qcore_redis.programs import StoredPrograms

        programs = StoredPrograms(setup, self._store)
        port = AsyncPort(setup, locator_for(setup))
        return AsyncStoredBackend(programs, port, reached(self._best, setup))


class StreamsAdapter(StoredAdapter):
    """Opens connections to queues for work, or to logs where the URL asks for them."""

    parameters: Sequence[Parameter] = (*COMMON_PARAMETERS, *LOG_PARAMETERS, *SERVER_PARAMETERS)

    def in_mode(self, params: Mapping[str, Any]) -> Adapter:
        """This adapter, or the one for logs.

        Raises:
            InvalidUrl: If a parameter of logs is given without one.
        """
        if is_log(params):
            from qcore_redis.log.adapter import LogAdapter

            return LogAdapter(self.parameters)
        return self


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

        port = SyncPort(setup, locator_for(setup))
        listener = Listener(port, float(setup.params["patience"]))
        return PubSubBackend(Channels(setup), port, listener)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """A connection for asyncio."""
        from qcore_redis.async_pubsub import AsyncPubSubBackend
        from qcore_redis.channels import Channels
        from qcore_redis.ports.aio import AsyncPort
        from qcore_redis.ports.aio_listening import AsyncListener

        port = AsyncPort(setup, locator_for(setup))
        listener = AsyncListener(port, float(setup.params["patience"]))
        return AsyncPubSubBackend(Channels(setup), port, listener)


reliable_list: Adapter = StoredAdapter(LIST, "list")
streams: Adapter = StreamsAdapter(STREAMS, "stream")
pubsub: Adapter = PubSubAdapter()
