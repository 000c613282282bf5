from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import qcore.cli
from qcore.cli.app import BUILT_IN

SHOW_MODULES = """
import json, sys
import qcore
before = set(sys.modules)
from qcore.cli import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(set(sys.modules) - before)]))
"""


def python(*words: str, out: int = subprocess.PIPE) -> tuple[int, bytes, bytes]:
    """Run Python; its exit code, and what it printed."""
    done = subprocess.run(  # noqa: S603 - no shell reads these words
        [sys.executable, *words], stdout=out, stderr=subprocess.PIPE, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_everybody_types_first_starts_lean(word: str) -> None:
    """Version and help import no verb, no broker, no table and no log, so that they are fast."""
    _, out, _ = python("-c", SHOW_MODULES, word)
    code, imported = json.loads(out.splitlines()[-1])
    assert code == 0
    heavy = {"rich", "redis", "structlog", "stevedore", "qcore_redis"}
    assert not heavy & set(imported)
    assert not {target.partition(":")[0] for target, _ in BUILT_IN.values()} & set(imported)


def test_without_its_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library works without the command line; the command line says what it lacks."""

    def absent(name: str) -> None:
        assert name in {"click", "rich"}

    monkeypatch.setattr(qcore.cli, "find_spec", absent)
    assert qcore.cli.main(["--version"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert 'pip install "qcore-jobs[cli]"' in err
    assert err.count("\n") == 1


def test_the_package_can_be_run_as_a_module() -> None:
    """Where the command is not on the path, Python finds it."""
    code, out, _ = python("-m", "qcore", "--version")
    assert (code, out.split()[0]) == (0, b"qcore")


@pytest.mark.parametrize("words", [["--help"], ["queue"], ["adapters", "--json"]])
def test_a_reader_that_goes_away_is_no_error_of_ours(words: list[str]) -> None:
    """``qcore … | head -1`` ends quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        code, _, err = python("-m", "qcore", *words, out=out.fileno())
    assert (code, err) == (141, b"")
