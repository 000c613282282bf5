from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore_redis.embedded.binary import find_binary
from qcore_redis.embedded.startup import WATCHER
from tests.integration.embedded_scene import Scene, eventually

PROGRAM = Path(__file__).with_name("embedded_watcher.py")


class Watcher:
    """A watcher of the scene's directory to which something happens."""

    def __init__(self, scene: Scene, moment: str) -> None:
        words = (sys.executable, PROGRAM, moment, WATCHER, find_binary(), scene.directory)
        self._process = subprocess.Popen(  # noqa: S603 - no shell reads these words
            words, cwd=scene.root, stdout=subprocess.PIPE, bufsize=0
        )

    def word(self) -> str:
        """Wait for what it says next; nothing when it has ended."""
        assert self._process.stdout is not None
        ear = select.poll()
        ear.register(self._process.stdout, select.POLLIN)
        assert ear.poll(10_000), "neither a word nor the end within 10 s"
        return self._process.stdout.readline().decode().rstrip("\n")

    def close(self) -> None:
        """Listen no longer."""
        with self._process:
            pass


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A data directory that nobody uses yet."""
    scene = Scene(tmp_path)
    scene.directory.mkdir()
    yield scene
    scene.end()


def test_a_watcher_says_that_it_watches_before_it_can_say_anything_else(scene: Scene) -> None:
    """Its last word is what became of the server, even if that ends as it is adopted."""
    server = scene.lock("server.lock")
    with contextlib.closing(Watcher(scene, "overtaken")) as watcher:
        assert watcher.word() == "watching"
        server.close()
        assert [watcher.word(), watcher.word()] == ["gone", ""]


@pytest.mark.parametrize("moment", ["robbed", "deaf"])
def test_a_watcher_that_says_it_watches_ends_the_server_come_what_may(
    scene: Scene, moment: str
) -> None:
    """It needs nothing of the directory, and survives that the server ends before its signal."""
    with contextlib.closing(Watcher(scene, moment)) as watcher:
        assert watcher.word() == "watching"
        assert [watcher.word(), watcher.word()] == ["ended 0", ""]


def test_a_server_is_never_taken_for_its_predecessor(scene: Scene) -> None:
    """A watcher that is killed as it starts a server leaves no process id of an earlier one."""
    lock = scene.directory / "server.lock"
    lock.write_text("1234567\n")
    with contextlib.closing(Watcher(scene, "killed")) as watcher:
        assert not watcher.word()
    eventually(lambda: len(scene.servers()) == 1, "the server runs without a watcher")
    assert lock.read_text() == ""
    assert scene.is_held("server.lock")
