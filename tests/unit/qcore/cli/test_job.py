from __future__ import annotations

from tests.unit.qcore.cli.command import Command


def test_cancel_drops_the_jobs_that_are_named(shell: Command) -> None:
    """Each with what it was, and an exit code that says whether all were there."""
    first, second, third = shell.connection.queue("mail").enqueue_many([b"1", b"2", b"3"])
    assert shell.run("job", "cancel", "mail", first, "--yes").stdout == f"{first}: ready\n"
    held = shell.connection.queue("mail").reserve(timeout=0)
    assert held is not None
    result = shell.run("job", "cancel", "mail", second, first, "--yes")
    assert result.stdout == f"{second}: held\n{first}: not there\n"
    assert result.exit_code == 1
    assert shell.rows("job", "cancel", "mail", third, "--yes") == [
        {"queue": "mail", "id": third, "was": "ready"}
    ]
    assert shell.connection.queue("mail").stats().dropped == 3


def test_cancel_wants_a_yes(shell: Command) -> None:
    """What cannot be undone is not done by accident."""
    job_id = shell.connection.queue("mail").enqueue(b"x")
    refused = shell.run("job", "cancel", "mail", job_id)
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert shell.connection.queue("mail").stats().ready == 1


def test_reschedule_changes_the_time_of_a_delayed_job(shell: Command) -> None:
    """And says so where there is none."""
    queue = shell.connection.queue("mail")
    job_id = queue.enqueue(b"x", delay=60.0)
    said = shell.run("job", "reschedule", "mail", job_id, "--delay", "2h").stdout
    assert said == f"{job_id}: rescheduled\n"
    assert 7000 < (queue.peek("delayed")[0].due_in or 0) <= 7200
    assert shell.rows("job", "reschedule", "mail", job_id, "--delay", "0") == [
        {"queue": "mail", "id": job_id, "rescheduled": True}
    ]
    assert queue.reserve(timeout=0) is not None
    result = shell.run("job", "reschedule", "mail", job_id, "--delay", "1s")
    assert (result.stdout, result.exit_code) == (f"{job_id}: not delayed\n", 1)
