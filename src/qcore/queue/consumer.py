"""``Consumer``: iterates over deliveries, taking ahead only what can start soon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self

from qcore.consume.home import Home
from qcore.consume.prefetch import Buffer
from qcore.consume.session import Stopped
from qcore.errors import Closed
from qcore.queue.delivery import Delivery

__all__ = ["Consumer"]


class Look(Protocol):
    """The reserve loop of one queue, with its lease already chosen."""

    def __call__(
        self, limit: int, timeout: float | None, *, started: bool, stopped: Callable[[], bool]
    ) -> list[Delivery]:
        """Take up to ``limit`` jobs."""
        ...


class Consumer:
    """Iterates over deliveries until it is closed; used as a context manager.

    Leases of everything in hand are kept. Leaving releases what was not started.
    """

    def __init__(self, name: str, home: Home, look: Look, most: int) -> None:
        self._name = name
        self._home = home
        self._look = look
        self._buffer = Buffer[Delivery](most, home.monotonic)
        self._handed: list[Delivery] = []
        self._closed = False

    def __enter__(self) -> Self:
        """Start; jobs are taken when the first is asked for."""
        self._home.consumers.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and release what was not started."""
        self.close()

    def __iter__(self) -> Iterator[Delivery]:
        """The deliveries."""
        return self

    def __next__(self) -> Delivery:
        """The next delivery; waits for it without end."""
        self._handed = [delivery for delivery in self._handed if not delivery.settled]
        if not self._closed and not self._buffer:
            self._fill()
        try:
            delivery = self._buffer.next()
        except IndexError:
            # Closed meanwhile, by this thread or another.
            raise StopIteration from None
        self._handed.append(delivery)
        self._home.keep(delivery, mark=True)
        return delivery

    def _fill(self) -> None:
        limit = self._buffer.limit()
        try:
            taken = self._look(limit, None, started=limit == 1, stopped=lambda: self._closed)
        except (Stopped, Closed):
            self._closed = True
            return
        for delivery in taken:
            self._home.keep(delivery)
        self._buffer.fill(taken)
        if self._closed:
            self.close()

    def close(self) -> None:
        """End the iteration, also from another thread or a signal handler; harmless twice."""
        self._closed = True
        self._home.consumers.discard(self)
        unstarted = self._buffer.drain()
        for delivery in [*unstarted, *self._handed]:
            self._home.keeper.drop(delivery)
        session = self._home.session
        session.interrupt()
        session.give_back(self._name, [delivery.receipt.token for delivery in unstarted])
