from __future__ import annotations

import json

import click
import pytest

import qcore
from qcore.cli.exits import Exit, Failure, VerbUnusable, failure_of, report

CODES = {
    qcore.AdapterConflict: Exit.UNMET,
    qcore.AdapterNotFound: Exit.UNMET,
    qcore.Closed: Exit.BROKER,
    qcore.Corrupt: Exit.BROKER,
    qcore.Indeterminate: Exit.INDETERMINATE,
    qcore.InvalidInput: Exit.USAGE,
    qcore.InvalidReceipt: Exit.USAGE,
    qcore.InvalidUrl: Exit.USAGE,
    qcore.LeaseLost: Exit.INDETERMINATE,
    qcore.LimitExceeded: Exit.USAGE,
    qcore.NotApplied: Exit.BROKER,
    qcore.QcoreError: Exit.BROKER,
    qcore.Rejected: Exit.BROKER,
    qcore.Unavailable: Exit.BROKER,
    qcore.HistoryGone: Exit.UNMET,
    qcore.NotTracked: Exit.NOTHING,
    qcore.UnsupportedCapability: Exit.UNMET,
}


def made(kind: type[qcore.QcoreError]) -> qcore.QcoreError:
    """An error of a kind."""
    if kind is qcore.UnsupportedCapability:
        return qcore.UnsupportedCapability("memory", "gap")
    return kind("what happened")


def test_every_public_error_has_an_exit_code() -> None:
    """A new error must be given a meaning for scripts too."""
    public = [getattr(qcore, name) for name in qcore.__all__]
    errors = {one for one in public if isinstance(one, type) and issubclass(one, Exception)}
    assert errors == set(CODES)


@pytest.mark.parametrize("kind", CODES, ids=lambda kind: kind.__name__)
def test_an_error_ends_with_its_exit_code_and_says_whether_to_try_again(
    kind: type[qcore.QcoreError],
) -> None:
    """A script tells by the code whether it was wrong, unlucky, or asked for too much."""
    error = made(kind)
    failure = failure_of(error)
    assert failure == Failure(CODES[kind], kind.code, str(error), kind.retryable)


def test_a_wrong_command_line_points_at_the_help() -> None:
    """Who typed it wrong learns where it says how it is typed."""
    context = click.Context(click.Command("put"), info_name="qcore queue put")
    failure = failure_of(click.UsageError("Missing argument.", context))
    assert failure == Failure(Exit.USAGE, "usage", "Missing argument; see 'qcore queue put --help'")


def test_an_unusable_verb_is_an_unmet_requirement() -> None:
    """The command line was right; what is installed is not."""
    assert failure_of(VerbUnusable("broken")) == Failure(Exit.UNMET, "verb-unusable", "broken")


def test_a_failure_is_one_sentence_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages of libraries may have several lines, and what a terminal obeys."""
    report(Failure(Exit.BROKER, "unavailable", "first\nsecond \x1b[31m"), as_json=False)
    assert capsys.readouterr() == ("", "qcore: first second \\x1b[31m\n")


def test_a_failure_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the error is JSON too, still on the standard error."""
    report(Failure(Exit.BROKER, "unavailable", "away", retryable=True), as_json=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == {
        "error": {"code": "unavailable", "message": "away", "retryable": True}
    }
