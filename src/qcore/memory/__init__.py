"""``memory://name``: the reference adapter, the plainest reading of the contract.

Jobs live in this process and die with it. Connections of one process that name the same store
share it; an empty name gives a store of one's own. Found by its entry point, never imported by
the layers above.
"""

from __future__ import annotations

from qcore.backend import Adapter
from qcore.memory.adapter import MemoryAdapter
from qcore.memory.topics import MemoryTopicsAdapter

__all__ = ["adapter", "topics"]

_stores = MemoryAdapter()
adapter: Adapter = _stores
topics: Adapter = MemoryTopicsAdapter(_stores)
