"""The one place that knows structlog: loggers made on first use, never configured for the host.

Event names are constants here, so that a search finds who emits what. Bodies are never logged.
"""

from __future__ import annotations

import logging
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

    A host that configured structlog gets the events there; any other gets them in the standard
    logging, under the name ``qcore``.

    Args:
        bound: Facts that every line carries, such as ``queue`` or ``adapter``.
    """

    def __init__(self, **bound: object) -> None:
        self._bound = bound

    def bind(self, **more: object) -> Logger:
        """A logger that carries these facts as well."""
        return Logger(**{**self._bound, **more})

    def info(self, event: str, **facts: object) -> None:
        """Something changed that an operator may want to see."""
        self._target().info(event, **facts)

    def warning(self, event: str, **facts: object) -> None:
        """Something went wrong that qcore handles by itself."""
        self._target().warning(event, **facts)

    def _target(self) -> Any:
        import structlog

        if structlog.is_configured():
            return structlog.stdlib.get_logger("qcore").bind(**self._bound)
        # As it comes, structlog would print to the output of the program.
        return structlog.wrap_logger(
            logging.getLogger("qcore"),
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        ).bind(**self._bound)
