"""The crash-point sweep: a worker is killed at every boundary of every exchange of a step.

The step is taken once to count its exchanges. Then, for each of them, a worker dies before its
request is passed on, after the broker ran it and before the reply is passed on, and after the
reply. Every death has a queue and a way to the broker of its own, so that many go on at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch

import attrs

import qcore
from qcore_conformance.acts import stepping
from qcore_conformance.bed import Bed
from qcore_conformance.calls import Counts, counts
from qcore_conformance.outcomes import NotApplicable, NotRun, Unknown
from qcore_conformance.pipes import Stage
from qcore_conformance.plans import Cut, When, boundaries
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.steps import Step
from qcore_conformance.suite.aftermath import accounted, collect
from qcore_conformance.waiting import scaled
from qcore_conformance.workers import Worker

__all__ = ["Death", "Sweep"]

_WHENS = (When.BEFORE_REQUEST, When.BEFORE_REPLY, When.AFTER_REPLY)
_AT_ONCE = 8
_WITHIN = 30.0
_TO_DO = ("ready", "held")
_ALIVE = ("delayed", *_TO_DO)
_FEWEST = 3


@attrs.frozen
class Death:
    """What a worker left that died at one boundary of a step.

    Attributes:
        exchange: In which exchange, from 1.
        when: At which of its boundaries.
        queue: The queue, by a way that nothing happens to.
        left: Its counts when the worker was dead.
    """

    exchange: int
    when: When
    queue: qcore.Queue
    left: Counts

    @property
    def where(self) -> str:
        """The boundary in words."""
        return f"{self.when.name.lower()} of exchange {self.exchange}"


class Sweep:
    """The deaths of workers in one step.

    Args:
        bed: The test bed.
        step: The step.

    Raises:
        NotApplicable: If the adapter keeps no jobs, or lacks what the step needs.
        NotRun: If the harness has no server and no line that can be cut, or nobody can count.

    Attributes:
        url: A way to the broker that nothing happens to.
    """

    def __init__(self, bed: Bed, step: Step) -> None:
        if bed.capabilities.value("delivery") != "at_least_once":
            raise NotApplicable("nothing stays that could be counted")
        for name in step.needs:
            if not bed.claims(name):
                raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
        bed.need_tier(3)
        self._bed = bed
        self._step = step
        self._server = bed.server()
        self.url = bed.url_at(self._server.address)
        self._beside = bed.connect(self.url)
        if "stats" not in self._beside.capabilities:
            raise NotRun("without stats nobody can tell what a step did")

    def queue(self, name: str) -> qcore.Queue:
        """A queue by a way that nothing happens to."""
        return self._beside.queue(name)

    def deaths(self) -> list[Death]:
        """Kill a worker at each boundary.

        Raises:
            Unknown: If a step that waits was over before all but a few of its deaths.
        """
        points = list(boundaries(self._exchanges(), _WHENS))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(self._die_at, *zip(*points, strict=True))
            died = [death for death in found if death is not None]
        if self._step.waits and len(died) < _FEWEST:
            raise Unknown(f"{self._step} was over before {len(points) - len(died)} of its deaths")
        return died

    def recover(self, death: Death) -> list[qcore.Delivery]:
        """Do all that is to be done, and see that nothing else is there.

        Raises:
            AssertionError: If a job is missing, there twice, or only half there.
        """
        bed, queue, step = self._bed, death.queue, self._step
        gone = {} if step.waits else {k: n for k, n in death.left.items() if k not in _TO_DO}
        if gone.pop("paused", 0):
            queue.resume()
        to_do = step.waits or sum(death.left.get(state, 0) for state in _TO_DO)
        came = collect(bed, queue, to_do, scaled(2 * bed.lease) + bed.recovery)
        accounted(bed, queue)
        left = {**gone, "acked": gone.get("acked", 0) + to_do}
        assert counts(queue) == {state: count for state, count in left.items() if count}
        # Whoever looks once more finds nothing, and takes down what was set up to be heard.
        assert queue.reserve(timeout=0) is None
        return [one.delivery for one in came]

    def forget(self, deaths: Iterable[Death]) -> None:
        """Remove what is left and leave, and see that nothing stays that nobody can see.

        Raises:
            AssertionError: If something does.
        """
        bed, queues = self._bed, [death.queue for death in deaths]
        for state, makers in (("delayed", ("delay", "retry")), ("dead", ("dead_letter",))):
            if bed.claims("purge") and any(map(bed.claims, makers)):
                for queue in queues:
                    queue.purge(state)
        self._beside.close()
        if self._step.waits:
            return  # a dead sleeper is missed by whoever takes next, and nobody does
        with contextlib.suppress(NotRun):  # then the harness cannot look behind the counts
            hidden = [one for queue in queues for one in self._hidden(queue.name)]
            assert hidden == [], f"still there: {hidden}"

    def _hidden(self, name: str) -> list[str]:
        parts = self._bed.harness.faults.lasting(self._server, self._bed.namespace, name)
        patterns = self._bed.harness.residue()
        return [one for one in parts if not any(fnmatch(one, each) for each in patterns)]

    def _exchanges(self) -> int:
        """How many exchanges the step takes; twice, as a broker may have to be taught first."""
        number = 0
        for name in ("rehearsal-1", "rehearsal-2"):
            proxy, worker = self._begin(name)
            before = len(proxy.log)
            worker.go()
            self._feed(name, proxy, worker)
            worker.heard("done", within=_WITHIN)
            number = len(proxy.log) - before
            worker.kill()
            states = self._step.states
            found = counts(self._beside.queue(name))
            assert not states or found == states[-1], f"{found} even if nothing breaks"
        return number

    def _begin(self, name: str) -> tuple[CountingProxy, Worker[str, str, float]]:
        bed = self._bed
        self._step.prepare(self._beside.queue(name), bed.lease)
        proxy = bed.proxy(self._server)
        lease = self._step.leases * bed.lease if bed.claims("lease") else 0.0
        url = bed.url_at(proxy.address)
        worker = bed.act(stepping.step, url, self._step.name, name, lease)
        worker.heard("ready", within=_WITHIN)
        return proxy, worker

    def _die_at(self, exchange: int, when: When) -> Death | None:
        """Kill a worker at one boundary; ``None`` if the step was over before."""
        name = f"q{exchange}-{when.name.lower()}"
        proxy, worker = self._begin(name)
        proxy.plan(Cut(exchange=exchange, when=when, run=worker.kill))
        worker.go()
        self._feed(name, proxy, worker)
        self._bed.until(self._ended(proxy, worker), "the worker is dead, or done", _WITHIN)
        queue = self._beside.queue(name)
        if proxy.fired:
            return Death(exchange, when, queue, counts(queue))
        worker.kill()
        assert self._step.waits, f"{self._step} takes fewer exchanges than before"
        return None

    def _ended(self, proxy: CountingProxy, worker: Worker[str, str, float]) -> Callable[[], bool]:
        return lambda: bool(proxy.fired) or bool(worker.running and worker.all_heard("done"))

    def _feed(self, name: str, proxy: CountingProxy, worker: Worker[str, str, float]) -> None:
        """Let a job come when the worker sleeps, or is dead."""
        if self._step.fed:
            self._bed.until(
                lambda: not worker.running or any(one.stage is Stage.SENT for one in proxy.log),
                "the worker waits for an answer",
                _WITHIN,
            )
            self._beside.queue(name).enqueue(b"0")


def possible(step: Step, death: Death) -> bool:
    """Whether the counts after a death are ones that the step may leave.

    While a job is on its way to somebody who waited for it, it may be in none of them.
    """
    if not step.waits:
        return death.left in step.states
    return sum(death.left.values()) <= step.waits and set(death.left) <= set(_ALIVE)
