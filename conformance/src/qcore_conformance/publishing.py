"""The forms of a report that machines and terminals read: JSON, and Markdown for documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from .bed import Figure
from .outcomes import Outcome
from .tally import Finding, Tally

__all__ = ["as_json", "as_markdown"]


def as_json(tally: Tally) -> dict[str, Any]:
    """The whole run as plain data."""
    return {
        "header": dict(tally.header),
        "conforms": tally.conforms,
        "counts": {str(outcome): number for outcome, number in tally.counts.items()},
        "capabilities": [
            {
                "capability": row.capability,
                "claimed": row.claimed,
                "native": row.native,
                "outcome": str(row.outcome),
                "counts": {str(outcome): number for outcome, number in row.counts.items()},
            }
            for row in tally.rows
        ],
        "invariants": [_finding(one) for one in tally.findings],
        "figures": [{"test": test, **_figure(figure)} for test, figure in tally.figures],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    what, value, unit = figure
    return {"what": what, "value": value, "unit": unit}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.invariant.id,
        "text": finding.invariant.text,
        "capability": finding.invariant.capability,
        "outcome": str(finding.outcome),
        "why": finding.why,
        "tests": [
            {
                "test": test.test,
                "outcome": str(test.outcome),
                "why": test.why,
                "figures": [_figure(one) for one in test.figures],
            }
            for test in finding.tests
        ],
    }


def as_markdown(tally: Tally) -> str:
    """The run as a page: header, a row for each capability, what failed and what did not run."""
    return "\n".join([*_head(tally), *_table(tally), *_figures(tally), *_rest(tally)]) + "\n"


def verdict(tally: Tally) -> str:
    """The verdict in one line."""
    counts = ", ".join(f"{number} {outcome}" for outcome, number in tally.counts.items())
    waived = "CONFORMS WITH WAIVERS" if tally.but_for_waivers else "DOES NOT CONFORM"
    word = "CONFORMS" if tally.conforms else waived
    return f"{word}: {tally.header['adapter']}, contract {tally.header['contract']} ({counts})"


def _head(tally: Tally) -> Iterator[str]:
    yield f"# {verdict(tally)}"
    yield ""
    for name, value in tally.header.items():
        yield f"- {name}: {_cell(value)}"
    yield ""


def _cell(value: object) -> str:
    if isinstance(value, Mapping):
        facts = cast("Mapping[str, object]", value)
        return ", ".join(f"{name} {item}" for name, item in facts.items())
    return str(value).replace("|", "\\|").replace("\n", " ")


def _table(tally: Tally) -> Iterator[str]:
    yield "| capability | claimed | native | result | passed | refused | not applicable | not run |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in tally.rows:
        shown = (Outcome.PASS, Outcome.REFUSES, Outcome.NOT_APPLICABLE, Outcome.NOT_RUN)
        numbers = " | ".join(str(row.counts.get(outcome, 0)) for outcome in shown)
        native = "yes" if row.native else "emulated"
        yield f"| {row.capability} | {row.claimed} | {native} | {row.outcome} | {numbers} |"
    yield ""


def _figures(tally: Tally) -> Iterator[str]:
    if tally.figures:
        yield "| measured | value | by |"
        yield "|---|---|---|"
        for test, (what, value, unit) in tally.figures:
            yield f"| {what} | {value:.4g} {unit} | {_cell(test)} |"
        yield ""


_TOLD = (
    Outcome.FAIL,
    Outcome.UNKNOWN,
    Outcome.WAIVED,
    Outcome.NOT_APPLICABLE,
    Outcome.NOT_RUN,
)
"""Those of which each invariant is told."""


def _rest(tally: Tally) -> Iterator[str]:
    for outcome in _TOLD:
        found = [one for one in tally.findings if one.outcome is outcome]
        if found:
            yield f"## {str(outcome).capitalize()}"
            yield ""
            for one in found:
                yield f"- **{one.invariant.id}** {_cell(one.why)}"
            yield ""
