"""Scenarios that more than one test plays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from qcore_conformance.plans import Cut, Hook, When, boundaries
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.servers import Server
from qcore_conformance.waiting import wait_until
from tests.crash import acts
from tests.crash.operations import EXTENDED, Operation
from tests.crash.scene import FLUSH, LEASE, RECOVERY, Scene, asleep
from tests.crash.workers import Part, Worker
from tests.integration.stage import Place

__all__ = ["first_consumer_dies", "sweep", "zombie_settles"]

WHENS = (When.BEFORE_REQUEST, When.BEFORE_REPLY, When.AFTER_REPLY)
_AT_ONCE = 16


def sweep(place: Place, server: Server, operations: Sequence[Operation]) -> None:
    """Kill a worker at each boundary of each exchange of each operation.

    The operation is carried out once to count its exchanges. Then, for each of them, a worker
    dies before the request is passed on, after the server ran it and before its reply is passed
    on, and after its reply.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:

        def deaths(operation: Operation) -> list[Future[int]]:
            points = boundaries(_exchanges(place, server, operation), WHENS)
            return [
                pool.submit(_die_at, Scene(place, server), operation, *point) for point in points
            ]

        for operation, futures in [(each, deaths(each)) for each in operations]:
            _judge_sweep(operation, [future.result() for future in futures])


def _judge_sweep(operation: Operation, progress: list[int]) -> None:
    """The later a worker died, the more it had done."""
    last = len(operation.states) - 1
    name = operation.name
    assert progress[0] == 0, f"{name}: done before the first request was passed on: {progress}"
    assert progress[-2:] == [last, last], f"{name}: not done by the last request: {progress}"
    assert progress == sorted(progress), f"{name}: a later death did less: {progress}"


def _exchanges(place: Place, server: Server, operation: Operation) -> int:
    """How many exchanges the operation takes when nothing goes wrong."""
    with Scene(place, server) as scene:
        proxy, worker = _begin(scene, operation)
        before = len(proxy.log)
        worker.go()
        if operation.feed:
            _feed(scene, proxy, worker)
        worker.heard("done")
        told = [each.command for each in proxy.log[before:]]
        return sum(not operation.commands or each in operation.commands for each in told)


def _die_at(scene: Scene, operation: Operation, exchange: int, when: When) -> int:
    """Kill a worker at one point, and let the others recover; how far the operation had come."""
    with scene:
        proxy, worker = _begin(scene, operation)

        def die() -> None:
            worker.kill()
            proxy.cut()

        counted = operation.commands
        proxy.plan(
            Hook(exchange=exchange, when=when, commands=counted, run=die),
            Cut(exchange=exchange, when=when, commands=counted),
        )
        worker.go()
        try:
            if operation.feed:
                _feed(scene, proxy, worker)
            proxy.wait_fired(2)
            return _judge(scene, operation)
        except BaseException as error:
            told = [f"{each.command} {each.stage.name}" for each in proxy.log][-6:]
            error.add_note(f"{operation.name}, {when.name} of exchange {exchange}; {told}")
            raise


def _begin(scene: Scene, operation: Operation) -> tuple[CountingProxy, Worker[[]]]:
    operation.prepare(scene)
    proxy = scene.proxy()
    worker = scene.work(operation.act, scene.url(proxy.address)).ready()
    if operation.begun:
        started = scene.keys.one("started")
        wait_until(lambda: scene.ask("SCARD", started), within=5.0, what="a job was started")
    return proxy, worker


def _feed(scene: Scene, proxy: CountingProxy, worker: Worker[[]]) -> None:
    """Enqueue a job when the worker sleeps, or is dead."""
    wait_until(
        lambda: asleep(proxy) or not worker.running,
        within=10.0,
        what="the worker sleeps or is dead",
    )
    scene.watch.enqueue(b"0")


def _judge(scene: Scene, operation: Operation) -> int:
    """Look where each job is, and take them all."""
    scene.assert_no_copies()
    found = scene.tally()
    assert found in operation.states, f"{found}, which is none of {operation.states}"
    come_so_far = operation.states.index(found)
    operation.afterwards(scene, come_so_far == len(operation.states) - 1)
    dead = scene.watch.redrive()
    assert dead == found.get("dead", 0)
    alive = scene.whereabouts()
    came = scene.collect(len(alive), within=EXTENDED + RECOVERY)
    assert {one.delivery.job.id for one in came} == set(alive)
    scene.assert_at_rest()
    return come_so_far


def zombie_settles(
    scene: Scene,
    act: Callable[[Part], None] = acts.settle_each_its_own_way,
    *,
    finished: bool = False,
) -> None:
    """Freeze a holder past its lease, let somebody else take its jobs, and let it settle them."""
    ways = sorted(acts.WAYS)
    scene.watch.enqueue_many([way.encode() for way in ways])
    zombie = scene.work(act).ready()
    zombie.pause()
    arrivals = scene.arrivals(within=LEASE + RECOVERY)
    found = [came.delivery for came in islice(arrivals, len(ways))]
    assert sorted(one.job.body.decode() for one in found) == ways
    if finished:
        assert all(scene.watch.ack_many(found))
    before = scene.tally()
    zombie.resume()
    zombie.go()
    assert zombie.heard("tried") == dict.fromkeys(ways, "lease-lost")
    assert scene.tally() == before
    if not finished:
        # The new holder's deliveries were not touched: neither ended nor made shorter or longer.
        assert all(scene.watch.ack_many(found))
    scene.assert_at_rest()


def first_consumer_dies(scene: Scene, act: Callable[[Part], None]) -> None:
    """Jobs wait before anybody ever consumed; the first who takes dies of it."""
    ids = scene.watch.enqueue_many([b"0", b"1", b"2"])
    proxy = scene.proxy()
    worker = scene.work(act, scene.url(proxy.address)).ready()
    proxy.plan(Hook(exchange=1, when=When.AFTER_REPLY, commands=FLUSH, run=worker.kill))
    worker.go()
    proxy.wait_fired()
    assert sorted(came.delivery.job.id for came in scene.collect(3)) == sorted(ids)
    scene.assert_at_rest()
