"""Outcomes: what a run may say of an invariant, and how those of its tests add up.

Skip is never pass: a test that did not run says why, in words that the report shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

__all__ = ["RESULT", "NotApplicable", "NotRun", "Outcome", "Refuses", "Unknown", "worst"]

RESULT = "qcore-result"
"""The property of a test's report that carries its outcome."""


class Outcome(StrEnum):
    """What was found out about an invariant; the order is that of importance."""

    FAIL = "fail"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    PASS = "pass"  # noqa: S105  (not a password)
    REFUSES = "refuses"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


class NotRun(Exception):
    """The test bed lacks what this test needs; the message says what."""


class NotApplicable(Exception):
    """The invariant lies outside what this adapter is for; the message says why."""


class Refuses(Exception):
    """The adapter does not claim the capability; that it refuses clearly is tested elsewhere."""


class Unknown(Exception):
    """The test ran but proves nothing, such as a fault that hit no job."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome over all tests of one invariant: what is wrong first, what is known next."""
    found = set(outcomes)
    return next((outcome for outcome in Outcome if outcome in found), Outcome.NOT_RUN)
