"""Verbs of other packages: entry points of the group ``qcore.commands``, loaded when typed.

Goes in: the name of a verb. Comes out: a click command, or ``VerbUnusable`` that says which
package is to blame. No error of one verb reaches another.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

import attrs
import click

from qcore.cli.exits import VerbUnusable

__all__ = ["GROUP", "Plugin", "load", "plugins", "refused"]

GROUP = "qcore.commands"


@attrs.frozen
class Plugin:
    """A verb that another package registers, not yet imported.

    Attributes:
        name: The verb.
        package: The distribution, with its version.
        entry: Where the click command is.
    """

    name: str
    package: str
    entry: EntryPoint


def plugins() -> list[Plugin]:
    """Every registered verb, sorted, without importing any."""
    found = [
        Plugin(point.name, f"{point.dist.name} {point.dist.version}" if point.dist else "", point)
        for point in entry_points(group=GROUP)
    ]
    return sorted(found, key=lambda one: (one.name, one.package))


def refused(name: str, found: Collection[Plugin], built_in: Collection[str]) -> str:
    """Why the verb cannot be had from a package; empty if it can."""
    packages = " and ".join(one.package for one in found if one.name == name)
    if name in built_in:
        return f"the verb {name!r} is built in; the one of {packages} is left out"
    if sum(one.name == name for one in found) > 1:
        return f"the verb {name!r} is registered by {packages}; uninstall one of them"
    return ""


def load(plugin: Plugin) -> click.Command:
    """Import a verb.

    Raises:
        VerbUnusable: If it cannot be imported, or is no click command.
    """
    whose = f"the verb {plugin.name!r} of {plugin.package}"
    try:
        command: object = plugin.entry.load()
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise VerbUnusable(f"{whose} cannot be imported ({why}); reinstall that package") from error
    if not isinstance(command, click.Command):
        raise VerbUnusable(f"{whose} is a {type(command).__name__}, not a click command")
    return command
