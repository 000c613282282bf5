"""The streams adapter where the URL asks for a log."""

from __future__ import annotations

from collections.abc import Sequence

from qcore.backend import AsyncBackend, Backend, Setup
from qcore.capabilities import Capabilities
from qcore.url import Parameter
from qcore_redis.locators import locator_for
from qcore_redis.log.promises import LOG
from qcore_redis.promises import reached

__all__ = ["LogAdapter"]


class LogAdapter:
    """Opens connections to logs.

    Args:
        parameters: Those of the scheme.
    """

    scheme = LOG.adapter

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = parameters

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return LOG

    def backend(self, setup: Setup) -> Backend:
        """A connection for callers that block."""
        from qcore_redis.log.backends import LogBackend
        from qcore_redis.log.programs import LogPrograms
        from qcore_redis.ports.sync import SyncPort

        port = SyncPort(setup, locator_for(setup))
        return LogBackend(LogPrograms(setup), port, reached(LOG, setup))

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """A connection for asyncio."""
        from qcore_redis.log.async_backends import AsyncLogBackend
        from qcore_redis.log.programs import LogPrograms
        from qcore_redis.ports.aio import AsyncPort

        port = AsyncPort(setup, locator_for(setup))
        return AsyncLogBackend(LogPrograms(setup), port, reached(LOG, setup))
