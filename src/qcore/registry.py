"""Finds adapters by URL scheme among the installed packages; loads only the one that is named.

Adapters register an entry point in the group ``qcore.backends`` whose name is the scheme,
literally. Two packages that register the same scheme are an error, not a silent winner.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import attrs

from qcore.backend import Adapter
from qcore.errors import AdapterConflict, AdapterNotFound
from qcore.url import SchemeParts, Url, nearest, split_scheme

__all__ = ["GROUP", "Installed", "find", "installed"]

GROUP = "qcore.backends"

_FAMILIES = ("redis", "rediss", "valkey", "valkeys")


@attrs.frozen
class Installed:
    """An adapter that is installed, not yet imported.

    Attributes:
        scheme: The URL scheme.
        package: The distribution that registers it, with its version.
        target: Where the adapter object is, as ``module:name``.
    """

    scheme: str
    package: str
    target: str


def installed() -> Sequence[Installed]:
    """Every registered adapter, sorted by scheme, without importing any.

    What is installed behind the first look is seen once ``sys.path`` changes, or by a new process.
    """
    return _installed_on(tuple(sys.path))


@lru_cache(maxsize=1)
def _installed_on(path: tuple[str, ...]) -> Sequence[Installed]:  # noqa: ARG001  (the cache's key)
    """Every registered adapter; the metadata of all packages take too long for each connect."""
    found = [
        Installed(point.name, _package(point), point.value) for point in entry_points(group=GROUP)
    ]
    return tuple(sorted(found, key=lambda one: (one.scheme, one.package)))


def _package(point: EntryPoint) -> str:
    dist = point.dist
    return "unknown" if dist is None else f"{dist.name} {dist.version}"


def find(url: Url) -> tuple[Adapter, SchemeParts]:
    """Load the adapter that a URL names.

    Returns:
        The adapter, and what else the scheme says: TLS, topology.

    Raises:
        AdapterNotFound: If none is installed, or its package cannot be imported.
        AdapterConflict: If two packages register the scheme.
    """
    known = installed()
    parts = split_scheme(url.scheme, {one.scheme for one in known})
    candidates = [one for one in known if one.scheme == parts.adapter]
    if not candidates:
        raise AdapterNotFound(_not_found(url.scheme, known))
    if len(candidates) > 1:
        packages = " and ".join(one.package for one in candidates)
        raise AdapterConflict(
            f"the scheme {parts.adapter!r} is registered by {packages}; uninstall one of them"
        )
    return _load(candidates[0]), parts


def _not_found(scheme: str, known: Sequence[Installed]) -> str:
    schemes = [one.scheme for one in known]
    listed = ", ".join(f"{one}://" for one in schemes) or "none"
    if scheme in _FAMILIES:
        return (
            f"{scheme}:// does not say which design to use, and they promise different things: "
            "redis+list:// (reliable list), redis+streams:// (consumer group) or "
            "redis+pubsub:// (fire and forget)"
        )
    hint = nearest(scheme, _with_forms(schemes))
    advice = (
        ""
        if hint
        else f"; an adapter for it is a package with an entry point in {GROUP!r}, "
        f"perhaps to be had by: pip install qcore-{scheme.partition('+')[0]}."
    )
    return f"no installed package registers the scheme {scheme!r}{hint}{advice} Installed: {listed}"


def _with_forms(schemes: Iterable[str]) -> list[str]:
    return [form for scheme in schemes for form in (scheme, f"{scheme}+unix", f"{scheme}+embedded")]


def _load(one: Installed) -> Adapter:
    from stevedore import driver

    try:
        # Any: the class takes a type parameter only since a later version than the oldest we allow.
        manager: Any = driver.DriverManager(GROUP, one.scheme, invoke_on_load=False)
    except Exception as error:  # what the module of somebody else raises may be anything
        raise _broken(one, f"cannot be imported: {error}") from error
    scheme = getattr(manager.driver, "scheme", None)
    if scheme is None:
        raise _broken(one, f"is not usable: {one.target} is no adapter")
    if scheme != one.scheme:
        raise _broken(one, f"is not usable: {one.target} is for the scheme {scheme!r}")
    return cast("Adapter", manager.driver)


def _broken(one: Installed, what: str) -> AdapterNotFound:
    return AdapterNotFound(
        f"the adapter for {one.scheme!r} ({one.package}) {what}; "
        "reinstall it with the extras that it needs"
    )
