"""What a pause costs the server, and what it costs those who never pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

import qcore.consume.reserve
from qcore_conformance.waiting import scaled
from qcore_redis.keys import QueueKeys
from tests.integration.stage import PROMPT, Stage, held, texts
from tests.integration.test_full_memory import full
from tests.integration.test_waking import asleep

T = TypeVar("T")

PLAIN = {
    "redis+list": {"enqueue": 11, "reserve": 30, "ack": 18, "look": 34},
    "redis+streams": {"enqueue": 13, "reserve": 41, "ack": 21, "look": 38},
}
"""Commands that the server runs for a job that uses nothing special, scripts' own included."""


def calls(stage: Stage, act: Callable[[], T]) -> tuple[T, dict[str, int]]:
    """What an act gives, and how often it had the server run which command."""
    stage.server.cli("CONFIG", "RESETSTAT")
    given = act()
    rows = stage.info("commandstats").items()
    found = {name: int(row.split(",")[0].removeprefix("calls=")) for name, row in rows}
    return given, {
        name: count
        for name, count in found.items()
        if not name.startswith(("cmdstat_info", "cmdstat_config"))
    }


def test_what_is_not_used_costs_nothing(own_stage: Stage) -> None:
    """Q-PAUSE-01: a plain queue asks the server no more for being able to do special things."""
    line = own_stage.line()
    line.enqueue(b"")
    held(line.reserve(timeout=0)).ack()

    _, enqueue = calls(own_stage, lambda: line.enqueue(b""))
    hand, reserve = calls(own_stage, lambda: held(line.reserve(timeout=0)))
    _, ack = calls(own_stage, hand.ack)
    _, look = calls(own_stage, lambda: line.reserve(timeout=0))

    seen = {"enqueue": enqueue, "reserve": reserve, "ack": ack, "look": look}
    totals = {step: sum(counted.values()) for step, counted in seen.items()}
    assert totals == PLAIN[own_stage.place.adapter], seen


def test_a_consumer_of_a_paused_queue_asks_little(own_stage: Stage) -> None:
    """Q-PAUSE-01: it sleeps on the server, though work lies there and more comes in."""
    line = own_stage.line()
    line.enqueue(b"before")
    line.pause()
    line.enqueue(b"after")
    other = own_stage.other_line()

    found, counted = calls(own_stage, lambda: other.reserve(timeout=1.0))

    assert found is None
    assert counted["cmdstat_evalsha"] <= 3
    assert counted.get("cmdstat_blmove", 0) + counted.get("cmdstat_brpoplpush", 0) <= 2


def test_a_full_server_can_be_paused_and_resumed(own_stage: Stage) -> None:
    """Q-PAUSE-01, Q-REC-16: when it is needed most."""
    line = own_stage.line()
    line.enqueue(b"")
    with full(own_stage):
        line.pause()
        assert line.reserve(timeout=0.3) is None
        assert line.stats().paused
        line.resume()
        held(line.reserve(timeout=0)).ack()


def test_a_resumed_queue_leaves_nothing_behind(redis_stage: Stage) -> None:
    """Q-PAUSE-01, Q-RES-01: but for what expires."""
    line = redis_stage.line()
    line.enqueue(b"")
    held(line.reserve(timeout=0)).ack()
    line.pause()
    line.resume()
    keys: QueueKeys = redis_stage.keys()
    assert "paused" not in texts(redis_stage.server.cli("HKEYS", keys.one("meta")))
    with redis_stage.server.connect() as raw:
        assert raw.call("TTL", keys.one("gate")) in range(6)


def test_a_pause_right_after_a_resume_holds(redis_stage: Stage) -> None:
    """Q-PAUSE-01: what woke the sleepers does not keep them awake."""
    line = redis_stage.line()
    line.pause()
    line.resume()
    line.pause()
    line.enqueue(b"")
    assert line.reserve(timeout=0.3) is None
    line.resume()
    assert line.reserve(timeout=0) is not None


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "sharing a connection"])
def test_a_resume_wakes_all_who_found_the_queue_paused(stage: Stage, *, shared: bool) -> None:
    """Q-PAUSE-01: they sleep where no job wakes them, and are woken there."""
    line = stage.line()
    line.enqueue_many([b""] * 6)
    line.pause()
    lines = [line if shared else stage.other_line() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        sleepers = [asleep(stage, one, pool) for one in lines]
        began = time.monotonic()
        line.resume()
        come = [sleeper.result() for sleeper in sleepers]
    assert len({hand.job.id for hand, _ in come}) == 6
    assert max(woken for _, woken in come) - began < PROMPT


def test_a_resume_wakes_who_slept_before_the_pause(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Q-PAUSE-01: also where the signal for the job was spent on one who has left since."""
    monkeypatch.setattr(qcore.consume.reserve, "LONGEST_WAIT", scaled(8.0))
    one, other, boss = stage.line(), stage.other_line(), stage.other_line()
    with ThreadPoolExecutor(2) as pool:
        leaver = pool.submit(one.reserve, scaled(0.5))
        stage.wait_asleep(1)
        sleeper = asleep(stage, other, pool)
        boss.pause()
        boss.enqueue(b"")
        assert leaver.result() is None
        stage.wait_asleep(1)
        began = time.monotonic()
        boss.resume()
        _, woken = sleeper.result()
    assert woken - began < PROMPT
