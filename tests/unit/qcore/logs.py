"""Collect what is logged through structlog, and leave it as unconfigured as before."""

from __future__ import annotations

from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.testing import capture_logs

__all__ = ["captured"]


@contextmanager
def captured() -> Generator[list[MutableMapping[str, Any]]]:
    """The entries of the block, as a host that configured structlog would get them."""
    try:
        # This configures structlog, and would leave it so.
        with capture_logs() as entries:
            yield entries
    finally:
        structlog.reset_defaults()
