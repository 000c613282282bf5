"""The contract as data, read from the same text that people read.

An invariant applies to an adapter when every word of its scope holds for the capabilities that
the running adapter claims. Capabilities that this version of qcore does not know yet are told
apart from those that an adapter refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from importlib.resources import files

import attrs

from qcore import Capabilities
from qcore.capabilities import KNOWN

__all__ = ["VERSION", "Invariant", "Scope", "contract", "parsed", "scope_of", "text"]

_LINE = re.compile(
    r"^- \*\*(?P<id>Q-[A-Z]+-\d+)\*\* `(?P<scope>[^`]+)` `(?P<tier>[^`]+)` "
    r"(?:`since (?P<since>\d+\.\d+)` )?(?P<text>(?!`since ).+)$"
)
_FIRST = "1.0"
_HEADING = re.compile(r"^## (?P<title>.+)$")
_TIER = re.compile(r"T(\d)")
_DELIVERY: Mapping[str, str] = {"A": "at_least_once", "M": "at_most_once"}


class Scope(Enum):
    """Whether an invariant concerns an adapter."""

    APPLIES = "applies"
    REFUSED = "refused"
    FUTURE = "future"


@attrs.frozen
class Invariant:
    """One line of the contract.

    Attributes:
        id: Its stable id.
        scope: The words that must hold for it to apply.
        tiers: What the test bed must offer: any one of these is enough, the last is the whole.
        stochastic: Whether it depends on chance and needs a least number of hits.
        text: What it says.
        section: The heading that it stands under.
        since: The version of the contract that promised it first.
    """

    id: str
    scope: Sequence[str]
    tiers: Sequence[int]
    stochastic: bool
    text: str
    section: str
    since: str = _FIRST

    @property
    def capability(self) -> str:
        """The first capability of its scope, or ``core``."""
        for word in self.scope:
            if word not in ("R", "A", "M"):
                return re.split(r"[:=]", word.removeprefix("!"))[0]
        return {"A": "at_least_once", "M": "at_most_once"}.get(self.scope[0], "core")


def text() -> str:
    """The contract as people read it, in Markdown."""
    return files(__name__.rpartition(".")[0]).joinpath("contract.md").read_text(encoding="utf-8")


@cache
def contract(version: str = "") -> Mapping[str, Invariant]:
    """Every invariant by its id, in the order of the text.

    Args:
        version: Only what that version of the contract promised; the newest if empty.

    Raises:
        ValueError: If no version of that name was ever written.
    """
    whole = parsed(text())
    wanted = _number(version or VERSION)
    known = {_number(one.since) for one in whole.values()} | {_number(VERSION), _number(_FIRST)}
    if wanted not in known:
        names = ", ".join(".".join(map(str, one)) for one in sorted(known))
        raise ValueError(f"there is no contract {version!r}; there is {names}")
    return {name: one for name, one in whole.items() if _number(one.since) <= wanted}


def parsed(written: str) -> dict[str, Invariant]:
    """Read the text of a contract.

    Raises:
        ValueError: If a line is no invariant but looks like one, if two have the same id, or if
            one is promised since a version that is still to come.
    """
    newest = _number(written.splitlines()[0].rpartition(" ")[2])
    found: dict[str, Invariant] = {}
    section = ""
    for line in written.splitlines():
        if heading := _HEADING.match(line):
            section = heading["title"]
        elif line.startswith("- **"):
            one = _invariant(line, section)
            if one.id in found or _number(one.since) > newest:
                raise ValueError(f"{one.id} stands there twice, or is of a version to come")
            found[one.id] = one
    return found


def _invariant(line: str, section: str) -> Invariant:
    row = _LINE.match(line)
    if row is None:
        raise ValueError(f"this is no line of a contract: {line}")
    tier = row["tier"]
    return Invariant(
        id=row["id"],
        scope=tuple(row["scope"].split()),
        tiers=tuple(int(number) for number in _TIER.findall(tier)),
        stochastic=tier.endswith(" S"),
        text=row["text"],
        section=section,
        since=row["since"] or _FIRST,
    )


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    if not (major.isdecimal() and minor.isdecimal()):
        raise ValueError(f"a version of the contract looks like {VERSION}, not {version!r}")
    return int(major), int(minor)


def _version() -> str:
    first = text().splitlines()[0]
    return first.rpartition(" ")[2]


VERSION = _version()
"""The version of the contract that this suite checks."""


def scope_of(invariant: Invariant, capabilities: Capabilities) -> Scope:
    """Whether an invariant concerns an adapter with these capabilities."""
    names = [re.split(r"[:=]", word.removeprefix("!"))[0] for word in invariant.scope]
    if any(name not in KNOWN and name not in ("R", "A", "M") for name in names):
        return Scope.FUTURE
    holds = all(_holds(word, capabilities) for word in invariant.scope)
    return Scope.APPLIES if holds else Scope.REFUSED


def _holds(word: str, capabilities: Capabilities) -> bool:
    if word == "R":
        return True
    if word in _DELIVERY:
        return capabilities.value("delivery") == _DELIVERY[word]
    if word.startswith("!"):
        return word[1:] not in capabilities
    name, equals, value = word.partition("=")
    if equals:
        return str(capabilities.value(name)) == value
    return word in capabilities
