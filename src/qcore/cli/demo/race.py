"""One run of one design: enqueue, let one consumer take jobs, kill it, see what comes back.

Every step waits for what the consumers tell, none for a time; only the last one, which asks
whether anything more will come, ends after some leases of silence.
"""

from __future__ import annotations

import os
import queue
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from qcore.capabilities import Capabilities
from qcore.cli.demo.crew import Crew
from qcore.cli.demo.designs import Design
from qcore.cli.demo.ledger import Ledger, Outcome
from qcore.cli.demo.naive import NaiveQueue
from qcore.connection import Connection, connect
from qcore.errors import Unavailable, UnsupportedCapability

__all__ = ["Plan", "Progress", "Result", "race"]

Progress = Callable[[str, int], None]
"""Told what goes on, and how many jobs are done."""

_QUIET_LEASES = 3
_PATIENCE = 30.0
_BATCH = 500
_VICTIM = 0


@attrs.frozen
class Plan:
    """What is the same for all designs.

    Attributes:
        counts: The words of each file.
        consumers: How many consumers there are, the one that dies among them.
        hold: How many jobs that one takes before it is killed.
        lease: Seconds of a lease, where the adapter keeps such short ones.
    """

    counts: Mapping[Path, int]
    consumers: int = 3
    hold: int = 5
    lease: float = 2.0


@attrs.frozen
class Result:
    """How one run ended, and what the adapter had promised."""

    design: Design
    capabilities: Capabilities
    outcome: Outcome


def race(design: Design, plan: Plan, progress: Progress) -> Result:
    """Run one design.

    Raises:
        UnsupportedCapability: If consumers in other processes cannot share its queues.
        Unavailable: If the broker or a consumer does not answer.
    """
    with connect(design.url) as connection:
        capabilities = connection.capabilities
        if "scope:host" not in capabilities:
            why = "the consumers of the demo are processes, and its jobs live inside one"
            raise UnsupportedCapability(capabilities.adapter, "scope:host", why)
        lease = max(plan.lease, capabilities.limits.lease_min)
        field = _Field(design, connection, plan.consumers)
        try:
            with Crew(design.url, field.orders(plan.hold, lease)) as crew:
                outcome = _Run(crew, Ledger(), plan, lease, progress).run(field)
        finally:
            field.clear()
        return Result(design, capabilities, outcome)


class _Field:
    """The queues of one run: one for all consumers, or one for each where all hear everything."""

    def __init__(self, design: Design, connection: Connection, consumers: int) -> None:
        self._naive = design.naive
        self._connection = connection
        name = f"qcore-demo-{secrets.token_hex(4)}"
        dealt = not design.naive and connection.capabilities.value("settlement") == "automatic"
        self._names = [f"{name}-{index}" if dealt else name for index in range(consumers)]

    def orders(self, hold: int, lease: float) -> list[list[str]]:
        """The words that each consumer is started with."""
        kind = "naive" if self._naive else "portable"
        return [
            [name, kind, str(hold if index == _VICTIM else 0), str(lease)]
            for index, name in enumerate(self._names)
        ]

    def enqueue(self, paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
        """Enqueue a job for each file; the ids."""
        names = list(dict.fromkeys(self._names))
        for index, name in enumerate(names):
            share = paths[index :: len(names)]
            for start in range(0, len(share), _BATCH):
                batch = share[start : start + _BATCH]
                yield from zip(self._send(name, batch), batch, strict=True)

    def _send(self, name: str, batch: Sequence[Path]) -> Sequence[str]:
        bodies = [os.fsencode(path) for path in batch]
        if not self._naive:
            return self._connection.queue(name).enqueue_many(bodies)
        ids = [secrets.token_hex(16) for _ in bodies]
        items = [job.encode() + b" " + body for job, body in zip(ids, bodies, strict=True)]
        NaiveQueue(self._connection, name).push(items)
        return ids

    def clear(self) -> None:
        """Leave nothing behind on the broker."""
        for name in set(self._names):
            if self._naive:
                NaiveQueue(self._connection, name).clear()
            elif "purge" in self._connection.capabilities:
                for state in ("ready", "delayed", "dead"):
                    self._connection.queue(name).purge(state)


@attrs.define
class _Run:
    """The steps of one run."""

    crew: Crew
    ledger: Ledger
    plan: Plan
    lease: float
    progress: Progress
    dead: set[int] = attrs.field(factory=set[int])

    def run(self, field: _Field) -> Outcome:
        everybody = range(self.plan.consumers)
        self.progress("starting the consumers", 0)
        self._until(lambda: self.ledger.ready >= set(everybody))
        self.progress("enqueuing", 0)
        for job, path in field.enqueue(list(self.plan.counts)):
            self.ledger.enqueued(job, self.plan.counts[path])
        self.crew.begin(_VICTIM)
        self._until(lambda: self.ledger.held is not None)
        for index in everybody:
            if index != _VICTIM:
                self.crew.begin(index)
        self._until(lambda: self.ledger.done > 0)
        self._kill()
        self._until_nothing_comes()
        return self.ledger.outcome()

    def _kill(self) -> None:
        self.dead.add(_VICTIM)
        self.crew.kill(_VICTIM)
        self.ledger.killed(time.monotonic())
        self.progress(f"killed one that held {len(self.ledger.held or ())} jobs", self.ledger.done)

    def _until(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not reached():
            try:
                self._next(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Unavailable(
                    f"the consumers of the demo did not come along within {_PATIENCE:g} s; "
                    "the machine may be too busy"
                ) from None

    def _until_nothing_comes(self) -> None:
        while not self.ledger.complete:
            try:
                self._next(_QUIET_LEASES * self.lease)
            except queue.Empty:
                return
            self.progress("going on without it", self.ledger.done)

    def _next(self, timeout: float) -> None:
        index, event = self.crew.event(timeout)
        if event is not None:
            self.ledger.note(index, event)
        elif index not in self.dead:
            raise Unavailable(f"a consumer of the demo ended early: {self.crew.complaint(index)}")
