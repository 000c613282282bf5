"""How an adapter is found and opened: what its entry point offers and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs

from qcore.backend.core import AsyncBackend, Backend
from qcore.capabilities import Capabilities
from qcore.clock import Clock
from qcore.errors import InvalidUrl
from qcore.url import Parameter, Url

__all__ = ["COMMON_PARAMETERS", "LOG_PARAMETERS", "Adapter", "Modal", "Setup", "is_log"]

COMMON_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("namespace", "str", "default", "keeps the queues of one program apart"),
    Parameter("lease", "seconds", 30.0, "how long a job stays hidden unless extended"),
    Parameter("patience", "seconds", 10.0, "how long a call tries to reach a lost broker"),
    Parameter("crash_limit", "int", 3, "crashes before a job is set aside", least=1),
    Parameter("delivery_cap", "int", 20, "lost deliveries before a job is set aside", least=1),
    Parameter("dedup_window", "seconds", 3600.0, "how long a caller's id or dedup key is known"),
)
"""Parameters that every adapter with leases understands."""

LOG_PARAMETERS: tuple[Parameter, ...] = (
    Parameter("mode", "str", "work", "work: done once; log: kept for groups", ("work", "log")),
    Parameter("retention", "seconds", 0.0, "log mode: how long entries stay; 0 is for ever"),
    Parameter("retention_count", "int", 0, "log mode: how many entries stay; 0 is all", least=0),
    Parameter("lossy", "bool", default=False, help="log mode: drop also what a group has to do"),
)
"""Parameters of adapters that can keep a log."""


def is_log(params: Mapping[str, Any]) -> bool:
    """Whether these parameters ask for a log.

    Raises:
        InvalidUrl: If something is said of a log, and none is asked for.
    """
    if params["mode"] == "log":
        return True
    said = [name for name in ("retention", "retention_count", "lossy") if params[name]]
    if said:
        raise InvalidUrl(
            f"parameter {said[0]!r} needs 'mode=log': in mode work, jobs stay till done"
        )
    return False


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


@runtime_checkable
class Modal(Protocol):
    """Optional: an adapter that keeps other promises where the URL asks for another mode."""

    def in_mode(self, params: Mapping[str, Any]) -> Adapter:
        """The adapter for these parameters, of the same scheme; does no I/O.

        Raises:
            InvalidUrl: If they do not go together.
        """
        ...
