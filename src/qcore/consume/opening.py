"""What a URL asks for, worked out before any I/O; the same for both colours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import attrs

from qcore.backend import Adapter, Modal, Setup
from qcore.capabilities import KNOWN, Capabilities
from qcore.clock import Clock
from qcore.errors import InvalidInput, UnsupportedCapability
from qcore.ids import new_nonce
from qcore.log import CAPABILITY_LOWERED, Logger
from qcore.options import lease_seconds, name_of
from qcore.registry import find
from qcore.url import SchemeParts, Url, nearest, parse_url, typed

__all__ = ["Opening", "opening"]


@attrs.frozen
class Opening:
    """Everything needed to open sessions to one broker."""

    url: Url
    adapter: Adapter
    parts: SchemeParts
    params: Mapping[str, Any]
    require: frozenset[str]
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic

    def setup(self) -> Setup:
        """What an adapter is opened with; the nonce is a new one each time."""
        return Setup(
            url=self.url,
            secure=self.parts.secure,
            topology=self.parts.topology,
            params=self.params,
            owner=new_nonce(),
            clock=self.clock,
        )

    @property
    def default_lease(self) -> float:
        """Seconds of a lease where the caller gives none."""
        return float(self.params.get("lease", 30.0))

    @property
    def patience(self) -> float:
        """Seconds that a call tries to reach a lost broker."""
        return float(self.params.get("patience", 10.0))

    def check(self, found: Capabilities) -> None:
        """Compare what was found with what is required.

        Raises:
            UnsupportedCapability: If something is missing; lists all of it.
        """
        _refuse_missing(found, self.require)
        best = self.adapter.promises()
        lowered = {name: _why(found, name) for name in best if _why(found, name)}
        if lowered:
            Logger(adapter=found.adapter).info(CAPABILITY_LOWERED, **lowered)


def _refuse_missing(found: Capabilities, require: Iterable[str]) -> None:
    """Refuse with every requirement that is not met, and why each is not."""
    if missing := found.missing(require):
        names = [item.partition(":")[0] for item in missing]
        whys = [(name, _why(found, name)) for name in names]
        why = "; ".join(f"{name}: {why}" for name, why in whys if why)
        raise UnsupportedCapability(found.adapter, "', '".join(missing), why)


def _why(found: Capabilities, name: str) -> str:
    claim = found.claims.get(name)
    return found.refusals.get(name, "") if claim is None else claim.why


def opening(text: str, require: Iterable[str], clock: Clock) -> Opening:
    """Understand a URL and what is required of it, without any I/O.

    Raises:
        InvalidUrl: If the URL or one of its parameters is wrong.
        InvalidInput: If a requirement is no capability.
        AdapterNotFound: If no installed package registers the scheme.
        UnsupportedCapability: If the adapter never offers what is required.
    """
    url = parse_url(text)
    adapter, parts = find(url)
    params = typed(url, adapter.parameters)
    name_of("namespace", params.get("namespace", "default"))
    if isinstance(adapter, Modal):
        adapter = adapter.in_mode(params)
    best = adapter.promises()
    if "lease" in params:
        lease_seconds(params["lease"], best.limits)
    required = _required(require)
    _refuse_missing(best, required)
    return Opening(url, adapter, parts, params, required, clock)


def _required(require: object) -> frozenset[str]:
    if isinstance(require, str | bytes) or not isinstance(require, Iterable):
        raise InvalidInput("require must be a list of capabilities, such as ['fenced']")
    return frozenset(map(_known, cast("Iterable[object]", require)))


def _known(requirement: object) -> str:
    name = requirement.partition(":")[0] if isinstance(requirement, str) else requirement
    if not isinstance(requirement, str) or name not in KNOWN:
        hint = nearest(str(name), KNOWN) or "."
        raise InvalidInput(f"{name!r} is no capability{hint} Known: {', '.join(KNOWN)}")
    return requirement
