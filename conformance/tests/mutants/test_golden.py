"""What is expected of a mutant, and what counts as something else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from conformance.tests.mutants.golden import Golden, Mutant, Played
from qcore_conformance.outcomes import Outcome

FAIL, PASS, DOUBT = Outcome.FAIL, Outcome.PASS, Outcome.UNKNOWN
MUTANT = Mutant(
    scheme="broken",
    made_of="memory",
    does="something",
    fails=["Q-ACK-01", "Q-ACK-02"],
    at_least=["Q-REC-04"],
    may=["Q-THR-01"],
    tests="one_of_them",
    proves=["Q-ACK-01"],
)
KNOWN = Golden(
    chance=["Q-REC-04", "Q-CANCEL-02"],
    sample=["Q-CORE-01"],
    beside=["Q-CORE-02"],
    mutants={"broken": MUTANT},
)
AS_EXPECTED = {"Q-ACK-01": FAIL, "Q-ACK-02": FAIL, "Q-REC-04": FAIL, "Q-CORE-01": PASS}


@pytest.mark.parametrize(
    ("differs", "said"),
    [
        ({}, []),
        ({"Q-CANCEL-02": FAIL, "Q-THR-01": FAIL}, []),
        ({"Q-CANCEL-02": DOUBT, "Q-THR-01": DOUBT}, []),
        ({"Q-ACK-02": PASS}, ["Q-ACK-02 did not fail"]),
        ({"Q-ACK-02": DOUBT}, ["Q-ACK-02 did not fail", "Q-ACK-02 is in doubt"]),
        ({"Q-REC-04": PASS}, ["Q-REC-04 did not fail"]),
        ({"Q-CORE-01": FAIL}, ["Q-CORE-01 failed too"]),
        ({"Q-CORE-01": DOUBT}, ["Q-CORE-01 is in doubt"]),
    ],
)
def test_a_run_finds_what_is_expected_and_nothing_else(
    differs: Mapping[str, Outcome], said: list[str]
) -> None:
    """But for what chance decides."""
    assert KNOWN.complaints(MUTANT, {**AS_EXPECTED, **differs}, whole=True) == said


def test_a_part_of_the_suite_finds_its_part() -> None:
    """What it does not look at, it cannot find; it must not find anything else either."""
    assert KNOWN.complaints(MUTANT, {"Q-ACK-01": FAIL}, whole=False) == []
    assert KNOWN.complaints(MUTANT, {"Q-ACK-02": FAIL}, whole=False) == ["Q-ACK-01 did not fail"]
    found = {"Q-ACK-01": FAIL, "Q-CORE-01": FAIL}
    assert KNOWN.complaints(MUTANT, found, whole=False) == ["Q-CORE-01 failed too"]


def test_only_mutants_of_memory_are_held_to_everything() -> None:
    """For the others a run would take too long."""
    on_server = Mutant(scheme="other", made_of="redis+list", does="", fails=["Q-ACK-01"], tier=1)
    assert KNOWN.whole(MUTANT) == Played(0)
    assert KNOWN.whole(on_server) == Played(1, ["Q-ACK-01", "Q-CORE-02"])
    assert KNOWN.quick(on_server) == Played(1, ["Q-ACK-01", "Q-CORE-02"])
    assert KNOWN.quick(MUTANT) == Played(0, ["Q-ACK-01"], "one_of_them")
