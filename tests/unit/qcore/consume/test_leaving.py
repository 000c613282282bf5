"""Callers who leave: what woke them, and what came for them, is for others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs
import pytest

from qcore.backend import Backend, Enqueue, Flush, Settle, Taken, TakenJob, TakeRequest
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities, Claim
from qcore.clock import SystemClock
from qcore.consume.async_session import AsyncSession
from qcore.consume.leftovers import Leftovers
from qcore.consume.opening import opening
from qcore.consume.reserve import Found
from qcore.consume.session import Session, Stopped
from qcore.registry import find
from qcore.url import parse_url
from tests.unit.qcore.waiting import eventually_async

REQUEST = TakeRequest(limit=1, lease_ms=30_000)


class Watched:
    """A memory backend that notes what is asked of it, and promises what it is told to."""

    def __init__(self, settlement: str = "explicit") -> None:
        setup = opening("memory://", (), SystemClock()).setup()
        adapter, _ = find(parse_url("memory://"))
        self._backend: Any = adapter.backend(setup)
        self._settlement = settlement
        self.asked: list[str] = []

    def open(self) -> Capabilities:
        """Promise the settlement that is asked for."""
        found: Capabilities = self._backend.open()
        claims = {**found.claims, "settlement": Claim(self._settlement)}
        return attrs.evolve(found, claims=claims)

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """Note the take."""
        self.asked.append("take")
        taken: Taken = self._backend.take(queue, request, flush)
        return taken

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """A job arrives, and ends the wait."""
        del timeout
        self.asked.append("wait")
        self._backend.enqueue(queues[0], [Enqueue("a", b"1{}\n")], Flush("other", 1))

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """Note the verbs."""
        self.asked += [step.verb.value for step in steps]
        held: Sequence[bool] = self._backend.settle(queue, steps, flush)
        return held

    def __getattr__(self, name: str) -> Any:
        """Everything else as memory does it."""
        return getattr(self._backend, name)


def fit(found: Found) -> tuple[list[str], list[Any]]:
    """Hand out every job."""
    return [job.id for job in found.taken.jobs], []


def stopped_after(backend: Watched) -> Any:
    """Stop once the backend was waited on."""
    return lambda: "wait" in backend.asked


def test_what_woke_a_caller_who_was_stopped_is_passed_on() -> None:
    """The signal may be gone from the broker, so somebody has to look in the caller's stead."""
    backend = Watched()
    session = Session(cast("Backend", backend), 1.0, SystemClock().monotonic)
    session.open()

    with pytest.raises(Stopped):
        session.reserve("q", REQUEST, 5.0, fit, stopped_after(backend))

    assert backend.asked == ["take", "wait", "take", "release"]
    session.close()


@pytest.mark.asyncio
async def test_what_woke_a_task_that_was_stopped_is_passed_on() -> None:
    """The same for tasks."""
    backend = Watched()
    session = AsyncSession(lift_inline(cast("Backend", backend)), 1.0, SystemClock().monotonic)
    await session.open()

    with pytest.raises(Stopped):
        await session.reserve("q", REQUEST, 5.0, fit, stopped_after(backend))
    await eventually_async(lambda: "release" in backend.asked)

    await session.close()
    assert backend.asked == ["take", "wait", "take", "release"]


def test_what_cannot_be_given_back_is_kept_for_the_next_caller() -> None:
    """Where taking a job ends it, the connection is the only one that still has it."""
    backend = Watched("automatic")
    session = Session(cast("Backend", backend), 1.0, SystemClock().monotonic)
    session.open()

    with pytest.raises(Stopped):
        session.reserve("q", REQUEST, 5.0, fit, stopped_after(backend))
    found = session.reserve("q", REQUEST, 0.0, fit)

    assert found == ["a"]
    session.close()


def test_leftovers_keep_their_order_and_their_queue() -> None:
    """First come, first served, and each queue for itself."""
    leftovers = Leftovers()
    jobs = [Taken([_job(name)]) for name in "abc"]

    leftovers.keep("q", jobs)

    first, rest = leftovers.take("q", 2), leftovers.take("q", 2)
    assert first is not None
    assert rest is not None
    assert [job.id for job in [*first.jobs, *rest.jobs]] == ["a", "b", "c"]
    assert leftovers.take("q", 1) is None
    assert leftovers.take("other", 1) is None


def _job(name: str) -> TakenJob:
    return TakenJob(token=name, id=name, envelope=b"")
