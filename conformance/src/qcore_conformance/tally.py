"""What a run of the suite found out: its tests' outcomes added up by invariant and capability.

In go the outcomes of single tests, as the plugin noted them; out comes one value that every form
of the report is made from. Nothing here reads a clock or a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from qcore import Capabilities

from .bed import Figure
from .contract import VERSION, Invariant, Scope, contract, scope_of
from .outcomes import Outcome, worst
from .waivers import Waiver, waived

__all__ = ["Finding", "Row", "Tally", "TestOutcome", "tallied"]

_BAD = (Outcome.FAIL, Outcome.UNKNOWN)


@attrs.frozen
class TestOutcome:
    """How one test ended.

    Attributes:
        test: Its name, colour included.
        ids: The invariants that it checks.
        outcome: How it ended.
        why: What went wrong, or why it did not run.
        figures: What it measured.
    """

    __test__ = False  # pytest would take it for a test

    test: str
    ids: Sequence[str]
    outcome: Outcome
    why: str = ""
    figures: Sequence[Figure] = ()


@attrs.frozen
class Finding:
    """What was found out about one invariant."""

    invariant: Invariant
    outcome: Outcome
    tests: Sequence[TestOutcome]
    waiver: str = ""

    @property
    def why(self) -> str:
        """The first reason that somebody gave for this outcome."""
        if self.waiver:
            return self.waiver
        if not self.tests and self.outcome is Outcome.REFUSES:
            return "the adapter does not claim it"
        reasons = (one.why for one in self.tests if one.outcome is self.outcome and one.why)
        return next(reasons, "" if self.tests else "no test of this version checks it")


@attrs.frozen
class Row:
    """What was found out about one capability, over all its invariants."""

    capability: str
    claimed: str
    native: bool
    outcome: Outcome
    counts: Mapping[Outcome, int]


@attrs.frozen
class Tally:
    """A whole run.

    Attributes:
        header: What was tested, with what and on what.
        findings: Every invariant of the contract, in its order.
        rows: Every capability that an invariant is about.
    """

    header: Mapping[str, Any]
    findings: Sequence[Finding]
    rows: Sequence[Row]

    @property
    def conforms(self) -> bool:
        """Whether nothing failed, nothing is waived or in doubt, and something passed."""
        return self.but_for_waivers and Outcome.WAIVED not in self.counts

    @property
    def but_for_waivers(self) -> bool:
        """Whether nothing failed but what is waived."""
        outcomes = {one.outcome for one in self.findings}
        return not outcomes & set(_BAD) and Outcome.PASS in outcomes

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many invariants have each outcome."""
        return _counts(self.findings)

    @property
    def figures(self) -> Sequence[tuple[str, Figure]]:
        """Everything measured, with the test that measured it."""
        tests = {test.test: test for finding in self.findings for test in finding.tests}
        return [(name, figure) for name, test in tests.items() for figure in test.figures]


def tallied(
    outcomes: Iterable[TestOutcome],
    capabilities: Capabilities,
    header: Mapping[str, Any],
    *,
    waivers: Mapping[str, Waiver] | None = None,
    version: str = "",
) -> Tally:
    """Add up the outcomes of a run.

    Args:
        outcomes: How its tests ended.
        capabilities: What the adapter claims.
        header: What was tested.
        waivers: What may be broken, by invariant.
        version: The version of the contract; the newest if empty.
    """
    by_id: dict[str, list[TestOutcome]] = {one: [] for one in contract(version)}
    for outcome in outcomes:
        for one in outcome.ids:
            by_id.setdefault(one, []).append(outcome)
    findings = [
        _finding(invariant, by_id[name], (waivers or {}).get(name), capabilities)
        for name, invariant in contract(version).items()
    ]
    names = dict.fromkeys(one.invariant.capability for one in findings)
    rows = [_row(name, findings, capabilities) for name in names]
    return Tally({"contract": version or VERSION, **header}, findings, rows)


def _finding(
    invariant: Invariant,
    tests: Sequence[TestOutcome],
    waiver: Waiver | None,
    capabilities: Capabilities,
) -> Finding:
    outcomes = [test.outcome for test in tests]
    if not tests and scope_of(invariant, capabilities) is Scope.REFUSED:
        outcomes = [Outcome.REFUSES]
    outcome, why = waived(waiver, outcomes)
    return Finding(invariant, outcome, tests, why)


def _row(name: str, findings: Sequence[Finding], capabilities: Capabilities) -> Row:
    mine = [one for one in findings if one.invariant.capability == name]
    claim = capabilities.claims.get(name)
    if name in ("at_least_once", "at_most_once"):
        claimed = "yes" if capabilities.value("delivery") == name else "no"
    elif name == "core":
        claimed = "required"
    else:
        claimed = "no" if claim is None else "yes" if claim.value is True else str(claim.value)
    native = claim is None or claim.native
    return Row(name, claimed, native, worst(one.outcome for one in mine), _counts(mine))


def _counts(findings: Iterable[Finding]) -> dict[Outcome, int]:
    listed = [one.outcome for one in findings]
    return {outcome: listed.count(outcome) for outcome in Outcome if outcome in listed}
