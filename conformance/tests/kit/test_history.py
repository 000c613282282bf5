"""Histories that survive their writers."""

from __future__ import annotations

import asyncio
import json
import threading
from functools import partial
from pathlib import Path

import pytest

from qcore_conformance.events import CorruptHistory, Event, FaultKind, Kind, Verb
from qcore_conformance.history import History, NoOutcome, last_event, load, outcome_of, read_file
from qcore_conformance.processes import ScriptProcess


class CodedError(Exception):
    """An error that says by a word what it means."""

    def __init__(self, code: str) -> None:
        super().__init__("secret of the broker")
        self.code = code


def kinds(folder: Path) -> list[tuple[str, str, str]]:
    """Process, kind and verb of each event."""
    return [(event.process, event.kind.value, event.verb.value) for event in load(folder)]


def test_a_call_is_written_before_and_after(tmp_path: Path) -> None:
    """With what was known before, and what came of it."""
    times = iter([10, 20])
    with (
        History(tmp_path, "w3", clock=lambda: next(times)) as history,
        history.call("reserve", queue="mail") as call,
    ):
        (path,) = tmp_path.iterdir()
        assert json.loads(path.read_text()) == {
            "t": 10, "p": "w3.1", "n": 1, "e": "invoke", "f": "reserve", "q": "mail",
        }  # fmt: skip
        call.ok(job="p1-000042", receipt="r", number=2, attempt=1)
    assert json.loads(path.read_text().splitlines()[1]) == {
        "t": 20, "p": "w3.1", "n": 1, "e": "ok", "f": "reserve",
        "job": "p1-000042", "rcpt": "r", "num": 2, "att": 1,
    }  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Every field of every kind."""
    with History(tmp_path, "test") as history:
        with history.fault(FaultKind.CUT, "w3") as fault:
            fault.ok()
        history.fact("dead", queue="q", group="g", job="j", sha="s", key="k", delay=0.5)
        with history.call("stats", queue="q") as call:
            call.ok(counts={"ready": 3}, lease=1.5, priority=-2)
    begin, end, dead, _, stats = load(tmp_path)
    assert (begin.fault, begin.target, end.kind) == (FaultKind.CUT, "w3", Kind.OK)
    assert (dead.group, dead.key, dead.delay, dead.verb) == ("g", "k", 0.5, Verb.DEAD)
    assert (stats.counts, stats.lease, stats.priority) == ({"ready": 3}, 1.5, -2)


@pytest.mark.parametrize(
    "code",
    [
        "unavailable",
        "rejected",
        "not-applied",
        "lease-lost",
        "unsupported",
        "invalid-input",
        "limit-exceeded",
    ],
)
def test_an_error_that_says_not_applied_is_a_failure(tmp_path: Path, code: str) -> None:
    """And goes on its way."""
    with History(tmp_path, "w") as history, pytest.raises(CodedError), history.call("ack"):
        raise CodedError(code)
    assert kinds(tmp_path) == [("w.1", "invoke", "ack"), ("w.1", "fail", "ack")]
    assert load(tmp_path)[1].error == "CodedError"


@pytest.mark.parametrize(
    "error",
    [
        CodedError("indeterminate"),
        CodedError("closed"),
        CodedError("corrupt"),
        TimeoutError(),
        ValueError(),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
    ],
)
def test_any_other_error_leaves_the_outcome_open(error: BaseException) -> None:
    """Known or unknown, an error is no proof that nothing happened."""
    assert outcome_of(error) is Kind.INFO


def test_messages_of_errors_are_not_written(tmp_path: Path) -> None:
    """They may hold what nobody should read."""
    with History(tmp_path, "w") as history, pytest.raises(CodedError), history.call("ack"):
        raise CodedError("indeterminate")
    assert "secret" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_an_unknown_outcome_retires_the_process_id(tmp_path: Path) -> None:
    """What follows happens under the next one."""
    with History(tmp_path, "w3") as history:
        with history.call("ack") as call:
            call.info("TimeoutError")
        assert history.process == "w3.2"
        with history.call("ack") as call:
            call.ok()
    assert kinds(tmp_path) == [
        ("w3.1", "invoke", "ack"),
        ("w3.1", "info", "ack"),
        ("w3.2", "invoke", "ack"),
        ("w3.2", "ok", "ack"),
    ]


def test_a_call_ends_under_the_id_under_which_it_began(tmp_path: Path) -> None:
    """Also if another call has retired that id meanwhile."""
    with History(tmp_path, "w3") as history, history.call("extend") as slow:
        with history.call("ack") as call:
            call.info("TimeoutError")
        slow.ok()
    assert ("w3.1", "ok", "extend") in kinds(tmp_path)


def test_a_restarted_process_takes_a_fresh_id(tmp_path: Path) -> None:
    """No two lives share one."""
    for expected in ("w.1", "w.2"):
        with History(tmp_path, "w") as history:
            assert history.process == expected


def test_a_block_has_to_say_how_its_call_ended(tmp_path: Path) -> None:
    """Silence is written as unknown, and raised."""
    with History(tmp_path, "w") as history, pytest.raises(NoOutcome), history.call("reserve"):
        pass
    assert kinds(tmp_path)[-1] == ("w.1", "info", "reserve")


def test_a_reserve_of_several_jobs_tells_each(tmp_path: Path) -> None:
    """All belong to one call."""
    with History(tmp_path, "w") as history, history.call("reserve", queue="q") as call:
        call.ok(job="a")
        call.ok(job="b")
    assert [event.job for event in load(tmp_path)] == [None, "a", "b"]
    assert len({event.call for event in load(tmp_path)}) == 1


def test_an_unknown_verb_is_refused(tmp_path: Path) -> None:
    """Before anything is written."""
    with History(tmp_path, "w") as history, pytest.raises(ValueError, match="nack"):
        history.call("nack")


def test_a_call_tells_nothing_outside_its_block(tmp_path: Path) -> None:
    """Its begin has to stand before its end."""
    with History(tmp_path, "w") as history, pytest.raises(NoOutcome):
        history.call("ack").ok()


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """A killed writer may have been in the middle of it."""
    with History(tmp_path, "w") as history, history.call("ack") as call:
        call.ok()
    path = tmp_path / "w.1.jsonl"
    whole = path.read_bytes()
    for cut in range(len(whole.splitlines()[1]) + 1):
        path.write_bytes(whole[: len(whole) - 1 - cut])
        assert [event.kind for event in read_file(path)] == [Kind.INVOKE]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"t":1}',
        b'{"t":"1","p":"w","n":1,"e":"ok","f":"ack"}',
        b'{"t":1,"p":"w","n":1,"e":"maybe","f":"ack"}',
        b'{"t":1,"p":"w","n":1,"e":"ok","f":"ack","what":1}',
    ],
)
def test_a_line_that_cannot_be_read_is_an_error(tmp_path: Path, line: bytes) -> None:
    """A verdict over half a history is worth nothing."""
    (tmp_path / "w.1.jsonl").write_bytes(line + b"\n")
    with pytest.raises(CorruptHistory):
        load(tmp_path)


def test_a_folder_without_histories_is_an_error(tmp_path: Path) -> None:
    """Most likely nobody wrote where somebody reads."""
    with pytest.raises(CorruptHistory):
        load(tmp_path)


def test_histories_are_merged_by_time(tmp_path: Path) -> None:
    """The clock is the same for all processes of a machine."""
    for name, times in (("a", [3, 4]), ("b", [1, 9])):
        with History(tmp_path, name, clock=partial(next, iter(times))) as history:
            history.fact("ack")
            history.fact("ack")
    assert [event.time for event in load(tmp_path)] == [1, 3, 4, 9]


def test_threads_share_a_history(tmp_path: Path) -> None:
    """No line is torn, no number is used twice."""

    def work() -> None:
        for _ in range(200):
            with history.call("ack") as call:
                call.ok()

    with History(tmp_path, "w") as history:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events = load(tmp_path)
    assert len({(event.call, event.kind) for event in events}) == len(events) == 1600


def test_the_file_of_a_retired_id_is_closed_with_its_last_call(tmp_path: Path) -> None:
    """However often that happens, files do not pile up."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with History(tmp_path, "w") as history:
        for _ in range(50):
            with history.call("ack") as call:
                call.info("TimeoutError")
        assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


