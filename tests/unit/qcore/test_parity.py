"""Below and above the seam, what blocks and what is awaited have the same shape."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import qcore
from qcore.backend import (
    AsyncBackend,
    AsyncControl,
    AsyncGroups,
    AsyncHistory,
    AsyncInspection,
    AsyncSubscriptions,
    Backend,
    Control,
    Groups,
    History,
    Inspection,
    Subscriptions,
)
from qcore.consume.async_commit import AsyncLane
from qcore.consume.async_flushes import AsyncFlushes
from qcore.consume.async_home import AsyncHome
from qcore.consume.async_session import AsyncSession
from qcore.consume.commit import Lane
from qcore.consume.flushes import Flushes
from qcore.consume.home import Home
from qcore.consume.session import Session

PUBLIC: list[tuple[type, type]] = [
    (qcore.Queue, qcore.AsyncQueue),
    (qcore.Delivery, qcore.AsyncDelivery),
    (qcore.Consumer, qcore.AsyncConsumer),
    (qcore.Connection, qcore.AsyncConnection),
    (Backend, AsyncBackend),
    (Control, AsyncControl),
    (Groups, AsyncGroups),
    (History, AsyncHistory),
    (Inspection, AsyncInspection),
    (Subscriptions, AsyncSubscriptions),
]
INNER: list[tuple[type, type]] = [
    (Session, AsyncSession),
    (Home, AsyncHome),
    (Flushes, AsyncFlushes),
    (Lane, AsyncLane),
]
ONLY: dict[type, set[str]] = {
    # What takes time to open cannot be opened by making it.
    qcore.AsyncConnection: {"open"},
    # A thread cannot be ended from outside, a task can.
    AsyncLane: {"abandon"},
}

each_pair = pytest.mark.parametrize(
    ("plain", "awaited"), [*PUBLIC, *INNER], ids=lambda kind: kind.__name__
)
each_public_pair = pytest.mark.parametrize(
    ("plain", "awaited"), PUBLIC, ids=lambda kind: kind.__name__
)


def members(kind: type) -> dict[str, Any]:
    """The public members of a class, inherited ones included."""
    return {
        name: value for name, value in inspect.getmembers_static(kind) if not name.startswith("_")
    }


@each_pair
def test_both_colours_have_the_same_names(plain: type, awaited: type) -> None:
    """Nothing is there for one of them only, unless it has a reason."""
    assert members(awaited).keys() - ONLY.get(awaited, set()) == members(plain).keys()


@each_public_pair
def test_both_colours_have_the_same_parameters(plain: type, awaited: type) -> None:
    """With the same names, kinds, defaults and types; what is returned differs by colour alone."""
    theirs = members(awaited)
    for name, member in members(plain).items():
        if not inspect.isfunction(member):
            assert type(member) is type(theirs[name]), name
            continue
        mine, yours = inspect.signature(member), inspect.signature(theirs[name])
        assert str(mine.parameters) == str(yours.parameters), name
        returned = str(mine.return_annotation), str(yours.return_annotation)
        assert returned[0] == returned[1].replace("Async", ""), name


@each_public_pair
def test_what_does_io_is_awaited(plain: type, awaited: type) -> None:
    """And only that."""
    for name, member in members(plain).items():
        assert not inspect.iscoroutinefunction(member), name
    at_once = {"interrupt", "classify", "native", "gaps", "queue", "group", "consume"}
    at_once |= {"lose", "renewed", "noted", "check_own", "set_result", "tell", "then"}
    for name, member in members(awaited).items():
        if inspect.isfunction(member):
            assert inspect.iscoroutinefunction(member) is (name not in at_once), name
