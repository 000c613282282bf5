"""Where a job that is cancelled may lie in a server, and that finding it leaves nothing behind."""

from __future__ import annotations

import pytest

from qcore import NewJob, Settlement, State
from qcore.backend import Settle, TakeRequest, Verb
from tests.integration.stage import Stage, held
from tests.integration.test_full_memory import full


@pytest.mark.parametrize("nth", [0, 2999])
def test_a_job_in_a_long_queue_is_found(redis_stage: Stage, nth: int) -> None:
    """Q-CANCELJOB-01: in as many steps as that takes, and no other is touched."""
    line = redis_stage.line()
    ids = [
        job_id
        for _ in range(3)
        for job_id in line.enqueue_many([NewJob(b"", priority=-1) for _ in range(1000)])
    ]
    assert line.cancel(ids[nth]) is State.READY
    assert line.cancel(ids[nth]) is None
    assert (line.stats().ready, line.stats().dropped) == (2999, 1)


def test_a_job_that_came_back_is_found_behind_others(redis_stage: Stage) -> None:
    """Q-CANCELJOB-01: also where it looks unlike a new one, and among thousands like it."""
    line = redis_stage.line()
    for _ in range(3):
        line.enqueue_many([b""] * 700)
    hands = [hand for _ in range(3) for hand in line.reserve_many(700, timeout=0)]
    for verb in ("release", "retry"):
        wanted = hands.pop(1000)
        getattr(wanted, verb)(*([100.0] if verb == "retry" else []))
        assert line.cancel(wanted.job.id) is (State.READY if verb == "release" else State.DELAYED)
    for part in (hands[:700], hands[700:1400], hands[1400:]):
        line.settle_many([Settlement(hand.receipt, Verb.RELEASE) for hand in part])
    assert line.cancel(hands[999].job.id) is State.READY
    assert (line.stats().ready, line.stats().held, line.stats().dropped) == (2097, 0, 3)


def test_a_job_that_a_sleeper_was_given_is_found(redis_stage: Stage) -> None:
    """Q-CANCELJOB-01: between the wait and the take of a consumer, or of one that died there."""
    if not redis_stage.is_list:
        pytest.skip("only the list adapter has sleepers that are given jobs")
    line, keys, owner = redis_stage.line(), redis_stage.keys(), "0123456789abcdef"
    first, second = line.enqueue_many([b"", b""])
    with redis_stage.server.connect() as raw:
        raw.call("ZADD", keys.one("waiters"), 1, owner)
        raw.call("BLMOVE", keys.one("ready:0"), keys.claim_of(owner), "RIGHT", "LEFT", 0.1)
    assert line.cancel(first) is State.READY
    assert redis_stage.server.cli("EXISTS", keys.claim_of(owner)) == 0
    assert line.cancel(first) is None
    assert held(line.reserve(timeout=0)).job.id == second


def test_nothing_is_left_of_a_cancelled_job(redis_stage: Stage) -> None:
    """Q-CANCELJOB-01, Q-RES-01: no body, no note, no grave, no mark."""
    line = redis_stage.line()
    line.enqueue(b"")
    held(line.reserve(timeout=0)).ack()
    before = redis_stage.names()
    ids = line.enqueue_many([b"", b"", b"", NewJob(b"", delay=100.0), b""])
    dead, retried = line.reserve_many(2, timeout=0)
    (ahead,) = redis_stage.client.take("work", TakeRequest(1, 30_000, started=False)).jobs
    assert redis_stage.client.settle("work", [Settle(ahead.token, Verb.START)]) == [True]
    dead.dead_letter("why")
    retried.retry(100.0, error="once")
    assert [line.cancel(job_id) for job_id in ids] == [
        State.DEAD,
        State.DELAYED,
        State.HELD,
        State.DELAYED,
        State.READY,
    ]
    assert redis_stage.names() == before
    assert line.stats().dropped == 5


def test_a_full_server_still_cancels(own_stage: Stage) -> None:
    """Q-CANCELJOB-01, Q-REC-16: it makes room."""
    line = own_stage.line()
    ids = line.enqueue_many([b"", b"", NewJob(b"", delay=100.0)])
    held(line.reserve(timeout=0))
    with full(own_stage):
        states = [line.cancel(job_id) for job_id in ids]
    assert states == [State.HELD, State.READY, State.DELAYED]
