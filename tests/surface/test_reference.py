"""The tables of the pages, held to the code that they speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

import qcore
from qcore.backend import Adapter
from qcore.capabilities import KNOWN
from qcore.registry import find, installed
from qcore.url import Parameter, parse_url, typed

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
ADAPTERS: Sequence[Adapter] = [
    find(parse_url(f"{one.scheme}://"))[0]
    for one in installed()
    if one.package.startswith("qcore-jobs ")
]


def rows(page: Path, width: int) -> list[list[str]]:
    """The cells of the page's tables that have so many columns, heads first, code marks off."""
    lines = re.findall(r"^\|(.*)\|$", page.read_text(), re.MULTILINE)
    cells = [[cell.strip().replace("`", "") for cell in line.split("|")] for line in lines]
    return [row for row in cells if len(row) == width and set(row) != {"---"}]


def short(scheme: str) -> str:
    """What the pages call an adapter."""
    return scheme.rpartition("+")[2]


def test_the_page_of_urls_lists_every_parameter() -> None:
    """A parameter is found where people look for it, with its true default."""
    listed = {row[0]: row[1:] for row in rows(REFERENCE / "urls.md", 5)[1:]}
    known: dict[str, tuple[Parameter, list[str]]] = {}
    for adapter in ADAPTERS:
        for parameter in adapter.parameters:
            known.setdefault(parameter.name, (parameter, []))[1].append(short(adapter.scheme))

    assert listed.keys() == known.keys()
    for name, (parameter, owners) in known.items():
        kind, default, of, meaning = listed[name]
        query = f"?{name}={default}" if default else ""
        assert typed(parse_url(f"memory://{query}"), [parameter]) == {name: parameter.default}
        assert (
            kind
            == {"str": "text", "int": "number", "bool": "yes or no", "seconds": "time"}[
                parameter.kind
            ]
        )
        assert of.split(", ") == (["all"] if len(owners) == len(ADAPTERS) else sorted_as(owners))
        assert meaning == parameter.help


def sorted_as(owners: list[str]) -> list[str]:
    """Adapters in the order of the pages."""
    return [name for name in ("memory", "list", "streams", "pubsub") if name in owners]


def test_the_page_of_capabilities_says_what_the_code_says() -> None:
    """One word means one thing, in messages and on pages."""
    listed = dict(rows(REFERENCE / "capabilities.md", 2)[1:])

    assert listed == KNOWN


def test_the_page_of_capabilities_gives_the_limits_of_every_adapter() -> None:
    """Who plans for a limit finds the number that is kept."""
    listed = {row[0]: float(row[1]) for row in rows(REFERENCE / "capabilities.md", 3)[1:]}

    for adapter in ADAPTERS:
        assert listed == attrs.asdict(adapter.promises().limits), adapter.scheme


def test_the_page_of_errors_gives_every_code() -> None:
    """Who matches on a code finds it, and whether to try again."""
    listed = {row[0]: row[1:] for row in rows(REFERENCE / "errors.md", 4)[1:]}
    errors = {
        name: value
        for name, value in vars(qcore).items()
        if isinstance(value, type) and issubclass(value, qcore.QcoreError)
    }
    del errors["QcoreError"]

    assert listed.keys() == errors.keys()
    for name, error in errors.items():
        code, retryable, also = listed[name]
        assert (code, retryable == "yes") == (error.code, error.retryable)
        for base in (ValueError, LookupError):
            assert issubclass(error, base) == (also == base.__name__)


@pytest.mark.parametrize("name", qcore.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    """What is exported is written down."""
    pages = "".join(page.read_text() for page in (REFERENCE / "api.md", REFERENCE / "errors.md"))

    assert re.search(rf"^\.\. auto\w+:: qcore\.{name}(?:\(\))?$", pages, re.MULTILINE)
