"""Takes whose answer never came: what they brought is held for a caller who knows nothing of it.

In: each take before it is sent, and word of its answer. Out: the number to send it under, which
is that of the last one if that was never answered. A broker that can replay then answers again,
so that the jobs come to somebody instead of waiting out a lease in nobody's hands.
"""

from __future__ import annotations

import attrs

from qcore.backend import Flush, TakeRequest

__all__ = ["Unanswered"]


class Unanswered:
    """The last take of each queue, until it is answered. One at a time is under way."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[TakeRequest, Flush]] = {}

    def numbered(self, queue: str, request: TakeRequest, number: Flush) -> Flush:
        """The number for this take: that of the last one, if that was like it and unanswered."""
        last = self._last.get(queue)
        if last is not None and attrs.evolve(last[0], limit=request.limit) == request:
            number = last[1]
        self._last[queue] = request, number
        return number

    def answered(self, queue: str) -> None:
        """Note that the take under way was answered."""
        self._last.pop(queue, None)
