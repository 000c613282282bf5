"""The test bed: what one test of the suite is given.

It hands out connections in the colour of the test, in a namespace that nobody else uses, and the
means to break things as far as the harness has them: worker processes, servers of one's own, a
proxy in between. What the harness lacks raises ``NotRun``, which is a verdict and no error. All
that a test opened is closed at its end.
"""

from __future__ import annotations

import contextlib
import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import qcore

from .addresses import Address
from .colours import Colour, LoopThread, connected
from .harness import Harness
from .measuring import percentile
from .outcomes import NotApplicable, NotRun, Unknown
from .processes import ScriptProcess
from .proxy import CountingProxy
from .servers import Server
from .waiting import scaled, wait_until
from .workers import Part, Worker

__all__ = ["Bed", "Figure"]

P = ParamSpec("P")
T = TypeVar("T")

Figure = tuple[str, float, str]
"""Something measured: what, how much, the unit."""


class Bed:
    """Everything that one test may use.

    Attributes:
        harness: The adapter's harness.
        colour: The colour of this test.
        namespace: A namespace of this test alone.
        capabilities: What the running adapter claims.
        figures: What the test measured, for the report.
        seed: What values that are made up are made from.
    """

    def __init__(
        self,
        harness: Harness,
        colour: Colour,
        namespace: str,
        capabilities: qcore.Capabilities,
        *,
        tier: int,
        scale: float = 1.0,
        seed: int | None = None,
    ) -> None:
        self.harness = harness
        self.colour = colour
        self.namespace = namespace
        self.capabilities = capabilities
        self.tier = tier
        self.figures: list[Figure] = []
        self.seed = random.getrandbits(32) if seed is None else seed
        self._scale = scale
        self._exits = contextlib.ExitStack()

    @cached_property
    def loop(self) -> LoopThread:
        """The event loop of the test's asynchronous half."""
        loop = LoopThread()
        self._exits.callback(loop.close)
        return loop

    @cached_property
    def url(self) -> str:
        """The URL of this test's namespace."""
        return self.harness.url(self.namespace)

    def url_in(self, namespace: str) -> str:
        """The URL of another namespace of this test."""
        return self.harness.url(f"{self.namespace}-{namespace}")

    def connect(
        self,
        url: str | None = None,
        *,
        require: Iterable[str] = (),
        colour: Colour | None = None,
    ) -> qcore.Connection:
        """Another connection, in the colour of the test unless said otherwise."""
        chosen = colour or self.colour
        connection = connected(url or self.url, chosen, self.loop, require=require)
        self._exits.callback(_close_quietly, connection)
        return connection

    @cached_property
    def connection(self) -> qcore.Connection:
        """The connection that most tests need only one of."""
        return self.connect()

    def queue(self, name: str = "q", **options: Any) -> qcore.Queue:
        """A queue of ``connection``."""
        return self.connection.queue(name, **options)

    def ear(self, topic: str, url: str | None = None) -> qcore.Queue:
        """One who listens to a topic, by a connection of its own, from now on.

        Args:
            topic: Its name.
            url: That of whoever tells; this test's namespace if ``None``.

        Raises:
            NotApplicable: If no ack of the adapter tells anything.
            NotRun: If the harness does not say where to listen.
        """
        if not self.claims("tell"):
            raise NotApplicable(f"{self.capabilities.adapter} does not claim 'tell'")
        heard_at = self.harness.heard_at(url or self.url)
        if heard_at is None:
            raise NotRun("the harness does not say where topics are heard")
        queue = self.connect(heard_at).queue(topic)
        queue.subscribe()
        return queue

    @property
    def slack(self) -> float:
        """Seconds that a moment may be off by, stretched on slow machines."""
        return scaled(self.harness.slack)

    @property
    def recovery(self) -> float:
        """Seconds after the end of a lease in which its job is out again, on slow machines too."""
        return scaled(self.harness.recovery)

    @property
    def lease(self) -> float:
        """Seconds of a lease that is short enough to be waited for."""
        return max(self.capabilities.limits.lease_min, scaled(0.5))

    @property
    def poll(self) -> float:
        """Seconds between two looks of an adapter that polls, as it declares; 0 if it is woken."""
        polled = re.fullmatch(r"polled\((.+)\)", str(self.capabilities.value("wake")))
        return float(polled[1]) if polled else 0.0

    def many(self, count: int, least: int = 10) -> int:
        """A large count, made smaller or larger by the one knob of the run."""
        return max(least, round(count * self._scale))

    def shots(self, count: int) -> int:
        """So many tries of a race, but enough for it to go both ways in the smallest of runs."""
        return self.many(count, least=100)

    def claims(self, *names: str) -> bool:
        """Whether the running adapter claims all of these."""
        return all(name in self.capabilities for name in names)

    def need_tier(self, tier: int) -> None:
        """Go on only if the run was asked to go that far.

        Raises:
            NotRun: If it was not.
        """
        if tier > self.tier:
            raise NotRun(f"needs tier {tier}, this run goes to tier {self.tier}")

    def until(self, condition: Callable[[], T], what: str, within: float = 10.0) -> T:
        """Wait for a condition that must come true."""
        return wait_until(condition, within=within, what=what)

    def start(self, function: Callable[[], T]) -> Future[T]:
        """Call a function in a thread of its own; the future has what came of it."""
        future: Future[T] = Future()

        def act() -> None:
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  (whoever asks for the result gets it)
                future.set_exception(error)

        threading.Thread(target=act, daemon=True).start()
        return future

    def act(
        self,
        act: Callable[Concatenate[Part, P], None],
        url: str = "",
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Worker[P]:
        """A process that plays an act in the colour of the test, and may be killed at any time.

        Args:
            act: A function of a module that can be imported; gets its ``Part`` and the arguments.
            url: Where its queue is; this test's namespace if empty.
            args: Further arguments of the act.
            kwargs: Likewise.

        Raises:
            NotApplicable: If the adapter's queues are those of one process.
            NotRun: If the run does not go to tier 1.
        """
        if self.capabilities.value("scope") == "process":
            raise NotApplicable("a second process shares nothing with this one")
        self.need_tier(1)
        return self._exits.enter_context(Worker(act, url or self.url, self.colour, *args, **kwargs))

    def freeze(self, worker: Worker[...]) -> None:
        """Freeze a process; between its calls, if within one it keeps all others out.

        Raises:
            Unknown: If it was within a call each time.
        """
        worker.pause()
        if not self.harness.exclusive:
            return
        queue = self.connect(colour=Colour.SYNC).queue("between-calls")
        for _ in range(20):
            looked = self.start(partial(queue.reserve, timeout=0.0))
            wait([looked], scaled(0.5))
            if looked.done() and looked.exception() is None:
                return
            worker.resume()
            wait([looked], scaled(10.0))
            worker.pause()
        raise Unknown("the process keeps others out whenever it is frozen")

    def worker(
        self, script: Path, *, url: str | None = None, name: str = "w1", **env: str
    ) -> ScriptProcess:
        """A process that is given a URL and a script, and may be killed at any time.

        Raises:
            NotRun: If the run does not go to tier 1.
        """
        self.need_tier(1)
        process = ScriptProcess(script, url or self.url, name=name, env=env)
        return self._exits.enter_context(process)

    def server(self, settings: Mapping[str, str] | None = None) -> Server:
        """A server of one's own.

        Raises:
            NotRun: If the harness has none, or the run does not go to tier 2.
            Unknown: If it did not start, which says nothing about the adapter.
        """
        self.need_tier(2)
        try:
            server = self.harness.server(settings)
            if server is not None:
                return self._exits.enter_context(server)
        except Exception as error:
            raise Unknown(f"a server did not start: {error}") from error
        raise NotRun("the harness has no server that may be stopped and killed")

    def url_at(self, address: Address, *, patience: float | None = None) -> str:
        """This test's namespace, reached through a proxy or a server of one's own.

        Args:
            address: Where to connect.
            patience: Seconds that a call tries to reach a lost broker; the adapter's if ``None``.

        Raises:
            NotRun: If the harness cannot say how, or nobody can tell the adapter to be patient.
        """
        url = self.harness.url_of(address, self.namespace)
        if url is None:
            raise NotRun("the harness cannot reach its broker through another address")
        return url if patience is None else self.told(url, "patience", patience)

    def told(self, url: str, name: str, seconds: float) -> str:
        """A URL that sets a parameter of the adapter to so many seconds.

        Raises:
            NotRun: If nobody can tell the adapter.
        """
        if all(known.name != name for known in self.connection.adapter.parameters):
            raise NotRun(f"the adapter has no parameter '{name}'")
        return f"{url}{'&' if '?' in url else '?'}{name}={seconds:g}s"

    def proxy(self, server: Server) -> CountingProxy:
        """A proxy in front of a server.

        Raises:
            NotRun: If the run does not go to tier 3.
        """
        self.need_tier(3)
        return self._exits.enter_context(CountingProxy(server.address))

    def enter(self, resource: contextlib.AbstractContextManager[T]) -> T:
        """Use a context manager until the end of the test."""
        return self._exits.enter_context(resource)

    def figure(self, what: str, value: float, unit: str) -> None:
        """Note something measured, for the report."""
        self.figures.append((what, value, unit))

    def spread(self, what: str, seconds: Sequence[float]) -> None:
        """Note the median and the 99th percentile of measured times, in milliseconds."""
        for name, part in (("median", 0.5), ("p99", 0.99)):
            self.figure(f"{what}, {name}", round(percentile(seconds, part) * 1000, 3), "ms")

    def close(self) -> None:
        """Close all that the test opened, last first."""
        self._exits.close()


def _close_quietly(connection: qcore.Connection) -> None:
    """Close a connection whose broker the test may have broken."""
    with contextlib.suppress(qcore.QcoreError):
        connection.close()
