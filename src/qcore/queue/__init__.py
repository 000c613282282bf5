"""What users hold in code that blocks: ``Queue``, ``Delivery``, ``Consumer``."""

from qcore.queue.consumer import Consumer
from qcore.queue.delivery import Delivery
from qcore.queue.facade import Queue

__all__ = ["Consumer", "Delivery", "Queue"]
