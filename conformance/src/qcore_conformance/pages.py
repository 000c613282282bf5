"""The report as a page that people enjoy: a matrix of adapters by capabilities, to be opened.

In go reports as ``as_json`` made them, one for each adapter and server; out comes one HTML file
that needs nothing beside itself: no network, no script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import jinja2

from .outcomes import Outcome

__all__ = ["as_html"]

_SIGNS: Mapping[str, str] = {
    Outcome.PASS: "✓",
    Outcome.FAIL: "✗",
    Outcome.UNKNOWN: "?",
    Outcome.WAIVED: "!",
    Outcome.REFUSES: "⊘",
    Outcome.NOT_APPLICABLE: "∅",
    Outcome.NOT_RUN: "·",
}


def as_html(reports: Sequence[Mapping[str, Any]]) -> str:
    """One page over some reports; the columns are in their order.

    Args:
        reports: What ``as_json`` made; at least one.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__name__.rpartition(".")[0], ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("page.html.j2")
    capabilities = {row["capability"]: None for report in reports for row in report["capabilities"]}
    return page.render(
        columns=[_column(number, report) for number, report in enumerate(reports)],
        capabilities=list(capabilities),
        signs=_SIGNS,
        outcomes=[str(outcome) for outcome in Outcome],
        fine=all(report["conforms"] for report in reports),
    )


def _column(number: int, report: Mapping[str, Any]) -> dict[str, Any]:
    header: Mapping[str, Any] = report["header"]
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in report["invariants"]:
        tests = [{**test, "worth_telling": _is_worth_telling(test)} for test in one["tests"]]
        found.setdefault(one["capability"], []).append({**one, "tests": tests})
    return {
        "id": f"c{number}",
        "adapter": header["adapter"],
        "server": _server(header.get("server", {})),
        "conforms": report["conforms"],
        "tier": header.get("tier", "unknown"),
        "counts": report["counts"],
        "facts": list(_facts(header)),
        "cells": {row["capability"]: row for row in report["capabilities"]},
        "invariants": found,
    }


def _is_worth_telling(test: Mapping[str, Any]) -> bool:
    return test["outcome"] != Outcome.PASS or bool(test["figures"])


def _server(facts: Mapping[str, str]) -> str:
    """The server in a word or two; nothing where there is none."""
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts['redis_version']}" if "redis_version" in facts else ""


def _facts(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    for name, value in header.items():
        nested = isinstance(value, Mapping)
        items = cast("Mapping[str, object]", value) if nested else {name: cast("object", value)}
        told += [(key, str(item)) for key, item in items.items()]
    return told
