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

__all__ = ["VERSION", "Invariant", "Scope", "contract", "scope_of", "text"]

_LINE = re.compile(
    r"^- \*\*(?P<id>Q-[A-Z]+-\d+)\*\* `(?P<scope>[^`]+)` `(?P<tier>[^`]+)` (?P<text>.+)$"
)
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
    """

    id: str
    scope: Sequence[str]
    tiers: Sequence[int]
    stochastic: bool
    text: str
    section: str

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
def contract() -> Mapping[str, Invariant]:
    """Every invariant by its id, in the order of the text."""
    found: dict[str, Invariant] = {}
    section = ""
    for line in text().splitlines():
        if heading := _HEADING.match(line):
            section = heading["title"]
        elif row := _LINE.match(line):
            tier = row["tier"]
            found[row["id"]] = Invariant(
                id=row["id"],
                scope=tuple(row["scope"].split()),
                tiers=tuple(int(number) for number in _TIER.findall(tier)),
                stochastic=tier.endswith(" S"),
                text=row["text"],
                section=section,
            )
    return found


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
