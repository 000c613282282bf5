"""A proxy between clients and a Redis or Valkey server that counts exchanges and breaks them.

In go connections to ``address``, out go connections to ``upstream``; what passes is RESP of
either version. Whole requests and whole replies are held until they may pass, so a fault
strikes exactly at the boundary that the plan names. Nothing times out here: an unfinished
message waits until either side closes. The sockets live in a thread of the proxy's own,
and every public method may be called from any thread.

    with CountingProxy(server.address) as proxy:
        proxy.plan(Cut(exchange=3, when=When.BEFORE_REPLY))
        ...                                     # a client works through proxy.address
        proxy.wait_fired()
        assert [exchange.command for exchange in proxy.log] == ["HELLO", "GET", "SET"]
"""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self, TypeVar

from .addresses import Address, Tcp, Unix
from .pipes import Exchange, Pipe, Stage, Stream, Wiring
from .plans import Link, Point
from .waiting import wait_until

__all__ = ["CountingProxy", "Exchange", "ProxyFailed", "Stage"]

T = TypeVar("T")


class ProxyFailed(Exception):
    """The proxy itself went wrong, so that whatever the test saw proves nothing."""


class CountingProxy:
    """Listens on the loopback interface or a unix socket and passes on what the plan allows.

    Args:
        upstream: Where the server listens.
        listen: Where clients connect; by default a free TCP port.
        tls: Speak TLS to the clients, with this context; the server is spoken to plainly.
        seed: Seeds the jitter of the link.
    """

    def __init__(
        self,
        upstream: Address,
        *,
        listen: Address | None = None,
        tls: ssl.SSLContext | None = None,
        seed: int = 0,
    ) -> None:
        self.address: Address = Tcp() if listen is None else listen
        self._upstream = upstream
        self._tls = tls
        self._wiring = Wiring(random.Random(seed))
        self._pipes: set[Pipe] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrivals: list[float] = []
        self._refusing = False
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="qcore-proxy", daemon=True
        )

    @property
    def log(self) -> tuple[Exchange, ...]:
        """All exchanges since the start, in the order in which their requests were complete."""
        return self._do(lambda: tuple(self._wiring.log))

    @property
    def fired(self) -> tuple[Point, ...]:
        """The planned points that came up, in order."""
        return self._do(lambda: tuple(self._wiring.fired))

    @property
    def connections(self) -> int:
        """How many connections are open now, half-open ones included."""
        return self._do(lambda: len(self._pipes))

    @property
    def arrivals(self) -> tuple[float, ...]:
        """When each connection was asked for by the monotonic clock, refused ones included."""
        return self._do(lambda: tuple(self._arrivals))

    def start(self) -> Self:
        """Begin to listen; ``address`` is final afterwards.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._thread.start()
        self._started.result()
        return self

    def plan(self, *points: Point) -> None:
        """Add points; each counts its exchanges from now, and comes up once."""
        self._do(lambda: self._wiring.plan.add(*points))

    def wait_fired(self, count: int = 1, *, within: float = 10.0) -> None:
        """Wait until so many points have come up since the start.

        Raises:
            TimeoutError: They did not come up; the run proves nothing.
        """
        wait_until(lambda: len(self.fired) >= count, within=within, what=f"{count} points fired")

    def shape(self, link: Link) -> None:
        """Give the line another quality, for all that is sent from now on."""

        def lay() -> None:
            self._wiring.link = link

        self._do(lay)

    def cut(self) -> None:
        """Close all connections that are open now, half-open ones included."""
        self._do(self._cancel)

    def half_open(self) -> None:
        """Swallow all that passes on the connections of now, and keep them open for good."""

        def swallow() -> None:
            for pipe in self._pipes:
                pipe.half_open = True

        self._do(swallow)

    def refuse(self) -> None:
        """Close each new connection at once, as a server does that is not there."""

        def turn_away() -> None:
            self._refusing = True

        self._do(turn_away)

    def heal(self) -> None:
        """Forget the points still waiting, mend the line, and accept connections again.

        Half-open connections stay what they are; ``cut`` ends them.
        """

        def mend() -> None:
            self._wiring.plan.clear()
            self._wiring.link = Link()
            self._refusing = False

        self._do(mend)

    def close(self) -> None:
        """Close everything; closing twice is harmless.

        Raises:
            ProxyFailed: A hook failed, or bytes passed that are not RESP.
        """
        if self._thread.is_alive():
            self._do(self._closing.set)
            self._thread.join()
        if self._wiring.problems:
            raise ProxyFailed(f"the proxy saw {self._wiring.problems}") from self._wiring.problems[
                0
            ]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _do(self, act: Callable[[], T]) -> T:
        """Run a function in the proxy's thread, where all its state is at home."""
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return act()

        async def run() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(run(), self._started.result()).result()

    async def _main(self) -> None:
        try:
            listener = await self._listen()
        except OSError as error:
            self._started.set_exception(error)
            return
        self._started.set_result(asyncio.get_running_loop())
        await self._closing.wait()
        listener.close()
        if isinstance(self.address, Unix):
            self.address.path.unlink(missing_ok=True)
        self._cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _listen(self) -> asyncio.Server:
        if isinstance(self.address, Unix):
            return await asyncio.start_unix_server(
                self._accept, str(self.address.path), ssl=self._tls
            )
        host, port = self.address.host, self.address.port
        listener = await asyncio.start_server(self._accept, host, port, ssl=self._tls)
        self.address = Tcp(host, listener.sockets[0].getsockname()[1])
        return listener

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._arrivals.append(time.monotonic())
        task = asyncio.create_task(self._carry(len(self._arrivals), Stream(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, number: int, client: Stream) -> None:
        """Look after one client for as long as it is connected."""
        try:
            if self._refusing:
                return
            pipe = Pipe(number, self._wiring, client, await self._dial())
            self._pipes.add(pipe)
            try:
                await pipe.run()
            finally:
                self._pipes.discard(pipe)
        except ConnectionError:
            pass  # nobody listens upstream: the client sees its connection closed
        finally:
            client.writer.close()

    async def _dial(self) -> Stream:
        if isinstance(self._upstream, Unix):
            return Stream(*await asyncio.open_unix_connection(str(self._upstream.path)))
        return Stream(*await asyncio.open_connection(self._upstream.host, self._upstream.port))
