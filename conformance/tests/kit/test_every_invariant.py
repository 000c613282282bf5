"""The contract and the tests of the suite name the same invariants."""

from __future__ import annotations

import importlib
import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping

import pytest

from qcore.capabilities import KNOWN
from qcore_conformance.colours import Colour
from qcore_conformance.contract import Invariant, contract
from qcore_conformance.suite import modules

OPEN = frozenset[str]()
"""Invariants that no test checks yet."""


def of_the_suite() -> Iterator[tuple[str, object]]:
    """Every test of the suite, by its name."""
    for module in modules():
        for name, value in vars(importlib.import_module(module)).items():
            if name.startswith("test_") and inspect.isfunction(value):
                yield f"{module}.{name}", value


def marks(test: object, name: str) -> list[pytest.Mark]:
    """The marks of one kind that a test carries, or some of its parameters do."""
    own: list[pytest.Mark] = getattr(test, "pytestmark", [])
    parameters = [each for mark in own if mark.name == "parametrize" for each in mark.args[1]]
    of_parameters = [mark for each in parameters for mark in getattr(each, "marks", ())]
    found: list[pytest.Mark | pytest.MarkDecorator] = [*own, *of_parameters]
    plain = [one.mark if isinstance(one, pytest.MarkDecorator) else one for one in found]
    return [mark for mark in plain if mark.name == name]


def checked() -> Mapping[str, list[str]]:
    """The names of the tests of each invariant."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, test in of_the_suite():
        for mark in marks(test, "qcore_invariant"):
            for one in mark.args:
                found[one].append(name)
    return found


def is_future(one: Invariant) -> bool:
    """Whether an invariant is about a capability that qcore does not have yet."""
    words = (word.strip("!").partition(":")[0].partition("=")[0] for word in one.scope)
    if any(word not in KNOWN and word not in ("R", "A", "M") for word in words):
        return True
    values = (word.partition("=")[2] or word.partition(":")[2] for word in one.scope)
    return any(value in ("fifo_key", "replicated") for value in values)


def test_every_test_names_invariants_of_the_contract() -> None:
    """A test without an id is in no report, and one with an unknown id neither."""
    anonymous = [name for name, test in of_the_suite() if not marks(test, "qcore_invariant")]
    assert (anonymous, sorted(checked().keys() - contract().keys())) == ([], [])


def test_every_invariant_has_a_test() -> None:
    """But for those that are listed, and whoever writes a test for one takes it off the list."""
    missing = {
        name for name, one in contract().items() if name not in checked() and not is_future(one)
    }
    assert sorted(missing) == sorted(OPEN)


def test_a_test_of_one_colour_says_why() -> None:
    """All others run in both."""
    for name, test in of_the_suite():
        for mark in marks(test, "qcore_colour"):
            colour, reason = mark.args
            assert colour in list(Colour), name
            assert len(reason.split()) > 2, name
