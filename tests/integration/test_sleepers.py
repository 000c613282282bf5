"""Jobs that the server gave to a sleeping connection, which has not woken yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.conftest import Servers, open_stage
from tests.integration.stage import EDGES, Place, Stage, held, places

OWNER = "0123456789abcdef"
FAR = 1 << 50
"""Milliseconds that no clock will show."""


@pytest.fixture(params=[one for one in places(EDGES) if one.adapter == "redis+list"], ids=str)
def list_stage(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Stage]:
    """A place of the list adapter, where a sleeper is registered."""
    place: Place = request.param
    assert place.binary is not None
    for stage in open_stage(place, servers(place.binary)):
        stage.server.cli("ZADD", stage.keys().one("waiters"), FAR, OWNER)
        yield stage


def give(stage: Stage) -> None:
    """Let the server give the next job to the sleeper."""
    keys = stage.keys()
    stage.server.cli("LMOVE", keys.one("ready:0"), keys.claim_of(OWNER), "RIGHT", "LEFT")
    assert given(stage) == 1


def given(stage: Stage) -> object:
    """How many jobs the sleeper has been given, and not taken."""
    return stage.server.cli("LLEN", stage.keys().claim_of(OWNER))


def calls(stage: Stage) -> int:
    """How many scripts the server has run."""
    return int(stage.info("commandstats")["cmdstat_evalsha"].split(",")[0].removeprefix("calls="))


def test_a_less_urgent_job_does_not_pass_one_that_a_sleeper_was_given(list_stage: Stage) -> None:
    """Q-PRIO-01: it is ready, though the one who was given it may wake late or never."""
    line = list_stage.line()
    line.enqueue(b"normal")
    give(list_stage)
    line.enqueue(b"low", priority=-4)

    came = [held(line.reserve(timeout=0)).job.body for _ in range(2)]

    assert came == [b"normal", b"low"]
    assert line.reserve(timeout=0) is None


def test_a_batch_ends_where_a_sleeper_was_given_the_next_job(list_stage: Stage) -> None:
    """Q-PRIO-01: and the next one begins with that."""
    line = list_stage.line()
    line.enqueue(b"normal")
    give(list_stage)
    line.enqueue(b"low", priority=-4)
    line.enqueue(b"urgent", priority=4)

    batches = [[hand.job.body for hand in line.reserve_many(9, timeout=0)] for _ in range(2)]

    assert batches == [[b"urgent"], [b"normal", b"low"]]


def test_what_a_sleeper_was_given_is_left_to_it_where_nothing_would_pass(list_stage: Stage) -> None:
    """Whoever looks meanwhile takes what is more urgent, or nothing, and costs no more for it."""
    line = list_stage.line()
    line.enqueue(b"normal")
    give(list_stage)
    before = calls(list_stage)

    assert line.reserve(timeout=0) is None
    line.enqueue(b"urgent", priority=4)
    assert held(line.reserve(timeout=0)).job.body == b"urgent"

    assert given(list_stage) == 1
    assert calls(list_stage) - before == 3


def test_sleepers_that_were_given_nothing_cost_nothing(list_stage: Stage) -> None:
    """A take of less urgent jobs is one call all the same."""
    line = list_stage.line()
    line.enqueue_many([b"normal", b"again"])
    held(line.reserve(timeout=0)).ack()
    held(line.reserve(timeout=0)).retry(1000)
    line.enqueue(b"low", priority=-1)
    before = calls(list_stage)

    assert held(line.reserve(timeout=0)).job.body == b"low"

    assert calls(list_stage) - before == 1
