"""A private server for each data directory, shared by the processes that use it.

``EmbeddedServer`` is one user of such a server. The first user starts it, the end of the last one
ends it, whichever way that user ended, and what was written is kept in the directory.
"""

from __future__ import annotations

from qcore_redis.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
