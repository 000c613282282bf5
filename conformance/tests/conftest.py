from __future__ import annotations

import itertools
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Spread what waits long over the run, so that others work meanwhile."""
    yield
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = _dealt(items, workers)


def _dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """An equal share of the long ones for each worker, which gets a stretch of the list."""
    long = sorted((item for item in items if _seconds(item)), key=_seconds, reverse=True)
    rest = iter([item for item in items if not _seconds(item)])
    dealt: list[pytest.Item] = []
    for worker in range(workers):
        own = long[worker::workers]
        size = (len(items) - len(dealt)) // (workers - worker)
        dealt += _spread(own, list(itertools.islice(rest, max(0, size - len(own)))))
    return [*dealt, *rest]


def _spread(long: list[pytest.Item], others: list[pytest.Item]) -> list[pytest.Item]:
    """The long ones in their order, each before as many of the others."""
    step = len(others) // max(1, len(long))
    spread: list[pytest.Item] = []
    for place, item in enumerate(long):
        spread += [item, *others[place * step : (place + 1) * step]]
    return [*spread, *others[len(long) * step :]]


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark and mark.args else 0.0
