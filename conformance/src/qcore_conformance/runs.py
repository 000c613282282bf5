"""How much of the suite a run plays: how far up the tiers, in which colours, how large.

A module of somebody's own says so where it takes the tests in; options of the command line go
before that. What nobody says is tier 1, both colours, and the counts of the contract.
"""

from __future__ import annotations

import re
from zlib import crc32

import attrs

from .colours import Colour

__all__ = ["Run", "the_colour_of"]

_COLOURS = re.compile(rf"\b(?:{'|'.join(Colour)})\b")
_NEVER = 5
"""A tier that no test has."""


@attrs.frozen(kw_only=True)
class Run:
    """How much is played; ``None`` is what was not said.

    Attributes:
        tier: The highest tier, 0 to 4.
        alternate: From this tier on, a test runs in one colour, which its name decides.
        scale: What large counts are multiplied by.
        seed: What values that are made up are made from; a new one for each test if not said.
    """

    tier: int | None = None
    alternate: int | None = None
    scale: float | None = None
    seed: int | None = None

    def or_else(self, other: Run) -> Run:
        """What this one says, and what the other says of the rest."""
        said = attrs.asdict(self, filter=lambda _, value: value is not None)
        return attrs.evolve(other, **said)

    def plays(self, tier: int, name: str) -> bool:
        """Whether it plays a test in the colour that its name ends with.

        Args:
            tier: The lowest tier of the test.
            name: Of module and test, with the parameters in brackets.
        """
        alternate = _NEVER if self.alternate is None else self.alternate
        return tier < alternate or the_colour_of(name) in _COLOURS.findall(name)


def the_colour_of(name: str) -> Colour:
    """The one colour of a test, by what its name is without a colour: the same on every machine."""
    bare = _COLOURS.sub("", name)
    return list(Colour)[crc32(bare.encode()) % len(Colour)]
