"""Waivers: for a time, for a reason, and never for nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

import qcore
from qcore_conformance.outcomes import Outcome
from qcore_conformance.publishing import verdict
from qcore_conformance.tally import TestOutcome, tallied
from qcore_conformance.waivers import Waiver, read_waivers, waived

TODAY = date(2026, 5, 1)
GOOD = """
[[waiver]]
id = "Q-RES-01"
reason = "it is slow"
issue = "https://example.org/1"
expires = 2026-05-01
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the waivers are."""
    return tmp_path / "waivers.toml"


def test_a_waiver_holds_until_its_day_is_over(file: Path) -> None:
    """The day itself included."""
    file.write_text(GOOD)
    for day, expired in ((TODAY, False), (date(2026, 5, 2), True)):
        found = read_waivers(file, day)
        expected = Waiver("Q-RES-01", "it is slow", "https://example.org/1", TODAY, expired)
        assert found == {"Q-RES-01": expected}
        assert Waiver.from_text(expected.as_text()) == expected


def test_without_a_file_nothing_is_waived() -> None:
    """That is the rule."""
    assert read_waivers(None, TODAY) == {}


@pytest.mark.parametrize(
    "wrong",
    [
        GOOD + GOOD,
        GOOD.replace("Q-RES-01", "Q-NONE-01"),
        GOOD.replace('reason = "it is slow"', ""),
        GOOD.replace("it is slow", " "),
        GOOD.replace("2026-05-01", '"soon"'),
        GOOD.replace("2026-05-01", "2026-05-01T00:00:00"),
        GOOD.replace("reason", "because"),
        GOOD.replace("[[waiver]]", "[waiver]"),
        GOOD.replace("[[waiver]]", "[[waivers]]"),
        "waiver = [1]",
        "no toml",
    ],
)
def test_a_waiver_that_says_too_little_is_an_error(file: Path, wrong: str) -> None:
    """A promise is not given up by a slip."""
    file.write_text(wrong)
    with pytest.raises(ValueError, match=r".+"):
        read_waivers(file, TODAY)


ALIVE = Waiver("Q-RES-01", "it is slow", "https://example.org/1", TODAY)
OVER = Waiver("Q-RES-01", "it is slow", "https://example.org/1", TODAY, expired=True)


@pytest.mark.parametrize(
    ("waiver", "outcomes", "expected"),
    [
        (ALIVE, [Outcome.FAIL, Outcome.PASS], Outcome.WAIVED),
        (ALIVE, [Outcome.PASS, Outcome.NOT_RUN], Outcome.FAIL),
        (ALIVE, [Outcome.UNKNOWN, Outcome.PASS], Outcome.UNKNOWN),
        (ALIVE, [], Outcome.NOT_RUN),
        (OVER, [Outcome.FAIL], Outcome.FAIL),
        (OVER, [Outcome.PASS], Outcome.FAIL),
        (None, [Outcome.FAIL], Outcome.FAIL),
        (None, [Outcome.PASS], Outcome.PASS),
    ],
)
def test_a_waiver_excuses_a_failure_and_nothing_else(
    waiver: Waiver | None, outcomes: list[Outcome], expected: Outcome
) -> None:
    """Not a doubt, not a pass, and nothing once its day is over."""
    assert waived(waiver, outcomes)[0] is expected


@pytest.mark.parametrize(
    ("waiver", "word"),
    [
        (ALIVE, "CONFORMS WITH WAIVERS: "),
        (OVER, "DOES NOT CONFORM: "),
        (None, "DOES NOT CONFORM: "),
    ],
)
def test_who_needs_a_waiver_does_not_simply_conform(waiver: Waiver | None, word: str) -> None:
    """The verdict says so, and the report says which and why."""
    outcomes = [
        TestOutcome("test_one", ["Q-RES-01"], Outcome.FAIL, "it leaks"),
        TestOutcome("test_two", ["Q-CORE-01"], Outcome.PASS),
    ]
    waivers = {} if waiver is None else {"Q-RES-01": waiver}
    tally = tallied(outcomes, qcore.Capabilities("acme", {}), {"adapter": "acme"}, waivers=waivers)

    assert verdict(tally).startswith(word)
    assert not tally.conforms
    why = next(one.why for one in tally.findings if one.invariant.id == "Q-RES-01")
    assert why == (str(waiver) if waiver else "it leaks")


HARNESS = """
from qcore_conformance.harnesses import MemoryHarness

class Waived(MemoryHarness):
    waivers = "waivers.toml"

    def __init__(self):
        super().__init__("memory://waived")
        self.claims = self.claims.with_name("{claims}.toml")
"""
WAIVER = GOOD.replace("Q-RES-01", "Q-CAP-01")


@pytest.mark.parametrize(
    ("claims", "day", "code", "told"),
    [
        ("redis+pubsub", "2999-01-01", pytest.ExitCode.OK, "xfailed"),
        (
            "redis+pubsub",
            "2001-01-01",
            pytest.ExitCode.TESTS_FAILED,
            "WAIVER Q-CAP-01: waived (exp",
        ),
        ("memory", "2999-01-01", pytest.ExitCode.TESTS_FAILED, "everything passed although"),
        ("memory", "2001-01-01", pytest.ExitCode.TESTS_FAILED, "WAIVER Q-CAP-01: waived (expired"),
    ],
    ids=["needed", "needed, expired", "not needed", "not needed, expired"],
)
def test_waived_tests_run_all_the_same(
    tmp_path: Path, claims: str, day: str, code: pytest.ExitCode, told: str
) -> None:
    """A failure is expected of them, and what is not expected lets the run fail."""
    (tmp_path / "waivedharness.py").write_text(HARNESS.format(claims=claims))
    (tmp_path / "waivers.toml").write_text(WAIVER.replace("2026-05-01", day))
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rx",
        "-c",
        os.devnull,
        "-p",
        "no:cacheprovider",
    ]
    words += ["--pyargs", "qcore_conformance.suite.test_capabilities", "--qcore-id=Q-CAP-01"]
    words += ["--qcore-harness=waivedharness:Waived"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    run = subprocess.run(  # noqa: S603  (no shell reads these words)
        words,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, told in run.stdout) == (code, True), run.stdout
