"""The contract as data."""

from __future__ import annotations

import pytest

from qcore_conformance.contract import VERSION, contract, parsed, text

HEAD = "# The contract of qcore, version 1.2\n"
OLD = "- **Q-X-01** `R` `T0` Something holds.\n"
NEW = "- **Q-X-02** `delay A` `T1/T2 S` `since 1.1` `Something` else holds.\n"


def test_every_line_of_the_text_is_an_invariant() -> None:
    """None is lost for the way it is written."""
    assert len(contract()) == text().count("- **Q-")


def test_an_invariant_says_since_when_it_is_promised() -> None:
    """The first version, unless it says another."""
    found = parsed(HEAD + OLD + NEW)
    assert [(one.id, one.since, one.text) for one in found.values()] == [
        ("Q-X-01", "1.0", "Something holds."),
        ("Q-X-02", "1.1", "`Something` else holds."),
    ]
    assert (found["Q-X-02"].tiers, found["Q-X-02"].stochastic) == ((1, 2), True)


@pytest.mark.parametrize(
    "line",
    [
        OLD,
        "- **Q-X-03** `R` `T0` `since 1.3` It is of a version to come.\n",
        "- **Q-X-03** `R` `T0` `since one` It is of no version.\n",
        "- **Q-X-03** `R` It has no tier.\n",
        "- **Q-X** `R` `T0` It has no number.\n",
    ],
)
def test_a_line_that_cannot_be_right_is_an_error(line: str) -> None:
    """It would be a promise that nobody checks."""
    with pytest.raises(ValueError, match="Q-X"):
        parsed(HEAD + OLD + line)


def test_a_version_has_what_it_promised() -> None:
    """And what nobody wrote is an error."""
    assert list(contract("1.0")) == [one.id for one in contract().values() if one.since == "1.0"]
    assert contract(VERSION) == contract()
    for unknown in ("0.9", "99.0", "1", "new"):
        with pytest.raises(ValueError, match=unknown):
            contract(unknown)
