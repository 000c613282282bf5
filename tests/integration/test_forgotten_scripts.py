"""What follows an ack, where the server forgets its scripts or starts again on the way of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from qcore.sansio import Program
from qcore_redis import programs
from qcore_redis.programs import Words, evaluate
from qcore_redis.scripts import Script
from tests.integration.stage import Stage, held
from tests.integration.test_outbox import (
    OTHER,
    THIRD,
    ack,
    bodies,
    follower,
    let_head_start_end,
    nobody_brings,
    outbox,
)


@contextmanager
def before_scripts(
    monkeypatch: pytest.MonkeyPatch, event: Callable[[], None], numbers: Sequence[int]
) -> Generator[list[int]]:
    """Let something happen before some of the scripts that are run inside, which are counted."""
    run: list[int] = []

    def eventful(script: Script, keys: Sequence[str], args: Sequence[Any]) -> Program[Words, Any]:
        run.append(len(run))
        if run[-1] in numbers:
            event()
        return (yield from evaluate(script, keys, args))

    with monkeypatch.context() as patch:
        patch.setattr(programs, "evaluate", eventful)
        yield run


def forget(stage: Stage) -> Callable[[], None]:
    """The server knows no script any more."""
    return lambda: assert_ok(stage.server.cli("SCRIPT", "FLUSH"))


def assert_ok(reply: object) -> None:
    """The server did it."""
    assert reply == b"OK"


def start_again(stage: Stage) -> Callable[[], None]:
    """The server ends, with every connection to it, and comes back with what it had."""
    assert_ok(stage.server.cli("CONFIG", "SET", "save", "3600 1000000"))
    return stage.server.restart


def see_each_once(stage: Stage) -> None:
    """Both jobs are there, were stored once, and stay done when they are done."""
    assert (bodies(stage), bodies(stage, THIRD)) == ([b"1"], [b"2"])
    assert stage.line().stats().outbox == 0
    for name in (OTHER, THIRD):
        line = stage.line(name)
        held(line.reserve(timeout=0)).ack()
        stats = line.stats()
        assert (stats.enqueued, stats.acked, stats.ready) == (1, 1, 0)


def test_scripts_are_forgotten_between_an_ack_and_what_follows_it(
    own_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02, Q-REC-15: before each script, and all is there when the ack returns."""
    with before_scripts(monkeypatch, forget(own_stage), range(100)) as run:
        assert ack(own_stage, follower(1), follower(2, THIRD))
    assert len(run) == len(("enqueue", "take", "settle", OTHER, THIRD))
    see_each_once(own_stage)


def test_scripts_are_forgotten_while_others_bring_what_follows(
    own_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-THEN-02, Q-REC-15: behind the take that was handed the rows, and between two queues."""
    with nobody_brings(monkeypatch):
        assert ack(own_stage, follower(1), follower(2, THIRD))
    let_head_start_end(own_stage)
    with before_scripts(monkeypatch, forget(own_stage), range(100)) as run:
        assert own_stage.line().reserve(timeout=0) is None
    assert len(run) == len(("take", OTHER, THIRD))
    see_each_once(own_stage)


@pytest.mark.parametrize("number", [3, 4], ids=["before-both", "between-two"])
def test_a_server_starts_again_between_an_ack_and_what_follows_it(
    own_stage: Stage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Q-THEN-02: the ack holds; what the lost connection did not bring is brought by others."""
    with before_scripts(monkeypatch, start_again(own_stage), [number]) as run:
        assert ack(own_stage, follower(1), follower(2, THIRD))
    assert number in run
    let_head_start_end(own_stage)
    assert own_stage.line().reserve(timeout=0) is None
    assert outbox(own_stage) == []
    see_each_once(own_stage)
