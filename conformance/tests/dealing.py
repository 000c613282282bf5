"""In what order tests are run, so that the long ones do not wait for one another."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = ["dealt"]

T = TypeVar("T")


def dealt(items: Sequence[T], workers: int, seconds: Callable[[T], float]) -> list[T]:
    """An equal share of what takes long for each worker, and that spread over its work.

    Args:
        items: What is to be done, in the order of what does not take long.
        workers: How many there are; each gets a stretch of the list, all of about one length.
        seconds: How long one may take; 0 if it does not take long.
    """
    long = sorted((item for item in items if seconds(item)), key=seconds, reverse=True)
    rest = iter([item for item in items if not seconds(item)])
    order: list[T] = []
    for worker in range(workers):
        own = long[worker::workers]
        size = (len(items) - len(order)) // (workers - worker)
        order += _spread(own, list(itertools.islice(rest, max(0, size - len(own)))))
    return [*order, *rest]


def _spread(long: Sequence[T], others: Sequence[T]) -> list[T]:
    """The long ones in their order, each before as many of the others."""
    step = len(others) // max(1, len(long))
    order: list[T] = []
    for place, item in enumerate(long):
        order += [item, *others[place * step : (place + 1) * step]]
    return [*order, *others[len(long) * step :]]
