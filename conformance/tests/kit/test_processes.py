"""Scripts that may be killed at any time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qcore_conformance import children
from qcore_conformance.processes import ProcessFailed, ScriptProcess
from qcore_conformance.waiting import wait_until


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A place for a script."""
    return tmp_path / "script.py"


def status(pid: int) -> str:
    """The letter by which the system calls the state of a process."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return text.rpartition(")")[2].split()[0]


WAITS = "import signal; print('ready', flush=True); signal.pause()"


def test_a_script_gets_its_url_out_of_sight(script: Path) -> None:
    """By the environment, and not by its arguments."""
    script.write_text(
        "import os, sys; print(os.environ['QCORE_URL'], os.environ['QCORE_PROCESS'], *sys.argv[1:])"
    )
    url = "redis+list://:secret@127.0.0.1:1"
    with ScriptProcess(script, url, name="w3", arguments=["fast"]) as process:
        process.expect(0)
        assert process.lines == (f"{url} w3 fast",)
    script.write_text(WAITS)
    with ScriptProcess(script, url) as process:
        process.wait_for("ready")
        assert b"secret" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()


def test_a_line_is_waited_for(script: Path) -> None:
    """Wherever it stands, and also if it was printed long ago."""
    script.write_text("print('one'); print('two 2')\n" + WAITS)
    with ScriptProcess(script, "") as process:
        assert process.wait_for("ready") == "ready"
        assert process.wait_for("two") == "two 2"


def test_a_script_that_ends_too_early_is_an_error_with_its_output(script: Path) -> None:
    """So that the reason is there to be read."""
    script.write_text("print('before'); raise RuntimeError('the reason')")
    with (
        ScriptProcess(script, "") as process,
        pytest.raises(ProcessFailed, match=r"(?s)ready.*before.*the reason"),
    ):
        process.wait_for("ready")


def test_a_script_that_stays_silent_is_an_error_with_its_output(script: Path) -> None:
    """In time."""
    script.write_text(WAITS)
    with ScriptProcess(script, "") as process:
        process.wait_for("ready")
        with pytest.raises(TimeoutError) as caught:
            process.wait_for("never", within=0.05)
        assert "ready" in caught.value.__notes__[0]


def test_an_exit_code_is_insisted_on(script: Path) -> None:
    """Any other is an error with the output."""
    script.write_text("print('tells'); raise SystemExit(3)")
    with ScriptProcess(script, "") as process:
        assert process.wait() == 3
        process.expect(3)
        with pytest.raises(ProcessFailed, match=r"(?s)ended with 3 instead of 0.*tells"):
            process.expect(0)


def test_a_failing_test_shows_the_output_of_its_scripts(script: Path) -> None:
    """As notes on whatever failed."""
    script.write_text(WAITS)

    def use() -> None:
        with ScriptProcess(script, "", name="w9") as process:
            process.wait_for("ready")
            raise LookupError

    with pytest.raises(LookupError) as caught:
        use()
    assert caught.value.__notes__ == ["w9 printed; its last lines:\nready"]


def test_a_killed_script_is_gone(script: Path) -> None:
    """When the call returns."""
    script.write_text(WAITS)
    with ScriptProcess(script, "") as process:
        process.wait_for("ready")
        process.kill()
        assert not process.running
        assert process.wait() == -9


def test_a_script_may_be_asked_to_end(script: Path) -> None:
    """It decides how."""
    script.write_text(
        "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + WAITS
    )
    with ScriptProcess(script, "") as process:
        process.wait_for("ready")
        process.terminate()
        process.expect(7)


def test_a_paused_script_stands_still_until_it_is_resumed(script: Path) -> None:
    """When the call returns."""
    script.write_text(WAITS)
    with ScriptProcess(script, "") as process:
        process.wait_for("ready")
        for _ in range(3):
            process.pause()
            assert status(process.pid) == "T"
            process.resume()
            wait_until(lambda: status(process.pid) != "T", within=5, what="it goes on")


FAMILY = """
import os, subprocess, sys
if len(sys.argv) > 1:
    level = int(sys.argv[1])
else:
    level = 2
print("pid", os.getpid(), flush=True)
if level:
    child = subprocess.Popen([sys.executable, __file__, str(level - 1)])
if level == 1 and os.environ.get("ORPHAN"):
    os._exit(0)
__import__("signal").pause()
"""


@pytest.mark.parametrize("orphan", ["", "yes"])
def test_a_whole_family_is_killed(script: Path, orphan: str) -> None:
    """Also grandchildren whose parent has died before."""
    script.write_text(FAMILY)
    with ScriptProcess(script, "", env={"ORPHAN": orphan}) as process:
        wait_until(lambda: len(process.lines) == 3, within=10, what="all three run")
        family = [int(line.split()[1]) for line in process.lines]
        if orphan:
            wait_until(lambda: status(family[1]) == "Z", within=5, what="the middle one died")
        assert set(family[1:]) <= set(children.tree(process.pid))
        process.kill_tree()
        wait_until(lambda: not any(map(exists, family)), within=5, what="all are gone")


def exists(pid: int) -> bool:
    """Whether a process is there and more than a name in the table."""
    try:
        return status(pid) != "Z"
    except FileNotFoundError:
        return False


def test_leaving_the_block_kills_the_family(script: Path) -> None:
    """Also when the script itself was killed before."""
    script.write_text(FAMILY)
    with ScriptProcess(script, "") as process:
        wait_until(lambda: len(process.lines) == 3, within=10, what="all three run")
        family = [int(line.split()[1]) for line in process.lines]
        process.kill()
        assert exists(family[2])
    wait_until(lambda: not any(map(exists, family)), within=5, what="all are gone")


def test_strangers_are_left_alone(script: Path) -> None:
    """A family is what the script started, and nothing else."""
    script.write_text(WAITS)
    with ScriptProcess(script, "") as one, ScriptProcess(script, "") as other:
        one.wait_for("ready")
        other.wait_for("ready")
        one.kill_tree()
        assert other.running
        assert os.getpid() not in children.tree(other.pid)


def test_a_script_is_started_once(script: Path) -> None:
    """A second life gets a process of its own."""
    script.write_text(WAITS)
    process = ScriptProcess(script, "")
    with pytest.raises(ProcessFailed, match="not started"):
        _ = process.pid
    with process, pytest.raises(ProcessFailed, match="started before"):
        process.start()
    process.close()
