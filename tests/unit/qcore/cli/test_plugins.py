from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint, PathDistribution
from pathlib import Path

import click
import pytest

from qcore.cli import plugins as room
from tests.unit.qcore.cli.command import Command

GREETER = """
import click
import qcore

@click.command()
def greet():
    click.echo("hello")

@click.command()
def fail():
    raise qcore.Unavailable("the moon is away")

@click.command()
def count():
    return 5

not_a_command = "hello"
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install verbs, each as a name and a place, from a package of its own."""
    (tmp_path / "qcore_greeter.py").write_text(GREETER)
    (tmp_path / "qcore_broken.py").write_text("raise RuntimeError('half installed')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("qcore_greeter", "qcore_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    points: list[EntryPoint] = []

    def add(package: str, **verbs: str) -> None:
        points.extend(
            point
            for point in distribution(tmp_path, package, verbs).entry_points
            if point.group == room.GROUP
        )

    def registered(*, group: str) -> list[EntryPoint]:
        return points if group == room.GROUP else []

    monkeypatch.setattr(room, "entry_points", registered)
    return add


def distribution(folder: Path, package: str, verbs: dict[str, str]) -> Distribution:
    """A package as an installer leaves it behind."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {place}" for name, place in verbs.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{room.GROUP}]", *lines]))
    return PathDistribution(info)


def test_a_package_can_bring_a_verb(shell: Command, install: Install) -> None:
    """Whoever writes an adapter can ship tools for it that feel built in."""
    install("qcore-greeter", greet="qcore_greeter:greet")
    result = shell.run("greet")
    assert (result.exit_code, result.stdout) == (0, "hello\n")


def test_errors_of_a_foreign_verb_end_like_those_of_our_own(
    shell: Command, install: Install
) -> None:
    """The exit codes hold for every verb, and what a verb returns is not one of them."""
    install("qcore-greeter", fail="qcore_greeter:fail", count="qcore_greeter:count")
    result = shell.run("fail")
    assert (result.exit_code, result.stderr) == (3, "qcore: the moon is away\n")
    assert shell.run("count").exit_code == 0


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("qcore_broken:verb", "RuntimeError: half installed"),
        ("qcore_absent:verb", "ModuleNotFoundError"),
        ("qcore_greeter:absent", "AttributeError"),
        ("qcore_greeter:not_a_command", "is a str, not a click command"),
    ],
)
def test_a_broken_verb_names_its_package_and_spares_the_others(
    shell: Command, install: Install, place: str, why: str
) -> None:
    """A half-installed package must not take the whole command line with it."""
    install("qcore-broken", broken=place)
    result = shell.run("broken")
    assert result.exit_code == 4
    assert why in result.stderr
    assert "qcore-broken 1.0" in result.stderr
    assert "Traceback" not in result.stderr
    assert shell.run("queue", "ls").exit_code == 0
    assert shell.run("--help").exit_code == 0


def test_help_lists_foreign_verbs_without_importing_them(shell: Command, install: Install) -> None:
    """Help is fast and works whatever is installed."""
    install("qcore-broken", broken="qcore_broken:verb")
    assert "(of qcore-broken 1.0)" in shell.run("--help").stdout


def test_a_built_in_verb_cannot_be_replaced(shell: Command, install: Install) -> None:
    """A package must not change what a known verb does, nor pass over that in silence."""
    install("qcore-greeter", queue="qcore_greeter:greet")
    result = shell.run("queue", "ls")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "the verb 'queue' is built in; the one of qcore-greeter 1.0 is left out" in result.stderr
    assert "is left out" in shell.run("--help").stdout.replace("\n", " ").replace("  ", "")


def test_two_packages_with_the_same_verb_are_an_error(shell: Command, install: Install) -> None:
    """Which of them would win must not depend on the order of installation."""
    install("qcore-one", greet="qcore_greeter:greet")
    install("qcore-two", greet="qcore_greeter:fail")
    result = shell.run("greet")
    assert result.exit_code == 4
    assert "qcore-one 1.0 and qcore-two 1.0" in result.stderr


def test_an_unknown_verb_suggests_the_nearest(shell: Command, install: Install) -> None:
    """A slip of the finger costs one more try, not a search."""
    install("qcore-greeter", greet="qcore_greeter:greet")
    result = shell.run("gret")
    assert result.exit_code == 2
    assert "did you mean 'greet'?" in result.stderr


def test_an_unusable_verb_does_not_break_completion(install: Install) -> None:
    """The completion of a shell asks for verbs before anybody typed one."""
    install("qcore-broken", broken="qcore_broken:verb")
    from qcore.cli.app import cli

    context = click.Context(cli, resilient_parsing=True)
    assert cli.get_command(context, "broken") is None
    assert cli.get_command(context, "absent") is None
