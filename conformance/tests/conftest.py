from __future__ import annotations

import itertools
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Begin with what may take longest, so that nobody waits for it at the end."""
    yield
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = _dealt(items, workers)


def _dealt(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """An equal share for each worker, which gets a stretch of the list, the long ones first."""
    long = sorted((item for item in items if _seconds(item)), key=_seconds, reverse=True)
    rest = iter([item for item in items if not _seconds(item)])
    dealt: list[pytest.Item] = []
    for worker in range(workers):
        end = len(dealt) + (len(items) - len(dealt)) // (workers - worker)
        dealt += long[worker::workers]
        dealt += itertools.islice(rest, max(0, end - len(dealt)))
    return [*dealt, *rest]


def _seconds(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark and mark.args else 0.0
