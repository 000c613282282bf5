"""What a log promises at best."""

from __future__ import annotations

from qcore.capabilities import as_log
from qcore_redis.promises import STREAMS

__all__ = ["LOG"]

LOG = as_log(STREAMS)
