from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from qcore.cli.app import BUILT_IN, cli
from qcore.cli.exits import Exit
from tests.unit.qcore.cli.command import Command, command

CANARY = "c4n4ry"
REFERENCE = Path(__file__).parents[2] / "docs/reference/cli.md"
SECRET_URL = f"redis+list://user:{CANARY}@127.0.0.1:1/0?patience=100ms"

JOB = {
    "queue": str,
    "id": str,
    "number": int,
    "attempt": int,
    "crashes": int,
    "headers": dict,
    "priority": int,
    "enqueued_at": float,
    "codec": str,
    "body_base64": str,
    "body_text": str,
}
LYING = {**JOB, "state": str, "due_in": None, "note": str, "readable": bool, "size": int}
DONE = {"queue": str, "action": str, "count": int, "dry_run": bool}
COUNTS = ("ready", "delayed", "held", "dead", "enqueued", "acked", "dropped", "outbox")


@pytest.fixture
def shell() -> Iterator[Command]:
    """The command line, with one ready and one dead job."""
    with command() as one:
        one.bury("mail", b"dead")
        one.connection.queue("mail").enqueue(b"ready", id="mine")
        one.connection.queue("mail").enqueue(b"delayed", id="later", delay=60.0)
        yield one


def shape(row: Mapping[str, object]) -> dict[str, type | None]:
    """The keys of a row with the types of their values."""
    return {key: None if value is None else type(value) for key, value in row.items()}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("queue ls", {"queue": str}),
        (
            "queue stats",
            {"queue": str, **dict.fromkeys(COUNTS, int), "paused": bool, "oldest": None},
        ),
        ("queue pause mail", {"queue": str, "paused": bool}),
        ("queue resume mail", {"queue": str, "paused": bool}),
        ("queue peek mail", LYING),
        ("queue get mail", JOB),
        ("queue put mail x", {"queue": str, "id": str, "created": bool, "receivers": None}),
        ("queue purge mail --yes", DONE),
        (
            "queue move mail other --limit 1",
            {"queue": str, "to": str, "action": str, "state": str, "count": int},
        ),
        ("job cancel mail mine --yes", {"queue": str, "id": str, "was": str}),
        (
            "job reschedule mail later --delay 2h",
            {"queue": str, "id": str, "rescheduled": bool},
        ),
        ("dead ls mail", LYING),
        ("dead redrive mail --all --yes", DONE),
        ("dead rm mail --all --yes", DONE),
    ],
)
def test_json_has_the_documented_shape(
    shell: Command, words: str, expected: dict[str, type | None]
) -> None:
    """Programs rely on keys and types; to change one is a breaking change."""
    assert [shape(row) for row in shell.rows(*words.split())] == [expected]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("queue ls", Exit.OK),
        ("queue purge mail --dry-run", Exit.OK),
        ("queue get empty", Exit.NOTHING),
        ("dead redrive mail unknown --yes", Exit.NOTHING),
        ("dead rm mail unknown --yes", Exit.NOTHING),
        ("job cancel mail unknown --yes", Exit.NOTHING),
        ("job cancel mail mine", Exit.USAGE),
        ("job reschedule mail mine --delay 1s", Exit.NOTHING),
        ("job reschedule mail later", Exit.USAGE),
        ("job reschedule mail later --at 2030-01-31T08:00:00Z", Exit.OK),
        ("queue", Exit.OK),
        ("queue unknown", Exit.USAGE),
        ("queue peek mail --state lost", Exit.USAGE),
        ("queue peek mail --limit 0", Exit.USAGE),
        ("queue peek bad/name", Exit.USAGE),
        ("queue purge mail", Exit.USAGE),
        ("queue move mail", Exit.USAGE),
        ("queue move mail mail", Exit.USAGE),
        ("queue move mail other --state held", Exit.USAGE),
        ("queue move mail other --limit 0", Exit.USAGE),
        ("queue move mail other --state dead", Exit.OK),
        ("queue ls --url memory://x?lease=never", Exit.USAGE),
        (f"queue ls --url {SECRET_URL}", Exit.BROKER),
        ("queue ls --url acme://host", Exit.UNMET),
        ("queue ls --url redis://host", Exit.UNMET),
        ("adapters - --require durability:power", Exit.UNMET),
        ("demo --url memory://x", Exit.UNMET),
    ],
)
def test_every_outcome_has_its_exit_code(shell: Command, words: str, code: Exit) -> None:
    """Scripts branch on these; an error is one line and never a traceback."""
    result = shell.run(*words.split(), "--quiet" if words != "queue" else "--help")
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    if code >= Exit.USAGE:
        assert result.stdout == ""
        assert [line for line in result.stderr.splitlines() if "a password" not in line][1:] == []


