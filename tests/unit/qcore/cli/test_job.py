from __future__ import annotations

from qcore import Keep
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


def test_show_tells_what_became_of_a_job(shell: Command) -> None:
    """Its state, its deliveries, and what came out of it."""
    queue = shell.connection.queue("sums", codec="json", keep=Keep())
    job_id = queue.enqueue([1, 2])
    first = queue.reserve(timeout=0)
    assert first is not None
    first.report(progress=0.5, meta={"step": "two"})
    first.retry(0, "bad luck")
    second = queue.reserve(timeout=0)
    assert second is not None
    second.ack(result={"sum": 3})

    lines = shell.run("job", "show", "sums", job_id, "--wait", "5s").stdout.splitlines()

    assert lines[0] == f"{job_id}: done"
    assert "  result: {'sum': 3}" in lines
    assert "  meta step: two" in lines
    assert lines[-2].startswith("  delivery 1: retry after")
    assert lines[-2].endswith("bad luck")
    (row,) = shell.rows("job", "show", "sums", job_id)
    assert (row["state"], row["result"], row["progress"]) == ("done", {"sum": 3}, 0.5)
    assert [one["outcome"] for one in row["tries"]] == ["retry", "ack"]


def test_show_says_what_has_no_record(shell: Command) -> None:
    """And what has not ended when the time to wait is over."""
    queue = shell.connection.queue("mail")
    plain, kept = queue.enqueue(b"x"), queue.enqueue(b"y", keep=Keep())
    missing = shell.run("job", "show", "mail", plain)
    assert (missing.exit_code, "keep" in missing.stderr) == (1, True)
    waited = shell.run("job", "show", "mail", kept, "--wait", "0")
    assert (waited.exit_code, waited.stdout.splitlines()[0]) == (1, f"{kept}: ready")
