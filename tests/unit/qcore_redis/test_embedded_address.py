from __future__ import annotations

import copy
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qcore.errors import Unavailable
from qcore_redis.embedded.address import SOCKET, Address


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A directory with a name that no socket's path can hold, its descriptor, and a listener."""
    directory = tmp_path / ("d" * 200)
    directory.mkdir()
    descriptor = os.open(directory, os.O_RDONLY)
    link = tempfile.mkdtemp(prefix="far-")
    short = Path(link, "d")
    short.symlink_to(directory)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short / SOCKET))
        listener.listen()
        yield directory, descriptor
    short.unlink()
    Path(link).rmdir()
    os.close(descriptor)


def connects(path: str) -> bool:
    """Return whether somebody listens there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0


def test_a_short_name_is_used_as_it_is() -> None:
    """The path in messages and tools is the one in the directory."""
    assert Address(Path("/data"), -1).path() == f"/data/{SOCKET}"


def test_a_long_name_is_reached_through_the_open_directory(far: tuple[Path, int]) -> None:
    """Where descriptors are files, nothing has to be made."""
    address = Address(*far)
    assert address.path() == f"/proc/self/fd/{far[1]}/{SOCKET}"
    assert connects(address.path())
    address.close()
    assert connects(address.path())


def test_a_long_name_is_reached_through_a_link_elsewhere(far: tuple[Path, int]) -> None:
    """Where descriptors are no files, a link leads there, and goes when the address is closed."""
    address = Address(*far, descriptors=Path("/nowhere"))
    path = address.path()
    assert connects(path)
    assert address.path() == path
    address.close()
    assert not Path(path).parent.parent.exists()


def test_a_forked_child_makes_a_link_of_its_own(
    far: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither process removes what the other one uses."""
    parents = Address(*far, descriptors=Path("/nowhere"))
    path = parents.path()
    childs = copy.copy(parents)
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        childs.close()
        assert connects(path)
        assert connects(childs.path())
        assert childs.path() != path
        childs.close()
    assert connects(path)
    parents.close()


def test_a_temporary_directory_with_a_long_name_is_reported(
    far: tuple[Path, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """When no short path is left, the error says what to set, and nothing is left behind."""
    temporary = tmp_path / ("t" * 100)
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with pytest.raises(Unavailable, match="TMPDIR"):
        Address(*far, descriptors=Path("/nowhere")).path()
    assert not any(temporary.iterdir())


def test_bytes_count_and_not_characters() -> None:
    """A name of few characters with many bytes is a long one."""
    assert Address(Path("/" + "a" * 60), -1).path().endswith(f"a/{SOCKET}")
    address = Address(Path("/" + "ä" * 60), -1)
    assert "ä" not in address.path()
    address.close()
