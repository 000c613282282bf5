"""Adapters over the reference that break at the seam: in what they pass on, and when."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

import attrs

from conformance.tests.mutants.broken.adapter import BrokenAdapter, Wrapper
from qcore.backend import AsyncBackend, Backend, Enqueue, Enqueued, Flush, Setup
from qcore.bridges import lift_inline, lift_threads
from qcore.capabilities import Capabilities, Claim
from qcore.memory.adapter import MemoryAdapter

__all__ = [
    "LEFT",
    "claims_less",
    "claims_more",
    "dedup_races",
    "delay_early",
    "priority_inverted",
    "refuses_too_late",
    "sound",
    "swallows_cancel",
    "wakes_late",
]

LEFT: dict[str, set[str]] = {}
"""What connections left behind, by namespace."""

_ROUND_TRIP = 0.02
_POLL = 1.0


class _PriorityInverted(Wrapper):
    """Takes 4 for the least urgent."""

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        turned = [attrs.evolve(job, priority=-job.priority) for job in jobs]
        told: Sequence[Enqueued] = self.inner.enqueue(queue, turned, flush)
        return told


class _DelayEarly(Wrapper):
    """Counts a delay in units of its own."""

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        hurried = [attrs.evolve(job, delay_ms=job.delay_ms // 2) for job in jobs]
        told: Sequence[Enqueued] = self.inner.enqueue(queue, hurried, flush)
        return told


class _DedupRaces(Wrapper):
    """Asks which words are known, and stores what is new in a second step."""

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        found = [self._known(queue, job) for job in jobs]
        if any(job.unique or job.dedup for job in jobs):
            time.sleep(_ROUND_TRIP)
        told: list[Enqueued] = []
        for number, job in enumerate(jobs):
            # A batch is looked through again, since it may say the same word twice.
            first = found[number] or (self._known(queue, job) if number else None)
            lane = attrs.evolve(flush, lane=f"{flush.lane}-{number}")
            told.append(Enqueued(first, created=False) if first else self._store(queue, job, lane))
        return told

    def _words(self, queue: str, job: Enqueue) -> list[tuple[str, ...]]:
        place = (str(self.setup.params["namespace"]), queue)
        words: list[tuple[str, ...]] = [(*place, "id", job.id)] if job.unique else []
        return words + ([(*place, "dedup", job.dedup)] if job.dedup else [])

    def _known(self, queue: str, job: Enqueue) -> str | None:
        now = self.setup.clock.time()
        found = (_KNOWN.get(one, ("", now)) for one in self._words(queue, job))
        return next((first for first, until in found if until > now), self._open(queue, job))

    def _open(self, queue: str, job: Enqueue) -> str | None:
        record = self.inner.records(queue, [job.id])[0] if job.unique else None
        return job.id if record and not record.has_ended else None

    def _store(self, queue: str, job: Enqueue, flush: Flush) -> Enqueued:
        plain = attrs.evolve(job, unique=False, dedup=None)
        told: Enqueued = self.inner.enqueue(queue, [plain], flush)[0]
        until = self.setup.clock.time() + float(self.setup.params["dedup_window"])
        if told.created:
            _KNOWN.update(dict.fromkeys(self._words(queue, job), (job.id, until)))
        return told


_KNOWN: dict[tuple[str, ...], tuple[str, float]] = {}
"""For which job each word stands, and until when."""


class _RefusesTooLate(Wrapper):
    """Finds out what it cannot do only once it has signed in, and stays signed in."""

    def open(self) -> Capabilities:
        namespace = str(self.setup.params["namespace"])
        LEFT.setdefault(namespace, set()).add(f"{namespace}:client:{self.setup.owner}")
        return _without(super().open(), "dedup")


class _ClaimsLess(Wrapper):
    """Keeps a promise that it does not make."""

    def open(self) -> Capabilities:
        return _without(super().open(), "purge")


def _without(promised: Capabilities, name: str) -> Capabilities:
    claims = {key: claim for key, claim in promised.claims.items() if key != name}
    return attrs.evolve(promised, claims=claims)


class _ClaimsMore(Wrapper):
    """Makes a promise that its claims file knows nothing of."""

    def open(self) -> Capabilities:
        promised = super().open()
        return attrs.evolve(promised, claims={**promised.claims, "receivers": Claim(value=True)})


class _ClaimsMoreAdapter(BrokenAdapter):
    def promises(self) -> Capabilities:
        promised = super().promises()
        return attrs.evolve(promised, claims={**promised.claims, "receivers": Claim(value=True)})


class _WakesLate(Wrapper):
    """Claims to be woken, and looks once a second."""

    def __init__(self, inner: Any, setup: Setup, scheme: str) -> None:
        super().__init__(inner, setup, scheme)
        self._over = threading.Condition()

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        del queues
        with self._over:
            self._over.wait(min(timeout, _POLL))

    def interrupt(self) -> None:
        with self._over:
            self._over.notify_all()
        self.inner.interrupt()


class _DeafToTasks:
    """Takes being cancelled for a reason to look again."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def wait(self, queues: Sequence[str], timeout: float) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._inner.wait(queues, timeout)


def _deaf(backend: Backend) -> AsyncBackend:
    made: Any = _DeafToTasks(lift_inline(backend))
    lifted: AsyncBackend = made
    return lifted


def _broken(scheme: str, wrapper: type[Wrapper]) -> BrokenAdapter:
    return BrokenAdapter(scheme, MemoryAdapter(), wrapper)


claims_less = _broken("claims-less", _ClaimsLess)
claims_more = _ClaimsMoreAdapter("claims-more", MemoryAdapter(), _ClaimsMore)
dedup_races = BrokenAdapter("dedup-races", MemoryAdapter(), _DedupRaces, lift_threads)
delay_early = _broken("delay-early", _DelayEarly)
priority_inverted = _broken("priority-inverted", _PriorityInverted)
refuses_too_late = _broken("refuses-too-late", _RefusesTooLate)
swallows_cancel = BrokenAdapter("swallows-cancel", MemoryAdapter(), Wrapper, _deaf)
sound = _broken("sound", Wrapper)
wakes_late = _broken("wakes-late", _WakesLate)
