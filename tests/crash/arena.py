"""A run with many workers, somebody who breaks things, and a verdict over what they wrote down.

The run has phases: load and faults, stop, drain until the queue was seen empty twice over a whole
recovery, check.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import attrs

from qcore_conformance.checker import Report, check
from qcore_conformance.checks.totals import kills_of_holders, redeliveries
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.history import History, load
from qcore_conformance.waiting import scaled, wait_until
from tests.crash import crowd
from tests.crash.crowd import QUEUE, Told, sha_of, told_of
from tests.crash.scene import RECOVERY, Scene
from tests.crash.workers import Part, Worker

__all__ = ["Arena", "Crew"]

Role = Callable[[Part, str, Told], None]
Crew = Mapping[str, Role]


@attrs.frozen
class Outcome:
    """What a run showed.

    Attributes:
        report: The verdict over its history.
        summary: The run in one line.
    """

    report: Report
    summary: str


class Arena:
    """Workers over one scene, their history, and their end.

    Args:
        scene: Where they work.
        folder: Where they write.
        lease: Seconds of a lease.
        kept: See ``Told``.
        seed: What the breaker's choices are made from.
    """

    def __init__(
        self, scene: Scene, folder: Path, *, lease: float, kept: float | None, seed: int
    ) -> None:
        self.scene = scene
        self.told = Told(folder, scaled(lease), kept)
        self.seed = seed
        self.chance = random.Random(seed)
        self.kills = 0
        self._url = scene.url(lease=f"{self.told.lease}s")
        self._roles: dict[str, Role] = {}
        self._workers: dict[str, Worker[str, Told]] = {}
        self._breaker = History(folder, "breaker")
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        self._closing.callback(self._breaker.close)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()
        self._closing.close()

    def employ(self, crew: Crew) -> None:
        """Start these workers, by name, and wait until all are at work."""
        self._roles.update(crew)
        for name in crew:
            self._start(name)
        for name in crew:
            self._workers[name].ready()

    def _start(self, name: str) -> None:
        self._workers[name] = self.scene.work(self._roles[name], self._url, name, self.told)

    def kill_one(self) -> None:
        """Kill any of the workers, and put another one in its place."""
        name = self.chance.choice(sorted(self._workers))
        with self._breaker.fault(FaultKind.KILL_WORKER, name) as fault:
            self._workers[name].kill()
            fault.ok()
        self.kills += 1
        self._start(name)

    def break_server(self, fault: FaultKind, act: Callable[[], None]) -> None:
        """Break the server, and mend it."""
        with self._breaker.fault(fault) as call:
            act()
            call.ok()

    def stop(self) -> None:
        """Let all workers finish what they do, producers first.

        What consumers took ahead and give back unseen would be deliveries that no history knows.
        """
        producers = {name for name, role in self._roles.items() if role is crowd.produce}
        self._stop(producers)
        wait_until(self._is_empty, within=60.0, what="nothing waits any more")
        self._stop(self._workers.keys() - producers)

    def _is_empty(self) -> bool:
        stats = self.scene.watch.stats()
        return stats.ready + stats.delayed == 0

    def _stop(self, names: Iterable[str]) -> None:
        leaving = [self._workers[name] for name in names]
        for worker in leaving:
            worker.go()
        for worker in leaving:
            worker.heard("stopped", within=30.0)
            worker.kill()

    def judge(self, promised: Guarantees) -> Outcome:
        """Drain the queue, and hold the history to the promises."""
        with History(self.told.folder, "drain") as history:
            self._drain(history)
            self._note_dead(history)
            with history.call("stats", queue=QUEUE) as call:
                call.ok(counts=attrs.asdict(self.scene.watch.stats()))
        report = check(load(self.told.folder), promised, seed=self.seed)
        return Outcome(report, self._summary(report, promised))

    def _drain(self, history: History) -> None:
        """Take until nothing came for a whole lease and recovery, seen at both ends."""
        horizon = self.told.lease + RECOVERY + 0.1
        empty_since = None
        while empty_since is None or time.monotonic() - empty_since < horizon:
            began = time.monotonic()
            if self._drain_once(history, 0.2):
                empty_since = None
            elif empty_since is None:
                empty_since = began
        self._drain_once(history, 0.0)

    def _drain_once(self, history: History, timeout: float) -> bool:
        with history.call("drain", queue=QUEUE) as call:
            found = self.scene.watch.reserve_many(100, timeout, 60.0)
            for delivery in found:
                call.ok(**told_of(delivery, 60.0))
            if not found:
                call.empty()
        for delivery in found:
            facts = told_of(delivery, None)
            with history.call(
                "ack", queue=QUEUE, job=facts.get("job", ""), receipt=facts.get("receipt", "")
            ) as call:
                delivery.ack()
                call.ok()
        return bool(found)

    def _note_dead(self, history: History) -> None:
        """Write down which jobs are dead; some of them by the broker's own decision."""
        offset = 0
        while page := self.scene.watch.peek("dead", limit=500, offset=offset):
            offset += len(page)
            for dead in page:
                assert dead.job is not None, f"cannot be read: {dead.raw!r}"
                name = dead.job.body.partition(b"|")[0].decode()
                history.fact("dead", queue=QUEUE, job=name, sha=sha_of(dead.job.body))

    def _summary(self, report: Report, promised: Guarantees) -> str:
        failed = {name: len(report[name].failures) for name in report.results}
        counted = {name: len(report[name].counted) for name in report.results}
        run = report.run
        return (
            f"{self.scene.place}: {report.verdict}, seed {self.seed}; "
            f"{report['conservation'].note}; {self.kills} kills, "
            f"{kills_of_holders(run, promised)} of a holder, {redeliveries(run)} redeliveries "
            f"({counted['duplicate explained']} explained, "
            f"{failed['duplicate unexplained']} not); lost {failed['lost']}, "
            f"unexpected {failed['unexpected']}, resurrected {failed['resurrected']}, "
            f"recovered {counted['recovered']}"
        )
