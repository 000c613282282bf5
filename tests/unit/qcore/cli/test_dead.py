from __future__ import annotations

import pytest

from tests.unit.qcore.cli.command import Command


def test_ls_shows_why_jobs_are_dead(shell: Command) -> None:
    """Who cares for dead jobs starts from the reason."""
    (job,) = shell.bury("mail", b"hello")
    (row,) = shell.rows("dead", "ls", "mail")
    assert (row["id"], row["note"], row["state"]) == (job, "no such address", "dead")
    assert "no such address" in shell.run("dead", "ls", "mail").stdout


def test_redrive_makes_named_jobs_ready_again(shell: Command) -> None:
    """One job is tried again without the others."""
    first, _ = shell.bury("mail", b"1", b"2")
    (row,) = shell.rows("dead", "redrive", "mail", first, "--yes")
    assert row == {"queue": "mail", "action": "redrive", "count": 1, "dry_run": False}
    assert [one.id for one in shell.connection.queue("mail").peek()] == [first]
    assert shell.connection.queue("mail").stats().dead == 1


def test_redrive_makes_all_jobs_ready_again(shell: Command) -> None:
    """After a repair everything is tried again."""
    shell.bury("mail", b"1", b"2")
    assert shell.rows("dead", "redrive", "mail", "--all", "--yes")[0]["count"] == 2
    assert shell.connection.queue("mail").stats().ready == 2


def test_rm_drops_named_jobs_or_all(shell: Command) -> None:
    """What nobody wants any more goes for good."""
    first, *_ = shell.bury("mail", b"1", b"2", b"3")
    assert shell.rows("dead", "rm", "mail", first, "--yes")[0]["count"] == 1
    assert shell.connection.queue("mail").stats().dead == 2
    assert shell.rows("dead", "rm", "mail", "--all", "--yes")[0]["count"] == 2
    assert shell.connection.queue("mail").stats().dead == 0


@pytest.mark.parametrize("verb", ["redrive", "rm"])
def test_a_dry_run_counts_and_changes_nothing(shell: Command, verb: str) -> None:
    """A look before the leap, for all and for some."""
    first, *_ = shell.bury("mail", b"1", b"2", b"3")
    for words, count in ((["--all"], 3), ([first, "unknown"], 1)):
        (row,) = shell.rows("dead", verb, "mail", *words, "--dry-run")
        assert (row["count"], row["dry_run"]) == (count, True)
    assert shell.connection.queue("mail").stats().dead == 3


@pytest.mark.parametrize("verb", ["redrive", "rm"])
def test_harm_wants_a_yes(shell: Command, verb: str) -> None:
    """Where nobody can be asked, nothing is done."""
    shell.bury("mail", b"1")
    result = shell.run("dead", verb, "mail", "--all")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert shell.connection.queue("mail").stats().dead == 1


@pytest.mark.parametrize("verb", ["redrive", "rm"])
def test_named_jobs_that_are_not_there_end_with_1(shell: Command, verb: str) -> None:
    """Somebody who names a job wants to know that there was none."""
    assert shell.run("dead", verb, "mail", "unknown", "--yes").exit_code == 1
    assert shell.run("dead", verb, "mail", "--all", "--yes").exit_code == 0


@pytest.mark.parametrize("words", [[], ["some-id", "--all"]])
def test_either_ids_or_all(shell: Command, words: list[str]) -> None:
    """Nothing is done to all jobs because somebody forgot to name one."""
    assert shell.run("dead", "rm", "mail", *words, "--yes").exit_code == 2
