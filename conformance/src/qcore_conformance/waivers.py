"""Waivers: invariants that an adapter is known to break, for a time and for a reason.

In go a file and a date; out come the waivers, each in force or expired. A waived test runs all the
same. It may fail, and that is shown; if everything about the invariant passes, or if the waiver
has expired, the run fails. An adapter with a waiver conforms with waivers, and that is less than
to conform.

    [[waiver]]
    id = "Q-RES-01"
    reason = "the broker forgets idle queues only after an hour"
    issue = "https://example.org/issues/12"
    expires = 2027-01-31
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import pytest

from .contract import contract
from .outcomes import RESULT, Outcome, worst

__all__ = ["Waiver", "Watch", "read_waivers", "waived"]

_PARTS = ("id", "reason", "issue", "expires")


@attrs.frozen
class Waiver:
    """One invariant that may be broken.

    Attributes:
        id: The invariant.
        reason: Why it is broken.
        issue: Where the repair is followed.
        expires: The last day on which it counts.
        expired: Whether that day is over.
    """

    id: str
    reason: str
    issue: str
    expires: date
    expired: bool = False

    def as_text(self) -> dict[str, str]:
        """Everything it says, as plain text; ``Waiver.from_text`` reads it."""
        return {
            "id": self.id,
            "reason": self.reason,
            "issue": self.issue,
            "expires": self.expires.isoformat(),
            "expired": "yes" if self.expired else "",
        }

    @classmethod
    def from_text(cls, said: Mapping[str, str]) -> Waiver:
        """Read what ``as_text`` wrote."""
        expires, expired = date.fromisoformat(said["expires"]), bool(said["expired"])
        return cls(said["id"], said["reason"], said["issue"], expires, expired)

    def __str__(self) -> str:
        when = "expired" if self.expired else "until"
        return f"waived ({when} {self.expires}): {self.reason}, {self.issue}"


def read_waivers(path: str | Path | None, today: date) -> Mapping[str, Waiver]:
    """Read a file of waivers; there are none without a file.

    Args:
        path: The file.
        today: The day by which waivers are in force or expired.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no TOML, if a part is missing, unknown or empty, or if an invariant
            does not exist or is waived twice.
    """
    if path is None:
        return {}
    written = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    rows: Any = written.pop("waiver", [])
    if written or not _is_list(rows):
        raise ValueError(f"{path}: a file of waivers holds tables [[waiver]] and nothing else")
    found: dict[str, Waiver] = {}
    for row in _tables(path, rows):
        one = _waiver(path, row, today)
        if one.id in found:
            raise ValueError(f"{path}: {one.id} is waived twice")
        found[one.id] = one
    return found


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _tables(path: str | Path, rows: Iterable[Any]) -> list[Mapping[str, Any]]:
    listed = list(rows)
    if not all(isinstance(row, dict) for row in listed):
        raise ValueError(f"{path}: each waiver is a table")
    return listed


def _waiver(path: str | Path, row: Mapping[str, Any], today: date) -> Waiver:
    if sorted(row) != sorted(_PARTS):
        raise ValueError(f"{path}: a waiver says {', '.join(_PARTS)}; this one {sorted(row)}")
    expires = row["expires"]
    texts = [row[part] for part in _PARTS[:3]]
    if not all(isinstance(one, str) and one.strip() for one in texts) or type(expires) is not date:
        raise ValueError(f"{path}: id, reason and issue are texts, expires is a date: {row}")
    if row["id"] not in contract():
        raise ValueError(f"{path}: the contract has no invariant {row['id']}")
    return Waiver(row["id"], row["reason"], row["issue"], expires, today > expires)


def waived(waiver: Waiver | None, outcomes: Sequence[Outcome]) -> tuple[Outcome, str]:
    """The outcome of an invariant over its tests, given the waiver for it, and why.

    A failure is waived, but nothing that is in doubt. A waiver that is not needed fails, as does
    one that has expired.
    """
    found = worst(outcomes)
    if waiver is None:
        return found, ""
    if waiver.expired:
        return Outcome.FAIL, str(waiver)
    if found is Outcome.FAIL:
        return Outcome.WAIVED, str(waiver)
    if found is Outcome.PASS:
        return Outcome.FAIL, f"everything passed although it is {waiver}"
    return found, ""


class Watch:
    """Lets a run of pytest fail for waivers that are over or not needed; one of its plugins."""

    def __init__(self) -> None:
        self._outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)
        self._waivers: dict[str, Waiver] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test of a waived invariant ended."""
        result: Any = dict(report.user_properties).get(RESULT)
        if result is None:
            return
        listed: dict[str, dict[str, str]] = result.get("waived", {})
        for name, said in listed.items():
            self._waivers[name] = Waiver.from_text(said)
            self._outcomes[name].append(Outcome(result["outcome"]))

    def complaints(self) -> list[str]:
        """What is wrong with the waivers of this run."""
        judged = {
            name: waived(waiver, self._outcomes[name]) for name, waiver in self._waivers.items()
        }
        return [f"{name}: {why}" for name, (end, why) in judged.items() if end is Outcome.FAIL]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the run fail."""
        if self.complaints() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        for complaint in self.complaints():
            terminalreporter.write_line(f"WAIVER {complaint}")