KILLED = """
import os, pathlib
from qcore_conformance.history import History
history = History(pathlib.Path(os.environ["QCORE_URL"]), os.environ["QCORE_PROCESS"])
with history.call("enqueue", queue="q", job="w-1") as call:
    call.ok()
with history.call("reserve", queue="q") as call:
    print("inside", flush=True)
    input()
"""


def test_a_killed_process_leaves_its_open_call_behind(tmp_path: Path) -> None:
    """Every line had reached the kernel before the call began."""
    script = tmp_path / "script.py"
    script.write_text(KILLED.replace("input()", "__import__('signal').pause()"))
    folder = tmp_path / "history"
    with ScriptProcess(script, str(folder), name="w7") as process:
        process.wait_for("inside")
        process.kill()
    assert kinds(folder) == [
        ("w7.1", "invoke", "enqueue"),
        ("w7.1", "ok", "enqueue"),
        ("w7.1", "invoke", "reserve"),
    ]


def test_an_event_says_only_what_it_knows() -> None:
    """What was not said takes no room."""
    event = Event(time=1, process="w", call=1, kind=Kind.OK, verb=Verb.ACK)
    assert event.line() == b'{"t":1,"p":"w","n":1,"e":"ok","f":"ack"}\n'
    assert Event.parse(event.line()) == event


def test_the_last_line_of_the_last_page_is_what_a_process_did_last(tmp_path: Path) -> None:
    """So somebody else can tell what it is at; a line that is half written does not count."""
    assert last_event(tmp_path, "w3") is None
    with History(tmp_path, "w3") as history:
        for outcome in ("first", "second"):
            with history.call("ack", job=outcome) as call:
                call.info("unknown")
        with history.call("reserve", queue="q") as call:
            call.ok(job="j")
            last = last_event(tmp_path, "w3")
        assert last is not None
        assert (last.process, last.kind, last.job) == ("w3.3", Kind.OK, "j")
    with (tmp_path / "w3.3.jsonl").open("ab") as page:
        page.write(b'{"t":')
    assert last_event(tmp_path, "w3") == last
