"""What users hold in asyncio code: ``AsyncQueue``, ``AsyncDelivery``, ``AsyncConsumer``."""

from qcore.async_queue.consumer import AsyncConsumer
from qcore.async_queue.delivery import AsyncDelivery
from qcore.async_queue.facade import AsyncQueue

__all__ = ["AsyncConsumer", "AsyncDelivery", "AsyncQueue"]
