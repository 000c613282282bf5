"""What tenants have waiting on one level of a queue in memory, in the order of their turns."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Set as AbstractSet
from typing import Generic, TypeVar

import attrs

__all__ = ["Rounds"]

T = TypeVar("T")


@attrs.define
class Rounds(Generic[T]):
    """Start-time fair queuing: the items of one flow have rounds that follow each other.

    So a flow has one item in a round at most, and one that comes anew begins with the next round.
    Like a deque, as far as a queue needs it.
    """

    _now: int = 0
    _last: dict[str, int] = attrs.field(factory=dict[str, int])
    _waiting: list[tuple[int, str, T]] = attrs.field(factory=list[tuple[int, str, T]])

    @property
    def flows(self) -> set[str]:
        """Those that have something waiting for a later round, and no others."""
        return set(self._last)

    def append(self, flow: str, item: T) -> None:
        """Put an item behind those of its flow."""
        place = max(self._now, self._last.get(flow, 0)) + 1
        self._last[flow] = place
        # In a round by name, and what became due (`acme+`) before what is new (`acme`).
        heapq.heappush(self._waiting, (place, f"{flow}|", item))

    def popleft(self) -> T:
        """Take the first item, and go on to its round."""
        self._now, flow, item = heapq.heappop(self._waiting)
        self._forget(flow[:-1])
        return item

    def _forget(self, flow: str) -> None:
        # A flow that is not ahead of the round may be forgotten, and all if nothing waits.
        if self._last.get(flow, 0) <= self._now:
            self._last.pop(flow, None)
        if not self._waiting:
            self.clear()

    def __getitem__(self, first: int) -> T:
        """The first item, which is number 0."""
        return self._waiting[first][2]

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[T]:
        """The items in the order of their turns."""
        return (item for _, _, item in sorted(self._waiting, key=lambda place: place[:2]))

    def remove(self, item: T) -> None:
        """Take an item out; the next one of its flow goes behind those that are left."""
        flow = next(flow for _, flow, one in self._waiting if one is item)
        self._waiting = [place for place in self._waiting if place[2] is not item]
        heapq.heapify(self._waiting)
        left = [place for place, other, _ in self._waiting if other == flow]
        self._last[flow[:-1]] = max(left, default=0)
        self._forget(flow[:-1])

    def remove_all(self, items: AbstractSet[T]) -> None:
        """Take these items out, at once."""
        self._waiting = [place for place in self._waiting if place[2] not in items]
        heapq.heapify(self._waiting)
        lasts = dict[str, int]()
        for place, flow, _ in self._waiting:
            lasts[flow[:-1]] = max(place, lasts.get(flow[:-1], 0))
        self._last = {flow: last for flow, last in lasts.items() if last > self._now}
        if not self._waiting:
            self.clear()

    def clear(self) -> None:
        """Drop everything, and begin anew."""
        self._now = 0
        self._last.clear()
        self._waiting.clear()
