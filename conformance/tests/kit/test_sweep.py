"""The kit put together: a worker killed at each boundary, and the verdict over what it left.

A queue that pops first and records afterwards loses its job at exactly the two boundaries in
between; one that does both in one step loses it nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from conformance.tests.kit import toy_queue
from qcore_conformance.addresses import Tcp
from qcore_conformance.checker import Report, check
from qcore_conformance.events import FaultKind
from qcore_conformance.guarantees import Guarantees, Minimum
from qcore_conformance.history import History, load
from qcore_conformance.plans import Cut, When, boundaries
from qcore_conformance.processes import ScriptProcess
from qcore_conformance.proxy import CountingProxy
from qcore_conformance.servers import Server
from qcore_conformance.verdicts import Verdict
from qcore_conformance.waiting import drain

SCRIPT = Path(toy_queue.__file__)
PROMISED = Guarantees(lease=toy_queue.LEASE, recovery=0.1, minimum=Minimum(faults=1))


class Sweep:
    """One toy queue on one server, with a worker behind a proxy."""

    def __init__(self, server: Server, proxy: CountingProxy, folder: Path, version: str) -> None:
        self._server = server
        self._proxy = proxy
        self._folders = (folder / str(number) for number in count())
        self._version = version

    def exchanges(self) -> int:
        """How many exchanges a worker makes when nobody disturbs it."""
        folder = next(self._folders)
        with History(folder, "p") as history:
            self._enqueue(history)
        before = len(self._proxy.log)
        with self._worker(folder) as worker:
            worker.expect(0)
        return len(self._proxy.log) - before

    def killed_at(self, exchange: int, when: When) -> Report:
        """Kill a worker at one boundary, mend, drain, and judge."""
        folder = next(self._folders)
        worker = self._worker(folder)
        with History(folder, "test") as history:
            self._enqueue(history)
            with history.fault(FaultKind.KILL_WORKER, "w") as fault:
                fired = len(self._proxy.fired)
                self._proxy.plan(Cut(exchange=exchange, when=when, run=worker.kill))
                with worker:
                    self._proxy.wait_fired(fired + 1)
                fault.ok()
            self._drain(history)
        return check(load(folder), PROMISED)

    def _enqueue(self, history: History) -> None:
        self._server.cli("FLUSHALL")
        with history.call("enqueue", queue="toy", job="p-1") as call:
            self._server.cli("RPUSH", "ready", "p-1")
            call.ok()

    def _worker(self, folder: Path) -> ScriptProcess:
        assert isinstance(self._proxy.address, Tcp)
        address = f"{self._proxy.address.host}:{self._proxy.address.port}"
        return ScriptProcess(SCRIPT, address, name="w", arguments=[self._version, str(folder)])

    def _drain(self, history: History) -> None:
        """Recover and take until nothing can be hidden any more."""

        def take() -> bool:
            client.call("EVAL", toy_queue.RECOVER, 0)
            return toy_queue.work(history, client, self._version, verb="drain")

        with self._server.connect() as client:
            drain(take, horizon=PROMISED.horizon)


@pytest.fixture
def sweep(server: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Sweep]:
    """A sweep over the version of the toy queue that the test names."""
    with CountingProxy(server.tcp) as proxy:
        yield Sweep(server, proxy, tmp_path, request.param)


def lost_at(sweep: Sweep) -> list[tuple[int, When]]:
    """The boundaries at which the death of the worker lost the job."""
    lost: list[tuple[int, When]] = []
    for exchange, when in boundaries(sweep.exchanges()):
        report = sweep.killed_at(exchange, when)
        assert report["vacuous"].verdict is Verdict.PASS, report.text()
        if report["lost"].verdict is not Verdict.PASS:
            assert report["lost"].verdict is Verdict.FAIL, report.text()
            lost.append((exchange, when))
        else:
            assert report.verdict is Verdict.PASS, report.text()
    return lost


@pytest.mark.parametrize("sweep", ["one-step"], indirect=True)
def test_a_queue_that_takes_in_one_step_loses_nothing(sweep: Sweep) -> None:
    """Wherever its worker dies."""
    assert sweep.exchanges() == 2
    assert lost_at(sweep) == []


@pytest.mark.parametrize("sweep", ["pop-then-lease"], indirect=True)
def test_a_queue_that_pops_first_loses_its_job_in_between(sweep: Sweep) -> None:
    """The sweep finds both boundaries between the pop and the lease, and no others."""
    assert sweep.exchanges() == 3
    assert lost_at(sweep) == [(1, When.BEFORE_REPLY), (1, When.AFTER_REPLY)]
