"""One round: a crew at work, somebody who breaks what they work with, and the end of it.

In go a harness and orders; out comes a folder with the history of everybody, ready for the
checker. A worker that is killed is replaced at once. A worker that ends by itself, or does not end
when told to, raises ``WorkerFailed`` or ``TimeoutError``: such a round proves nothing.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Self

import attrs

import qcore
from qcore_conformance.colours import Colour
from qcore_conformance.events import FaultKind, Kind, Verb
from qcore_conformance.harness import Harness
from qcore_conformance.history import History, last_event
from qcore_conformance.plans import Cut, When
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.servers import Server
from qcore_conformance.torture import crowd
from qcore_conformance.torture.crowd import QUEUE, Orders
from qcore_conformance.torture.schedule import Strike
from qcore_conformance.waiting import wait_until
from qcore_conformance.workers import Part, Worker

__all__ = ["Arena", "Crew", "crew_of"]

Role = Callable[[Part, Orders], None]

_ROLES: Sequence[Role] = (crowd.produce, crowd.consume, crowd.reserve, crowd.reserve)
_START_WITHIN = _CUT_WITHIN = 60.0
_EMPTY_WITHIN = 120.0
_STOP_WITHIN = 60.0
_FROZEN_LEASES = 1.4
_HOLDS_WITHIN = 1.0


@attrs.frozen
class Crew:
    """One place in the crew: what is done there, in which colour, and over which way.

    Attributes:
        role: What its worker does.
        colour: The colour of its connection.
        proxied: Whether it reaches the broker through the proxy, where replies are cut.
    """

    role: Role
    colour: Colour
    proxied: bool


def _consumes(post: Crew) -> bool:
    return post.role is not crowd.produce


def _anybody(_: Crew) -> bool:
    return True


def crew_of(workers: int) -> Mapping[str, Crew]:
    """A mixed crew of so many workers, by name; at least one of each role."""
    return {
        f"{role.__name__[0]}{number}": Crew(
            role, list(Colour)[number // len(_ROLES) % 2], proxied=number % 3 == 1
        )
        for number in range(max(workers, len(_ROLES)))
        for role in (_ROLES[number % len(_ROLES)],)
    }


class Arena:
    """Workers over one queue, their history, and their end.

    Args:
        harness: How the broker is reached, and whether there is one to break.
        namespace: Where the queue is; nobody else uses it.
        orders: What all workers are told; each gets its own name.
        crew: The workers.
        breakable: Whether to work on a server of one's own, if the harness has one, so that
            servers and connections can be broken too.
    """

    def __init__(
        self,
        harness: Harness,
        namespace: str,
        orders: Orders,
        crew: Mapping[str, Crew],
        *,
        breakable: bool = True,
    ) -> None:
        self._harness = harness
        self._namespace = namespace
        self._orders = orders
        self._crew = crew
        self._breakable = breakable
        self._chance = random.Random(f"{orders.seed}/breaker")
        self._workers: dict[str, Worker[Orders]] = {}
        self._kills = 0
        self._frozen: dict[str, threading.Timer] = {}
        self._turn = threading.RLock()
        self._breaker = History(orders.folder, "breaker")
        self._closing = ExitStack()
        self._server: Server | None = None
        self._proxy: CountingProxy | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise
        return self

    def _open(self) -> None:
        self._closing.callback(self._breaker.close)
        self._closing.callback(self._end_all)
        self._server = self._harness.server() if self._breakable else None
        if self._server is not None:
            self._closing.enter_context(self._server)
            self._proxy = self._closing.enter_context(CountingProxy(self._server.address))
        for name in self._crew:
            self._employ(name)
        for worker in self._workers.values():
            worker.heard("ready", within=_START_WITHIN)

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _end_all(self) -> None:
        for timer in self._frozen.values():
            timer.cancel()
        for worker in self._workers.values():
            worker.close()

    @property
    def faults(self) -> frozenset[FaultKind]:
        """What can be broken here."""
        kinds = {FaultKind.KILL_WORKER, FaultKind.PAUSE_WORKER}
        if self._server is not None:
            kinds |= {FaultKind.CUT, FaultKind.KILL_SERVER, FaultKind.RESTART_SERVER}
        return frozenset(kinds)

    def url(self, *, proxied: bool = False) -> str:
        """Where the queue is, straight or through the proxy."""
        if self._server is None or self._proxy is None:
            return self._harness.url(self._namespace)
        address = self._proxy.address if proxied else self._server.address
        return self._harness.url_of(address, self._namespace) or ""

    def _employ(self, name: str) -> None:
        post = self._crew[name]
        orders = attrs.evolve(self._orders, name=name)
        self._workers[name] = Worker(post.role, self.url(proxied=post.proxied), post.colour, orders)

    def strike(self, fault: FaultKind) -> None:
        """Break something of a kind; it mends by itself, some of it later."""
        with self._turn:
            match fault:
                case FaultKind.KILL_WORKER:
                    self._kill_worker()
                case FaultKind.PAUSE_WORKER:
                    self._pause_worker()
                case FaultKind.CUT:
                    self._cut()
                case FaultKind.KILL_SERVER:
                    self._break_server(fault, Server.kill)
                case _:
                    self._break_server(fault, Server.stop)

    def _kill_worker(self) -> None:
        """Kill anybody, but at every other time a consumer, and that while it holds a job."""
        self._kills += 1
        name = self._victim(_consumes if self._kills % 2 else _anybody)
        if _consumes(self._crew[name]):
            with suppress(TimeoutError):
                wait_until(partial(self._caught, name), within=_HOLDS_WITHIN, what=f"{name} holds")
        with self._breaker.fault(FaultKind.KILL_WORKER, name) as fault:
            self._workers[name].close()
            fault.ok()
        self._employ(name)

    def _pause_worker(self) -> None:
        """Freeze a consumer for longer than its lease."""
        name = self._victim(_consumes)
        call = self._breaker.fault(FaultKind.PAUSE_WORKER, name)
        call.__enter__()
        self._workers[name].pause()

        def thaw() -> None:
            with self._turn:
                self._frozen.pop(name)
                self._workers[name].resume()
                call.ok()
                call.__exit__(None, None, None)

        timer = threading.Timer(_FROZEN_LEASES * self._orders.lease, thaw)
        self._frozen[name] = timer
        timer.start()

    def _victim(self, fits: Callable[[Crew], bool]) -> str:
        """A worker that is not frozen.

        Raises:
            WorkerFailed: If it has ended by itself.
        """
        names = [
            name for name, post in self._crew.items() if fits(post) and name not in self._frozen
        ]
        name = self._chance.choice(names)
        if not self._workers[name].running:
            self._workers[name].heard("stopped", within=0)
        return name

    def _caught(self, name: str) -> bool:
        """Stop a worker, and let it go on unless the last that it wrote down is a job it got."""
        worker = self._workers[name]
        worker.pause()
        last = last_event(self._orders.folder, name)
        if last is not None and (last.kind, last.verb) == (Kind.OK, Verb.RESERVE):
            return True
        worker.resume()
        return False

    def _cut(self) -> None:
        """Lose the next reply of a change of the queue, and the connection with it."""
        if self._proxy is None:
            return
        before = len(self._proxy.fired)
        with self._breaker.fault(FaultKind.CUT) as fault:
            self._proxy.plan(
                Cut(exchange=1, when=When.BEFORE_REPLY, commands=frozenset({"EVALSHA"}))
            )
            self._proxy.wait_fired(before + 1, within=_CUT_WITHIN)
            fault.ok()

    def _break_server(self, kind: FaultKind, end: Callable[[Server], None]) -> None:
        if self._server is None:
            return
        with self._breaker.fault(kind) as fault:
            end(self._server)
            self._server.start()
            fault.ok()

    def suffer(self, strikes: Iterable[Strike], seconds: float) -> None:
        """Let the crew work for so many seconds, and strike when it is time."""
        begin = time.monotonic()
        for strike in strikes:
            time.sleep(max(0.0, begin + strike.at - time.monotonic()))
            self.strike(strike.fault)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))

    def finish(self, recovery: float) -> None:
        """Stop the crew, producers first, and take out what is left.

        Args:
            recovery: Seconds after the end of a lease in which its job is out again.
        """
        for timer in list(self._frozen.values()):
            timer.join()
        producers = {name for name, post in self._crew.items() if post.role is crowd.produce}
        self._stop(producers)
        with qcore.connect(self.url()) as connection:
            queue = connection.queue(QUEUE)
            if "stats" in connection.capabilities:
                # What consumers took ahead and give back unseen, no history knows of.
                wait_until(lambda: _is_idle(queue), within=_EMPTY_WITHIN, what="all is taken")
            self._stop(self._workers.keys() - producers)
            with History(self._orders.folder, "drain") as history:
                self._drain(queue, history, self._orders.lease + recovery)
                _note_what_remains(queue, connection.capabilities, history)

    def _stop(self, names: Iterable[str]) -> None:
        leaving = [self._workers[name] for name in names]
        for worker in leaving:
            worker.go()
        for worker in leaving:
            worker.heard("stopped", within=_STOP_WITHIN)
            worker.close()

    def _drain(self, queue: qcore.Queue, history: History, horizon: float) -> None:
        """Take until nothing came for a whole lease and recovery, seen at both ends."""
        empty_since = None
        while empty_since is None or time.monotonic() - empty_since < horizon + 0.1:
            began = time.monotonic()
            if _drain_once(queue, history, 0.2):
                empty_since = None
            elif empty_since is None:
                empty_since = began
        _drain_once(queue, history, 0.0)


def _is_idle(queue: qcore.Queue) -> bool:
    stats = queue.stats()
    return stats.ready + stats.delayed == 0


def _drain_once(queue: qcore.Queue, history: History, timeout: float) -> bool:
    with history.call("drain", queue=QUEUE) as call:
        found = queue.reserve_many(100, timeout, 60.0)
        told = [crowd.facts_of(one, 60.0) for one in found]
        for facts in told:
            call.ok(**facts)
        if not found:
            call.empty()
    for delivery, facts in zip(found, told, strict=True):
        job, receipt = facts.get("job", ""), facts.get("receipt", "")
        with history.call("ack", queue=QUEUE, job=job, receipt=receipt) as call:
            delivery.ack()
            call.ok()
    return bool(found)


def _note_what_remains(
    queue: qcore.Queue, capabilities: qcore.Capabilities, history: History
) -> None:
    """Write down which jobs are dead, some by the broker's own decision, and what it counts."""
    offset = 0
    while "peek" in capabilities and (page := queue.peek("dead", limit=500, offset=offset)):
        offset += len(page)
        for dead in page:
            body = b"" if dead.job is None else dead.job.body
            name = body.partition(b"|")[0].decode()
            history.fact("dead", queue=QUEUE, job=name, sha=crowd.sha_of(body))
    if "stats" in capabilities:
        with history.call("stats", queue=QUEUE) as call:
            stats = attrs.asdict(queue.stats(), filter=lambda field, _: bool(field.eq))
            call.ok(counts=stats)