@pytest.mark.parametrize(
    ("words", "code", "retryable"),
    [
        (f"queue ls --url {SECRET_URL}", "unavailable", True),
        ("queue ls --url acme://host", "adapter-not-found", False),
        ("queue peek bad/name", "invalid-input", False),
        ("queue peek", "usage", False),
        ("adapters - --require gap", "unsupported", False),
    ],
)
def test_an_error_as_json_says_what_and_whether_to_repeat(
    shell: Command,
    words: str,
    code: str,
    retryable: bool,  # noqa: FBT001 - a column
) -> None:
    """A program reads the error where it reads the rest."""
    result = shell.run(*words.split(), "--json")
    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert result.stdout == ""
    assert (error["code"], error["retryable"]) == (code, retryable)
    assert error.keys() == {"code", "message", "retryable"}


@pytest.mark.parametrize(
    "words",
    [
        ["queue", "ls"],
        ["queue", "ls", "--json"],
        ["queue", "put", "mail", "x"],
        ["queue", "get", "mail", "--quiet"],
        ["dead", "ls", "mail"],
        ["adapters", "-"],
        ["adapters", "-", "--json", "--require", "fenced"],
        ["demo", "--url", "-"],
        ["queue", "ls", "--url", SECRET_URL],
        ["adapters", SECRET_URL],
        ["demo", "--url", SECRET_URL],
        ["queue", "ls", SECRET_URL],
        ["queue", "stats", SECRET_URL],
        ["queue", SECRET_URL],
        [SECRET_URL],
        ["adapters", SECRET_URL, SECRET_URL],
        ["queue", "ls", f"--ulr={SECRET_URL}"],
        ["queue", "ls", "--url", f"{SECRET_URL}&unknown=1"],
        ["queue", "ls", "--url", SECRET_URL.replace("redis+list", "redis")],
        ["queue", "ls", "--url", SECRET_URL.replace("redis+list", "redis+lisst")],
        ["queue", "ls", "--url", SECRET_URL.replace(":1/", ":port/")],
        ["queue", "ls", "--url", SECRET_URL.replace(CANARY, f"{CANARY}@{CANARY}")],
        ["queue", "ls", "--url", SECRET_URL.replace(CANARY, f"{CANARY}/{CANARY}")],
        ["queue", "ls", "--url", SECRET_URL.replace(CANARY, f"{CANARY} {CANARY}")],
    ],
    ids=lambda words: " ".join(words).replace(CANARY, ""),
)
def test_a_password_is_never_printed(shell: Command, words: list[str]) -> None:
    """Terminals are recorded, and logs of continuous integration are public."""
    result = shell.run(*words, url=SECRET_URL)
    assert result.exit_code not in (0, 1)
    assert CANARY not in result.output


@pytest.mark.parametrize("place", ["--url", "environment"])
def test_a_password_among_the_arguments_brings_a_warning(shell: Command, place: str) -> None:
    """Arguments are seen by everybody on the machine; the environment is not."""
    words = ["--url", SECRET_URL] if place == "--url" else []
    warned = "QCORE_URL" in shell.run("queue", "ls", "--quiet", *words, url=SECRET_URL).stderr
    assert warned == (place == "--url")


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every verb, with the words that call it."""
    context = click.Context(group)
    for name in BUILT_IN if group is cli else group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


VERBS = dict(commands(cli, "qcore"))


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_can_speak_json_be_quiet_and_do_without_colour(path: str) -> None:
    """Nobody has to remember which verb a program can read."""
    options = {option for param in VERBS[path].params for option in param.opts}
    assert {"--json", "--quiet", "--no-color"} <= options


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_and_option_is_in_the_reference(path: str) -> None:
    """The page is complete, and names nothing that is gone."""
    text = REFERENCE.read_text()
    _, _, section = text.partition(f"\n### `{path}")
    section = section.partition("\n#")[0]
    assert section, f"docs/reference/cli.md has no section for {path}"
    common = {"--json", "--quiet", "--no-color"}
    options = {
        option
        for param in VERBS[path].params
        for option in param.opts
        if option.startswith("--") and option not in common
    }
    documented = set(re.findall(r"^\| `(--[a-z-]+)", section, flags=re.MULTILINE))
    assert documented == options


def test_every_exit_code_is_in_the_reference() -> None:
    """What scripts rely on is written down."""
    documented = re.findall(r"^\| (\d+) \|", REFERENCE.read_text(), flags=re.MULTILINE)
    assert [int(code) for code in documented] == list(Exit)
