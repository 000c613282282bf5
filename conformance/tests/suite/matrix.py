"""What of the suite runs with every change, on two cores and within minutes.

The newest server gets everything, wrong clocks and losses of power included, the oldest what
needs a client and workers; the others get a few invariants of each kind, to see that the adapter
runs there at all.
Blocking and asyncio code meet below the seam, so what takes long is tried in one of them. Counts
are a tenth of the contract's. ``make conformance-full`` leaves nothing out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest

from qcore_conformance.binaries import Binary, available_servers, newest, oldest
from qcore_conformance.harness import Harness
from qcore_conformance.harnesses import MemoryHarness, ServedRedis
from qcore_conformance.runs import Run
from qcore_conformance.suite import suite

__all__ = [
    "as_a_log",
    "as_a_log_within_a_process",
    "on_other_servers",
    "on_the_newest",
    "on_the_oldest",
    "topics_within_a_process",
    "within_a_process",
]

_SCALE = 0.1
_SEED = 2026
"""What is made up is the same in every run; ``--qcore-seed`` makes up something else."""
_SMOKE = frozenset(
    {
        "Q-ACK-02", "Q-BLOCK-01", "Q-CAP-01", "Q-CORE-01", "Q-CORE-04", "Q-DEDUP-01", "Q-DELAY-01",
        "Q-DLQ-01", "Q-LEASE-02", "Q-LEASE-05", "Q-PRIO-01", "Q-PUB-01", "Q-PUB-03", "Q-REC-01",
        "Q-REC-06", "Q-REC-15", "Q-RETRY-01",
    }
)  # fmt: skip
_LOG = frozenset(
    {
        "Q-CAP-02", "Q-CAP-03", "Q-FAN-01", "Q-FAN-02", "Q-FAN-03", "Q-HIST-01", "Q-HIST-02",
        "Q-MODEL-01",
    }
)  # fmt: skip
_LEASES = frozenset({"Q-ACK-01", "Q-ACK-03", "Q-ATT-01", "Q-DLQ-03", "Q-REL-02", "Q-RES-01"})


@cache  # one server for all tests of a process, not one for each
def _served(design: str, binary: Binary) -> Callable[[], Harness]:
    return lambda: ServedRedis(design, binary)


def on_the_newest(design: str) -> Mapping[str, Any]:
    """All tiers; what breaks servers and lines in one colour for each test."""
    return suite(_served(design, newest()), Run(tier=4, alternate=2, scale=_SCALE, seed=_SEED))


def on_the_oldest(design: str) -> Mapping[str, Any]:
    """Tiers 0 and 1, in one colour for each test."""
    return suite(_served(design, oldest()), Run(tier=1, alternate=0, scale=_SCALE, seed=_SEED))


def on_other_servers(design: str) -> Mapping[str, Any]:
    """A few invariants of each kind, in one colour, on each server between the two."""

    @pytest.fixture(params=available_servers()[1:-1], ids=lambda binary: binary.name)
    def qcore_harness(request: pytest.FixtureRequest) -> Callable[[], Harness]:
        return _served(design, request.param)

    tests = suite(None, Run(tier=3, alternate=0, scale=_SCALE, seed=_SEED), only=_SMOKE)
    return {**tests, "qcore_harness": qcore_harness}


def as_a_log() -> Mapping[str, Any]:
    """Streams in log mode: groups, history, and what its groups share with other queues."""
    run = Run(tier=1, alternate=0, scale=_SCALE, seed=_SEED)
    return suite(_served("streams?mode=log", newest()), run, only=_SMOKE | _LOG | _LEASES)


def within_a_process() -> Mapping[str, Any]:
    """The reference, in both colours."""
    return suite(
        lambda: MemoryHarness("memory://conformance"), Run(tier=1, scale=_SCALE, seed=_SEED)
    )


def topics_within_a_process() -> Mapping[str, Any]:
    """The reference of what only hands on, in one colour for each test."""
    run = Run(tier=1, alternate=0, scale=_SCALE, seed=_SEED)
    return suite(lambda: MemoryHarness("memory+pubsub://conformance"), run)


def as_a_log_within_a_process() -> Mapping[str, Any]:
    """The reference of a log, in both colours."""
    run = Run(tier=1, scale=_SCALE, seed=_SEED)
    return suite(lambda: MemoryHarness("memory://conformance?mode=log"), run, only=_SMOKE | _LOG)
