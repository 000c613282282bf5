"""What a module offers is what it says that it offers, and is explained."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import qcore

PRIVATE = ("qcore.__main__", "qcore.cli")
"""The command line is used by its words, not by its names."""


def modules() -> Iterator[ModuleType]:
    """Every module of qcore that others may import."""
    yield qcore
    for found in pkgutil.walk_packages(qcore.__path__, "qcore."):
        if not found.name.startswith(PRIVATE):
            yield importlib.import_module(found.name)


each_module = pytest.mark.parametrize("module", list(modules()), ids=lambda module: module.__name__)


def defined(module: ModuleType) -> set[str]:
    """The public classes and functions that a module defines itself."""
    tree = ast.parse(inspect.getsource(module))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if not node.name.startswith("_")
    }


def explained(name: str, value: Any) -> Iterator[tuple[str, str | None]]:
    """Whatever of a public name a reader may ask about, with its explanation."""
    if inspect.isfunction(value):
        yield name, value.__doc__
    if not inspect.isclass(value):
        return
    yield name, value.__doc__
    for member, held in vars(value).items():
        inner = getattr(held, "__func__", held)
        if member[0] != "_" and (inspect.isfunction(inner) or isinstance(inner, property)):
            yield f"{name}.{member}", inner.__doc__


@each_module
def test_a_module_lists_its_names_in_order(module: ModuleType) -> None:
    """Each once, and each of them exists."""
    listed = list(getattr(module, "__all__", []))
    assert len(set(listed)) == len(listed)
    assert [name for name in listed if not hasattr(module, name)] == []


@each_module
def test_what_a_module_defines_is_listed(module: ModuleType) -> None:
    """Or begins with an underscore, as it is nobody's business."""
    assert defined(module) - set(getattr(module, "__all__", [])) == set()


@each_module
def test_everything_public_is_explained(module: ModuleType) -> None:
    """The module, its classes, their methods, and its functions."""
    assert module.__doc__
    names = {name: getattr(module, name) for name in getattr(module, "__all__", [])}
    texts = [pair for name, value in names.items() for pair in explained(name, value)]
    assert [name for name, text in texts if not text] == []


def test_importing_qcore_imports_no_broker_and_no_command_line() -> None:
    """Start-up pays for nothing that is not used."""
    code = "import sys, qcore; print(*sys.modules)"
    done = subprocess.run(  # noqa: S603  (this very interpreter)
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"click", "qcore_redis", "redis", "rich", "stevedore", "structlog"})
