"""What a check says: a verdict, what it found, and what it merely counted."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from attrs import frozen

from .stories import Story

__all__ = ["Finding", "Result", "Verdict", "judge", "not_claimed"]


class Verdict(StrEnum):
    """Whether a promise was kept."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """The run cannot tell: too little happened, or it did not end properly."""
    NOT_CLAIMED = "not claimed"


@frozen(eq=False)
class Finding:
    """One thing that happened, to one job or to a queue as a whole.

    Args:
        why: What happened, in words.
        at: When it showed, in nanoseconds of the history's clock.
        story: The job it happened to.
    """

    why: str
    at: int
    story: Story | None = None


@frozen(eq=False)
class Result:
    """The answer of one check.

    Args:
        check: Its name.
        verdict: Whether the promise was kept.
        failures: What broke it.
        counted: What happened, and is allowed.
        note: The result in words, if there is more to say.
    """

    check: str
    verdict: Verdict
    failures: tuple[Finding, ...] = ()
    counted: tuple[Finding, ...] = ()
    note: str = ""


def judge(
    check: str,
    failures: Iterable[Finding],
    counted: Iterable[Finding] = (),
    *,
    unknown: str = "",
    note: str = "",
) -> Result:
    """Fail for any failure; else leave it open if there is a reason to; else pass."""
    failures = tuple(failures)
    verdict = Verdict.FAIL if failures else Verdict.UNKNOWN if unknown else Verdict.PASS
    return Result(check, verdict, failures, tuple(counted), unknown or note)


def not_claimed(check: str) -> Result:
    """Say that nothing was promised."""
    return Result(check, Verdict.NOT_CLAIMED)
