"""Chains under torture: each job is followed by the next one, and all chains end in one job.

In go a harness, a plan and how many chains; out comes what each queue was given and did. A chain is
a job in each of three queues, where the ack of one enqueues the next; the last one of each chain
asks for the job that ends them all. Whatever is broken meanwhile, every queue must have been given
each chain once, and the end must be there once.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import attrs

import qcore
from qcore_conformance.colours import Colour
from qcore_conformance.harness import Harness
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.torture.arena import Arena, Crew
from qcore_conformance.torture.crowd import Member, Orders, facts_of
from qcore_conformance.torture.rounds import Plan, orders_for
from qcore_conformance.torture.schedule import schedule
from qcore_conformance.waiting import wait_until
from qcore_conformance.workers import Part

__all__ = ["END", "STAGES", "ChainToll", "link", "torture_chains"]

STAGES = ("first", "second", "third")
END = "end"
_BATCH = 10
_DONE_WITHIN = 120.0


@attrs.frozen
class ChainToll:
    """What became of the chains.

    Attributes:
        chains: How many there were.
        stages: What each queue counts.
        faults: How often each kind of fault struck.
        seconds: How long it took, from the first job to the end.
    """

    chains: int
    stages: Mapping[str, qcore.QueueStats]
    faults: Mapping[str, int]
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether each queue was given each chain once and did it, and the end is there once."""
        ends = self.stages[END]
        return ends.enqueued == 1 and all(
            _is_done(self.stages[name], self.chains) for name in STAGES
        )


def _is_done(stats: qcore.QueueStats, chains: int) -> bool:
    left = stats.ready + stats.delayed + stats.held + stats.dead + stats.outbox
    return not left and stats.enqueued == stats.acked == chains


def link(part: Part, orders: Orders) -> None:
    """Work on jobs of all stages, each followed by the next."""
    me = Member(part, orders)
    lines = [me.connection.queue(name) for name in STAGES]
    while not me.stopping:
        for stage, line in enumerate(lines):
            with suppress(qcore.QcoreError):
                _advance(me, stage, line, orders)
    me.stopped()


def _advance(me: Member, stage: int, line: qcore.Queue, orders: Orders) -> None:
    with me.history.call("reserve", queue=line.name, lease=orders.lease) as call:
        batch = line.reserve_many(_BATCH, 0.05, orders.lease)
        for delivery in batch:
            call.ok(**facts_of(delivery, orders.lease))
        if not batch:
            call.empty()
    me.rest(me.chance.random() * 0.02)
    for delivery in batch:
        chain = delivery.job.body
        if stage + 1 < len(STAGES):
            delivery.then(STAGES[stage + 1], chain)
        else:
            everybody = qcore.Join(orders.chains, chain.decode())
            delivery.then(END, qcore.NewJob(b"", id=END, join=everybody))
    line.ack_many(batch)


def torture_chains(harness: Harness, plan: Plan, chains: int) -> ChainToll:
    """Let chains run while everything is broken that can be.

    Args:
        harness: How the broker is reached, and whether there is one to break.
        plan: How long new chains begin and faults strike, by how many workers.
        chains: How many begin in that time.

    Raises:
        NotApplicable: If the adapter lives in one process, or offers neither.
        TimeoutError: If they did not come to an end long after the last fault.
    """
    with qcore.connect(harness.url("probe")) as connection:
        capabilities = connection.capabilities
    missing = capabilities.missing(["then", "join", "stats", "idempotent_id"])
    if missing or capabilities.value("scope") == "process":
        raise NotApplicable(f"{capabilities.adapter} has no chains over several processes")
    with tempfile.TemporaryDirectory(prefix="qcore-") as folder:
        told = orders_for(
            capabilities, Path(folder), plan.seed, lease=plan.lease, rate=chains / plan.seconds
        )
        orders = attrs.evolve(told, chains=chains)
        crew = {
            f"l{number}": Crew(link, list(Colour)[number % 2], proxied=number % 3 == 1)
            for number in range(plan.workers)
        }
        with Arena(harness, f"chains-{plan.seed}", orders, crew) as arena:
            return _run(arena, plan, orders, harness.recovery)


def _run(arena: Arena, plan: Plan, orders: Orders, recovery: float) -> ChainToll:
    strikes = schedule(plan.seconds, arena.faults, random.Random(plan.seed))
    began = time.monotonic()
    beginner = threading.Thread(target=_begin_all, args=[arena.url(), orders])
    beginner.start()
    arena.suffer(strikes, plan.seconds)
    beginner.join()
    with qcore.connect(arena.url()) as connection:
        queues = {name: connection.queue(name) for name in (*STAGES, END)}

        def stages() -> Mapping[str, qcore.QueueStats]:
            return {name: queue.stats() for name, queue in queues.items()}

        def toll() -> ChainToll:
            faults = Counter(str(strike.fault) for strike in strikes)
            return ChainToll(orders.chains, stages(), faults, time.monotonic() - began)

        wait_until(lambda: queues[END].stats().enqueued, within=_DONE_WITHIN, what="the end")
        reached = toll()
        # What comes twice comes late: until then every lease and every second try is over.
        time.sleep(orders.lease + recovery)
        wait_until(lambda: _is_still(stages()), within=_DONE_WITHIN, what="all is settled")
        return attrs.evolve(reached, stages=stages())


def _is_still(stages: Mapping[str, qcore.QueueStats]) -> bool:
    return not any(one.held + one.outbox for one in stages.values())


def _begin_all(url: str, orders: Orders) -> None:
    """Begin the chains, evenly over the time; each once, however often the broker goes away."""
    with qcore.connect(url) as connection:
        queue = connection.queue(STAGES[0])
        for names in _batches(orders.chains):
            jobs = [qcore.NewJob(b"%d" % name, id=f"chain-{name}") for name in names]
            while not _is_begun(queue, jobs):
                pass
            time.sleep(len(jobs) / orders.rate)


def _is_begun(queue: qcore.Queue, jobs: Sequence[qcore.NewJob]) -> bool:
    with suppress(qcore.Unavailable, qcore.Indeterminate):
        queue.enqueue_many(jobs)
        return True
    return False


def _batches(chains: int) -> Sequence[range]:
    return [range(at, min(at + _BATCH, chains)) for at in range(0, chains, _BATCH)]
