"""How an adapter is found and opened: what its entry point offers and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import attrs

from qcore.backend.core import AsyncBackend, Backend
from qcore.capabilities import Capabilities
from qcore.clock import Clock
from qcore.url import Parameter, Url

__all__ = ["COMMON_PARAMETERS", "Adapter", "Setup"]

COMMON_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("namespace", "str", "default", "keeps the queues of one program apart"),
    Parameter("lease", "seconds", 30.0, "how long a job stays hidden unless extended"),
    Parameter("patience", "seconds", 10.0, "how long a call tries to reach a lost broker"),
    Parameter("crash_limit", "int", 3, "crashes before a job is set aside", least=1),
    Parameter("delivery_cap", "int", 20, "lost deliveries before a job is set aside", least=1),
    Parameter("dedup_window", "seconds", 3600.0, "how long a caller's id or dedup key is known"),
)
"""Parameters that every adapter with leases understands."""


@attrs.frozen
class Setup:
    """What an adapter is opened with.

    Attributes:
        url: The parsed URL.
        secure: Whether TLS is asked for.
        topology: ``""``, ``"unix"``, ``"embedded"``, ``"sentinel"`` or ``"cluster"``.
        params: Every parameter that the adapter declares, typed, defaults filled in.
        owner: The nonce of this connection, never used again.
        clock: For adapters that are their own broker; others use the broker's clock.
    """

    url: Url
    secure: bool
    topology: str
    params: Mapping[str, Any]
    owner: str
    clock: Clock


class Adapter(Protocol):
    """What an entry point of the group ``qcore.backends`` points at."""

    scheme: str
    """The scheme, the same as the entry point's name."""
    parameters: Sequence[Parameter]
    """The URL parameters that it understands."""

    def promises(self) -> Capabilities:
        """The best that it can do, without any I/O."""
        ...

    def backend(self, setup: Setup) -> Backend:
        """A backend for callers that block; does no I/O before ``open``."""
        ...

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """A backend for asyncio; does no I/O before ``open``."""
        ...
