"""What of the suite runs with every change: all but the races, which prove something only by luck.

A race that never went both ways is "unknown", and unknown is never pass. On a busy machine that
says nothing about the change at hand, so races are left to ``qcore conformance``.
"""

from __future__ import annotations

import pytest

SCALE = 0.1


def pytest_configure(config: pytest.Config) -> None:
    """Keep large counts small."""
    config.option.qcore_scale = SCALE


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the races out."""
    races = [item for item in items if "Race" in getattr(_function(item), "__globals__", {})]
    config.hook.pytest_deselected(items=races)
    items[:] = [item for item in items if item not in races]


def _function(item: pytest.Item) -> object:
    return getattr(item, "function", None)
