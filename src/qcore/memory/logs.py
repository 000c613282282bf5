"""The memory adapter where the URL asks for a log."""

from __future__ import annotations

from collections.abc import Sequence

from qcore.backend import AsyncBackend, Setup
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities
from qcore.memory.adapter import MemoryAdapter
from qcore.memory.log import LOG_PROMISES, LogBackend
from qcore.url import Parameter

__all__ = ["MemoryLogAdapter"]


class MemoryLogAdapter:
    """Opens connections to logs; a log and a queue for work never meet.

    Args:
        stores: Knows the stores.
    """

    def __init__(self, stores: MemoryAdapter) -> None:
        self.scheme: str = stores.scheme
        self.parameters: Sequence[Parameter] = stores.parameters
        self._stores = stores

    def promises(self) -> Capabilities:
        """The best that it can do."""
        return LOG_PROMISES

    def backend(self, setup: Setup) -> LogBackend:
        """A connection to the logs that the URL names.

        Raises:
            InvalidUrl: If the URL says more than a name.
        """
        return self._stores.opened(setup, LogBackend, "?log")

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same connection for asyncio."""
        return lift_inline(self.backend(setup))
