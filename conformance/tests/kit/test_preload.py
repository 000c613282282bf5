"""Libraries between a program and the system: clocks that are wrong, disks that forget."""

from __future__ import annotations

import shutil
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from qcore_conformance.outcomes import NotRun
from qcore_conformance.preload import Clock, Disk
from qcore_conformance.processes import ScriptProcess
from qcore_conformance.servers import Binary, Server, newest, oldest
from qcore_conformance.waiting import wait_until

needs_compiler = pytest.mark.skipif(
    sys.platform != "linux" or not (shutil.which("cc") or shutil.which("gcc")),
    reason="needs Linux and a C compiler",
)
HOUR = 3600


def test_a_machine_without_a_compiler_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no verdict on anybody."""

    def none(_: str) -> None:
        return None

    monkeypatch.setattr(shutil, "which", none)
    with pytest.raises(NotRun, match="C compiler"):
        Clock(tmp_path)


CLOCKS = """
import datetime, time
print("clock", time.time(), time.monotonic(), datetime.datetime.now().timestamp())
"""


@needs_compiler
@pytest.mark.parametrize("shift", [-HOUR, 0, HOUR])
def test_a_process_sees_the_wall_clock_that_it_is_given(tmp_path: Path, shift: int) -> None:
    """And the true one for intervals."""
    script = tmp_path / "script.py"
    script.write_text(CLOCKS)
    with ScriptProcess(script, "", env=dict(Clock(tmp_path, shift).environment)) as process:
        process.expect(0)
        wall, monotonic, date = map(float, process.lines[0].split()[1:])
    assert wall == pytest.approx(time.time() + shift, abs=60)
    assert date == pytest.approx(wall, abs=1)
    assert time.monotonic() - 60 < monotonic <= time.monotonic()


@needs_compiler
@pytest.mark.parametrize("binary", [oldest(), newest()], ids=lambda each: each.name)
def test_the_clock_of_a_server_jumps_when_told_to(tmp_path: Path, binary: Binary) -> None:
    """While it runs."""
    clock, server = Clock(tmp_path), Server(binary)
    server.environment.update(clock.environment)
    with server:
        for shift in (HOUR, -HOUR, 0):
            clock.shift(shift)
            # It reads the clock when it wakes, and tells for a while what it read then.
            wait_until(partial(_says, server, shift), within=10.0, what=f"it is {shift} s off")


def _says(server: Server, shift: int) -> bool:
    told = server.cli("TIME")
    seconds = told[0] if isinstance(told, list) else None
    return isinstance(seconds, bytes) and abs(int(seconds) - time.time() - shift) < 60


@needs_compiler
@pytest.mark.parametrize("kept", [True, False], ids=["insisting", "hoping"])
@pytest.mark.parametrize("binary", [oldest(), newest()], ids=lambda each: each.name)
def test_a_disk_forgets_what_nobody_insisted_on(
    tmp_path: Path, binary: Binary, *, kept: bool
) -> None:
    """A kill alone would not show it: what was handed to the system survives that."""
    disk = Disk(tmp_path)
    settings = {"appendonly": "yes", "appendfsync": "always" if kept else "no"}
    with Server(binary, settings=settings) as server:
        server.stop()
        disk.trust(server.data)
        server.environment.update(disk.environment)
        server.start()
        server.cli("SET", "x", "1")
        server.kill()
        server.start()
        assert server.cli("GET", "x") == b"1"
        server.kill()
        lost = disk.lose_power(server.data)
        server.start()
        assert (server.cli("GET", "x"), lost > 0) == ((b"1", False) if kept else (None, True))
