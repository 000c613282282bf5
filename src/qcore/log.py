"""The one place that knows structlog: loggers made on first use, never configured for the host.

Event names are constants here, so that a search finds who emits what. Bodies are never logged.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BROKER_BACK",
    "BROKER_LOST",
    "CAPABILITY_LOWERED",
    "HEARTBEAT_FAILED",
    "JOB_UNFIT",
    "LEASE_LOST",
    "SUBSCRIPTION_GAP",
    "Logger",
]

BROKER_LOST = "broker.lost"
BROKER_BACK = "broker.back"
CAPABILITY_LOWERED = "capability.lowered"
HEARTBEAT_FAILED = "heartbeat.failed"
JOB_UNFIT = "job.unfit"
LEASE_LOST = "lease.lost"
SUBSCRIPTION_GAP = "subscription.gap"


class Logger:
    """A logger whose structlog import waits until something is worth saying.

    Args:
        bound: Facts that every line carries, such as ``queue`` or ``adapter``.
    """

    def __init__(self, **bound: object) -> None:
        self._bound = bound
        self._target: Any = None

    def bind(self, **more: object) -> Logger:
        """A logger that carries these facts as well."""
        return Logger(**{**self._bound, **more})

    def info(self, event: str, **facts: object) -> None:
        """Something changed that an operator may want to see."""
        self._logger().info(event, **facts)

    def warning(self, event: str, **facts: object) -> None:
        """Something went wrong that qcore handles by itself."""
        self._logger().warning(event, **facts)

    def _logger(self) -> Any:
        if self._target is None:
            import structlog

            self._target = structlog.stdlib.get_logger("qcore").bind(**self._bound)
        return self._target
