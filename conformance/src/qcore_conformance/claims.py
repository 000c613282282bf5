"""Claims files: what an adapter is said to be able to do, committed beside its harness.

In go a file and the capabilities of the running adapter; out come the differences, in words and
in both directions, so that a promise is neither lost nor won unnoticed.

    adapter = "acme"
    emulated = ["delay"]        # those that the broker does not do by itself
    varies = ["durability"]     # values of the reference server, which others need not have

    [claims]
    delivery = "at_least_once"
    delay = true

    [limits]                    # all of them
    body = 65_536
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from qcore import Capabilities

__all__ = ["ClaimsFile", "read_claims"]


def _no_claims() -> dict[str, Any]:
    return {}


@attrs.frozen
class ClaimsFile:
    """What a claims file says.

    Attributes:
        adapter: The scheme of the adapter.
        claims: The value of each capability that is offered, by name.
        limits: The numeric limits, by name.
        emulated: The capabilities that the adapter emulates.
        varies: Those whose value is that of the reference server.
    """

    adapter: str
    claims: Mapping[str, Any] = attrs.field(factory=_no_claims)
    limits: Mapping[str, Any] = attrs.field(factory=_no_claims)
    emulated: Collection[str] = ()
    varies: Collection[str] = ()

    def differences(self, found: Capabilities, *, reference: bool) -> list[str]:
        """Everything in which a running adapter differs from this file.

        Args:
            found: The capabilities of the running adapter.
            reference: Whether it runs on the reference server; if not, what varies may.
        """
        said = {
            name: self._said(name, value, emulated=name in self.emulated, reference=reference)
            for name, value in self.claims.items()
        }
        seen = {
            name: self._said(name, claim.value, emulated=not claim.native, reference=reference)
            for name, claim in ((name, found.claims[name]) for name in found)
        }
        return [
            *_differing("adapter", {"scheme": self.adapter}, {"scheme": found.adapter}),
            *_differing("capability", said, seen),
            *_differing("limit", self.limits, attrs.asdict(found.limits)),
        ]

    def _said(self, name: str, value: object, *, emulated: bool, reference: bool) -> str:
        if name in self.varies and not reference:
            return "some value"
        return f"{value!r}, emulated" if emulated else repr(value)


def _differing(what: str, said: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(said.keys() | seen.keys()):
        promised, offered = said.get(name, "nothing"), seen.get(name, "nothing")
        if promised != offered:
            yield f"{what} {name}: the file says {promised}, the adapter {offered}"


def read_claims(path: str | Path) -> ClaimsFile:
    """Read a claims file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no TOML.
        TypeError: If it has a part that no claims file has.
    """
    return ClaimsFile(**tomllib.loads(Path(path).read_text(encoding="utf-8")))
