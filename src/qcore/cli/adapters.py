"""``qcore adapters``: which are installed, and what each promises, at best or here and now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import click

from qcore.capabilities import KNOWN, Capabilities
from qcore.cli.exits import Exit
from qcore.cli.screen import Column, Row
from qcore.cli.shell import Shell, verb
from qcore.errors import QcoreError
from qcore.registry import Installed, find, installed
from qcore.url import Url

__all__ = ["adapters"]

_SUMMARY = ("delivery", "durability", "scope", "order")

_INSTALLED_COLUMNS = (
    Column("scheme", "scheme"),
    Column("package", "package"),
    *(Column(name, name) for name in _SUMMARY),
    Column("problem", "problem", show=lambda value: value or ""),
)

_HERE_COLUMNS = (
    Column("capability", "capability"),
    Column("at best", "best"),
    Column("here", "here"),
    Column("why", "why"),
)


def _claims(capabilities: Capabilities) -> dict[str, Any]:
    return {
        "claims": {name: attrs.asdict(claim) for name, claim in capabilities.claims.items()},
        "refusals": dict(capabilities.refusals),
        "limits": attrs.asdict(capabilities.limits),
    }


def _installed_row(one: Installed) -> Row:
    row = {"scheme": one.scheme, "package": one.package, "target": one.target}
    try:
        promises = find(Url(one.scheme))[0].promises()
    except QcoreError as error:
        return {**row, **dict.fromkeys(_SUMMARY), "problem": str(error)}
    summary = {name: promises.value(name) for name in _SUMMARY}
    return {**row, **summary, "problem": None, **_claims(promises)}


def _comparison(best: Capabilities, here: Capabilities) -> list[Row]:
    """Every capability: at best, here, and why it is less."""
    rows: list[Row] = []
    for name in [*KNOWN, *sorted({*best.claims, *here.claims} - set(KNOWN))]:
        claim = here.claims.get(name)
        why = claim.why if claim else here.refusals.get(name, "")
        if claim and not claim.native:
            why = f"{why}; emulated" if why else "emulated"
        rows.append(
            {
                "capability": name,
                "best": _offered(best, name),
                "here": _offered(here, name),
                "why": why,
            }
        )
    return rows


def _offered(capabilities: Capabilities, name: str) -> object:
    return capabilities.value(name) if name in capabilities else False


def _fact_rows(title: str, facts: Mapping[str, Any]) -> tuple[list[Row], tuple[Column, Column]]:
    rows: list[Row] = [{"name": name, "value": value} for name, value in facts.items()]
    return rows, (Column(title, "name"), Column("", "value"))


def _show_here(shell: Shell, url: str, require: tuple[str, ...]) -> None:
    with shell.connection(url, require) as connection:
        best, here = connection.adapter.promises(), connection.capabilities
        if shell.screen.as_json:
            facts = {name: _plain_fact(value) for name, value in here.facts.items()}
            row: Row = {
                "scheme": here.adapter,
                **_claims(here),
                "facts": facts,
                "best": _claims(best),
            }
            shell.screen.rows([row], ())
            return
        shell.screen.rows(_comparison(best, here), _HERE_COLUMNS)
        for title, values in (("limit", attrs.asdict(here.limits)), ("fact", here.facts)):
            if values:
                shell.screen.line("")
            shell.screen.rows(*_fact_rows(title, values))


def _plain_fact(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else str(value)


@click.command()
@click.argument("url", required=False)
@click.option(
    "--require", multiple=True, metavar="CAPABILITY", help="Exit with 4 unless this is offered."
)
@verb
def adapters(shell: Shell, url: str | None, require: tuple[str, ...]) -> Exit:
    """Show the installed adapters, or what the broker at URL promises, and why it is not more.

    URL may be '-' for the one in QCORE_URL. A capability is a name such as 'fenced', or a name
    with the least value wanted, such as 'durability:process'.
    """
    if url:
        _show_here(shell, url, require)
        return Exit.OK
    if require:
        raise click.UsageError("--require needs a URL, or '-' for the one in QCORE_URL")
    shell.screen.rows([_installed_row(one) for one in installed()], _INSTALLED_COLUMNS)
    return Exit.OK
