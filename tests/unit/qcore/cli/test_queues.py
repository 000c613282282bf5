from __future__ import annotations

import time

import pytest

import qcore
from qcore.cli.screen import Screen
from tests.unit.qcore.cli.command import Command


def test_ls_names_the_queues(shell: Command) -> None:
    """The first question of everybody who looks into a broker."""
    for name in ("mail", "images"):
        shell.connection.queue(name).enqueue(b"x")
    assert shell.rows("queue", "ls") == [{"queue": "images"}, {"queue": "mail"}]
    assert shell.run("queue", "ls").stdout.split() == ["queue", "images", "mail"]


def test_stats_count_jobs_by_state(shell: Command) -> None:
    """The second question: how much is there, and where is it stuck?"""
    shell.connection.queue("mail").enqueue_many([b"1", b"2", b"3"])
    shell.connection.queue("mail").reserve(timeout=0)
    shell.bury("images", b"x")
    images, mail = shell.rows("queue", "stats")
    assert (mail["ready"], mail["held"], mail["enqueued"], mail["outbox"]) == (2, 1, 3, 0)
    assert (images["queue"], images["dead"]) == ("images", 1)
    assert [row["queue"] for row in shell.rows("queue", "stats", "mail")] == ["mail"]


def test_stats_show_what_is_on_its_way(shell: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has no outbox, and where there is one a number that stays tells of trouble."""
    shell.connection.queue("mail").enqueue(b"x")

    def stats(queue: qcore.Queue) -> qcore.QueueStats:
        assert queue.name == "mail"
        return qcore.QueueStats(ready=1, outbox=7)

    monkeypatch.setattr(qcore.Queue, "stats", stats)
    heads, cells = (line.split() for line in shell.run("queue", "stats").stdout.splitlines())
    shown = dict(zip(heads, cells, strict=False))
    assert (shown["ready"], shown["outbox"]) == ("1", "7")
    assert [row["outbox"] for row in shell.rows("queue", "stats")] == [7]


def test_peek_shows_jobs_and_leaves_them_alone(shell: Command) -> None:
    """Looking must change nothing, and must show a job in full."""
    shell.connection.queue("mail").enqueue(b"hi\x1b[2J", headers={"to": "you"}, priority=1)
    (row,) = shell.rows("queue", "peek", "mail")
    assert row["body_text"] == "hi\x1b[2J"
    assert (row["headers"], row["priority"], row["state"]) == ({"to": "you"}, 1, "ready")
    shown = shell.run("queue", "peek", "mail").stdout
    assert "hi\\x1b[2J" in shown
    assert "\x1b" not in shown
    assert shell.connection.queue("mail").stats().ready == 1


def test_peek_pages_through_a_state(shell: Command) -> None:
    """A long queue is looked at in parts, in order."""
    shell.connection.queue("mail").enqueue_many([b"1", b"2", b"3"])
    rows = shell.rows("queue", "peek", "mail", "--limit", "1", "--offset", "1")
    assert [row["body_text"] for row in rows] == ["2"]
    assert shell.rows("queue", "peek", "mail", "--state", "delayed") == []


def test_purge_drops_jobs_only_when_told_so(shell: Command) -> None:
    """What cannot be undone wants a yes, and a look before it costs nothing."""
    shell.connection.queue("mail").enqueue_many([b"1", b"2"])
    refused = shell.run("queue", "purge", "mail")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    (looked,) = shell.rows("queue", "purge", "mail", "--dry-run")
    assert looked == {"queue": "mail", "action": "purge", "count": 2, "dry_run": True}
    assert shell.connection.queue("mail").stats().ready == 2
    assert shell.run("queue", "purge", "mail", "--yes").stdout == "purge: 2 jobs of mail\n"
    assert shell.connection.queue("mail").stats().ready == 0


def test_purge_refuses_jobs_that_somebody_holds(shell: Command) -> None:
    """A job in hand is its holder's."""
    result = shell.run("queue", "purge", "mail", "--state", "held", "--dry-run")
    assert result.exit_code == 2
    assert "ready, delayed, dead" in result.stderr


def test_put_stores_an_argument_with_all_options(shell: Command) -> None:
    """Whatever a program can say of a job, the command line can say too."""
    options = ["--header", "a=b=c", "--id", "order-7", "--priority", "2", "--delay", "10m"]
    (row,) = shell.rows("queue", "put", "mail", "héllo", *options)
    assert row == {"queue": "mail", "id": "order-7", "created": True, "receivers": None}
    (job,) = shell.connection.queue("mail").peek("delayed")
    assert job.job is not None
    assert (job.job.body, dict(job.job.headers)) == ("héllo".encode(), {"a": "b=c"})
    assert job.due_in is not None
    assert 590 < job.due_in <= 600


def test_put_again_with_the_same_id_says_that_nothing_was_stored(shell: Command) -> None:
    """Repeating a command after a doubt is safe, and visible."""
    shell.run("queue", "put", "mail", "1", "--id", "order-7")
    again = shell.run("queue", "put", "mail", "1", "--id", "order-7")
    assert (again.exit_code, again.stdout) == (0, "order-7\n")
    assert "nothing was stored" in again.stderr
    assert shell.connection.queue("mail").stats().ready == 1


def test_put_takes_the_standard_input_as_it_is(shell: Command) -> None:
    """Bodies are bytes; a pipe must not change them."""
    body = bytes(range(256))
    shell.run("queue", "put", "mail", stdin=body)
    shell.run("queue", "put", "mail", "-", stdin=body)
    assert shell.run("queue", "get", "mail").stdout_bytes == body
    assert shell.run("queue", "get", "mail").stdout_bytes == body


def test_put_makes_a_job_of_each_line(shell: Command) -> None:
    """A file of work becomes a queue of work, however long it is."""
    lines = [b"job %d" % number for number in range(250)]
    rows = shell.rows("queue", "put", "mail", "--lines", stdin=b"\n".join(lines) + b"\n")
    assert len({row["id"] for row in rows}) == 250
    got = shell.run("queue", "get", "mail", "--limit", "250").stdout_bytes
    assert got.splitlines() == lines


def test_put_encodes_json_as_the_codec_says(shell: Command) -> None:
    """A consumer with a codec gets the value that was typed."""
    shell.run("queue", "put", "mail", '{"to": "you"}', "--codec", "msgpack")
    delivery = shell.connection.queue("mail", codec="msgpack").reserve(timeout=0)
    assert delivery is not None
    assert delivery.value == {"to": "you"}


def test_put_refuses_what_makes_no_sense(shell: Command) -> None:
    """Bad input is refused before anything is sent."""
    for words in (
        ["mail", "{", "--codec", "json"],
        ["mail", "x", "--codec", "yaml"],
        ["mail", "x", "--header", "novalue"],
        ["mail", "x", "--at", "tomorrow"],
        ["mail", "x", "--at", "2030-01-01T00:00:00"],
        ["mail", "x", "--delay", "soon"],
        ["mail", "x", "--priority", "9"],
        ["mail", "x", "--lines"],
        ["mail", "--lines", "--id", "one"],
        ["no/such", "x"],
    ):
        result = shell.run("queue", "put", *words)
        assert result.exit_code == 2, words
        assert result.stdout == ""
    assert shell.rows("queue", "stats") == []


def test_put_accepts_a_moment(shell: Command) -> None:
    """A job for a date is typed as the date."""
    shell.run("queue", "put", "mail", "x", "--at", "2999-01-01T00:00:00+00:00")
    assert shell.connection.queue("mail").stats().delayed == 0
    shell.run("queue", "put", "mail", "x", "--at", "2031-01-01T00:00:00+00:00")
    assert shell.connection.queue("mail").stats().delayed == 1


def test_get_takes_a_job_out(shell: Command) -> None:
    """What was shown is done with."""
    shell.connection.queue("mail").enqueue(b"hello", headers={"to": "you"})
    (row,) = shell.rows("queue", "get", "mail")
    assert (row["body_text"], row["attempt"], row["headers"]) == ("hello", 1, {"to": "you"})
    stats = shell.connection.queue("mail").stats()
    assert (stats.held, stats.acked) == (0, 1)


def test_get_can_give_the_job_back(shell: Command) -> None:
    """A look at the next job as a consumer would get it, without taking it away."""
    shell.connection.queue("mail").enqueue(b"hello")
    assert shell.run("queue", "get", "mail", "--release").stdout_bytes == b"hello"
    assert shell.connection.queue("mail").stats().ready == 1


def test_get_from_an_empty_queue_ends_with_1(shell: Command) -> None:
    """A loop in a shell script ends when the queue is empty."""
    result = shell.run("queue", "get", "mail")
    assert (result.exit_code, result.stdout) == (1, "")


def test_get_that_was_too_slow_says_that_the_outcome_is_open(
    shell: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown, but no longer held: somebody else has the same job."""
    shell.connection.queue("mail").enqueue(b"hello")

    def slow(*_: object, **__: object) -> None:
        with qcore.connect(shell.url, clock=qcore.ManualClock(time.time() + 60)) as later:
            assert later.queue("mail").reserve(timeout=0)

    monkeypatch.setattr(Screen, "raw", slow)
    result = shell.run("queue", "get", "mail")
    assert result.exit_code == 5
    assert "no longer held" in result.stderr


def test_get_gives_back_what_could_not_be_shown(
    shell: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that went away must not cost a job."""
    shell.connection.queue("mail").enqueue(b"hello")

    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Screen, "raw", broken)
    assert shell.run("queue", "get", "mail").exit_code == 130
    assert shell.connection.queue("mail").stats().ready == 1


def test_a_noun_without_a_verb_shows_its_verbs(shell: Command) -> None:
    """Nobody has to know the verbs by heart."""
    for noun in ([], ["queue"], ["dead"]):
        result = shell.run(*noun)
        assert result.exit_code == 0
        assert "Usage: qcore" in result.stdout


def test_a_queue_is_paused_and_resumed(shell: Command) -> None:
    """And its counts say that it is, so that nobody wonders why nothing comes."""
    shell.connection.queue("mail").enqueue(b"x")
    assert shell.run("queue", "pause", "mail").stdout == "paused: mail\n"
    assert shell.connection.queue("mail").reserve(timeout=0) is None
    assert [row["paused"] for row in shell.rows("queue", "stats")] == [True]
    assert "yes" in shell.run("queue", "stats").stdout
    assert shell.rows("queue", "resume", "mail") == [{"queue": "mail", "paused": False}]
    assert shell.connection.queue("mail").reserve(timeout=0) is not None
    assert "yes" not in shell.run("queue", "stats").stdout


def test_move_brings_jobs_to_another_queue(shell: Command) -> None:
    """As many as are asked for, of one state, and says how many."""
    shell.connection.queue("mail").enqueue_many([b"1", b"2", b"3"])
    said = shell.run("queue", "move", "mail", "slow", "--limit", "2").stdout
    assert said == "moved: 2 ready jobs of mail to slow\n"
    assert shell.rows("queue", "move", "mail", "slow", "--state", "dead") == [
        {"queue": "mail", "to": "slow", "action": "move", "state": "dead", "count": 0}
    ]
    assert shell.connection.queue("slow").stats().ready == 2
    assert shell.connection.queue("mail").stats().ready == 1
