"""``Consumer``: iterates over deliveries, taking ahead only what can start soon."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Protocol, Self

from qcore.consume.home import Home
from qcore.consume.prefetch import Buffer
from qcore.consume.session import Stopped
from qcore.errors import Closed, InvalidInput
from qcore.queue.delivery import Delivery

__all__ = ["Consumer", "Look"]


class Look(Protocol):
    """The reserve loop of one queue, with its lease already chosen."""

    def __call__(
        self, limit: int, timeout: float | None, *, started: bool, stopped: Callable[[], bool]
    ) -> list[Delivery]:
        """Take up to ``limit`` jobs."""
        ...


class Consumer:
    """Iterates over deliveries until it is closed; used as a context manager.

    Several threads may iterate over it at once. Leases of everything in hand are kept. Leaving
    releases what was not started, and no longer keeps what was neither settled nor entered.
    """

    def __init__(self, name: str, home: Home, look: Look, most: int) -> None:
        self._name = name
        self._home = home
        self._look = look
        self._most = most
        self._entered = False
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._buffer = Buffer[Delivery](self._most, self._home.monotonic)
        self._turn = threading.Lock()
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        """Start; jobs are taken when the first is asked for."""
        self._entered = True
        self._home.consumers.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and release what was not started."""
        self.close()
        self._home.consumers.discard(self)
        self._home.leave(self)

    def __iter__(self) -> Iterator[Delivery]:
        """The deliveries."""
        return self

    def __next__(self) -> Delivery:
        """The next delivery; waits for it without end.

        Raises:
            InvalidInput: If used outside its ``with`` block, which gives back what is taken ahead.
        """
        if not self._entered:
            raise InvalidInput("a consumer is used as 'with queue.consume() as deliveries:'")
        if self._pid != os.getpid():
            self._begin_in_child()
        with self._turn:
            delivery = self._next()
        if delivery is None:
            raise StopIteration
        self._home.keep(delivery, self, mark=delivery.ahead)
        return delivery

    def _begin_in_child(self) -> None:
        # What was taken ahead is the parent's.
        self._start()
        _ = self._home.session
        self._home.consumers.add(self)

    def _next(self) -> Delivery | None:
        while not self._closed:
            delivery = self._buffer.next()
            if delivery is None:
                self._fill()
            elif delivery.lost:
                # Somebody else may work on it.
                self._home.drop(delivery)
            else:
                return delivery
        self._release()
        return None

    def _fill(self) -> None:
        limit = self._buffer.limit()
        try:
            taken = self._look(limit, None, started=limit == 1, stopped=lambda: self._closed)
        except (Stopped, Closed):
            self._closed = True
            return
        for delivery in taken:
            self._home.keep(delivery, self)
        self._buffer.fill(taken)

    def close(self) -> None:
        """End the iteration, also from another thread or a signal handler; harmless twice.

        What was handed on stays kept until the block is left.
        """
        self._closed = True
        if self._pid == os.getpid():
            self._home.session.interrupt()
            self._release()

    def _release(self) -> None:
        unstarted = self._buffer.drain()
        for delivery in unstarted:
            self._home.drop(delivery)
        tokens = [delivery.receipt.token for delivery in unstarted]
        if not self._home.session.give_back(self._name, tokens):
            # In a signal handler that interrupted a settle: the thread below it comes back here.
            self._buffer.fill(unstarted)
