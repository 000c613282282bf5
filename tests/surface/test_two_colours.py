from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

import qcore

PAIRS = [
    (qcore.Connection, qcore.AsyncConnection),
    (qcore.Queue, qcore.AsyncQueue),
    (qcore.Delivery, qcore.AsyncDelivery),
    (qcore.Consumer, qcore.AsyncConsumer),
]
ONLY_ASYNC = {"open"}
"""Opening may wait, so a connection for asyncio is made first and opened by awaiting it."""

SAID_APART = {(qcore.Consumer, "close")}
"""Threads and tasks are interrupted by different things."""


def members(kind: type) -> Mapping[str, Any]:
    """The public members of a class, its bases included."""
    return {
        name: value
        for name, value in inspect.getmembers_static(kind)
        if not name.startswith("_") and name not in ONLY_ASYNC
    }


def words(member: Any) -> list[str]:
    """The words of a docstring, those left out that name the colour."""
    text = inspect.getdoc(member) or ""
    return [word for word in text.split() if word not in {"async", "a", "an", "thread", "task"}]


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_colours_have_the_same_members(blocking: type, awaited: type) -> None:
    """A program moves to asyncio by awaiting the same names."""
    assert members(blocking).keys() == members(awaited).keys()


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_colours_take_the_same_arguments(blocking: type, awaited: type) -> None:
    """And by passing them the same."""
    others = members(awaited)
    for name, member in members(blocking).items():
        if inspect.isfunction(member):
            mine = inspect.signature(member).parameters
            theirs = inspect.signature(others[name]).parameters
            assert str(mine) == str(theirs), name


@pytest.mark.parametrize(("blocking", "awaited"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_colours_say_the_same_of_themselves(blocking: type, awaited: type) -> None:
    """What is promised does not depend on the colour."""
    others = members(awaited)
    for name, member in members(blocking).items():
        if (blocking, name) not in SAID_APART:
            assert words(member) == words(others[name]), name


def test_both_ways_to_connect_take_the_same_arguments() -> None:
    """The first call of a program is the same, too."""
    assert str(inspect.signature(qcore.connect).parameters) == str(
        inspect.signature(qcore.connect_async).parameters
    )
