"""How much a consumer takes ahead: only what can start soon, judged by how long jobs took."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from qcore.policy import next_mean, prefetch_limit

__all__ = ["Buffer"]

D = TypeVar("D")


class Buffer(Generic[D]):
    """Deliveries taken ahead, and the pace at which they are handed on.

    Args:
        most: The caller's bound.
        monotonic: Tells the time.
    """

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._items: deque[D] = deque()
        self._mean: float | None = None
        self._handed_at: float | None = None

    def __len__(self) -> int:
        """How many are in hand and not handed on."""
        return len(self._items)

    def limit(self) -> int:
        """How many to take next."""
        self._measure()
        return prefetch_limit(self._most, self._mean)

    def fill(self, items: list[D]) -> None:
        """Put what was taken behind what is there."""
        self._items.extend(items)
        # Time spent waiting for jobs says nothing about how long they take.
        self._handed_at = None

    def next(self) -> D | None:
        """Hand on the next one; ``None`` if there is none."""
        try:
            item = self._items.popleft()
        except IndexError:
            return None
        self._measure()
        self._handed_at = self._monotonic()
        return item

    def drain(self) -> list[D]:
        """Take out everything that was never handed on; each goes to one caller only."""
        rest: list[D] = []
        while self._items:
            try:
                rest.append(self._items.popleft())
            except IndexError:
                break
        return rest

    def _measure(self) -> None:
        if self._handed_at is not None:
            self._mean = next_mean(self._mean, self._monotonic() - self._handed_at)
            self._handed_at = None
