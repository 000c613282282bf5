"""What the queues of one connection share: the session of this process, the keeper, the clock.

After a fork the child gets a session of its own at first use: new sockets, locks, nonce and
keeper. What the parent holds stays the parent's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Protocol

from qcore.capabilities import Capabilities
from qcore.clock import Clock
from qcore.consume.commit import closed
from qcore.consume.delivery import BaseDelivery
from qcore.consume.drafts import Drafter
from qcore.consume.keeper import Keeper
from qcore.consume.session import Session
from qcore.record import Keep

__all__ = ["Closing", "Home", "Keeping"]


class Closing(Protocol):
    """Something that wants to end before the session does."""

    def close(self) -> None:
        """End now."""
        ...


class Keeping:
    """What both homes do with the leases of deliveries in hand.

    Args:
        connect: Gives the session that the keeper's thread uses.
        monotonic: Tells the time.
        clock: The producer's clock.
        new_id: Makes job ids.
    """

    def __init__(
        self,
        connect: Callable[[], Session],
        monotonic: Callable[[], float],
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._keeper = Keeper(connect, monotonic)
        self._pid = os.getpid()
        self.clock = clock
        self.new_id = new_id

    def drafter(self, queue: str, codec: str, keep: Keep | None = None) -> Drafter:
        """Makes the seam's values for jobs of a queue."""
        return Drafter(queue, codec, self.new_id, self.clock.time, keep)

    @property
    def is_here(self) -> bool:
        """Whether this process opened the connection, or used it since the fork."""
        return self._pid == os.getpid()

    def keep(self, delivery: BaseDelivery, holder: object, *, mark: bool = False) -> None:
        """Keep the lease of a delivery of this process, where leases can be extended."""
        if delivery.can_be_kept and self.is_here:
            self._keeper.keep(delivery, holder, mark=mark)

    # A child must not touch the locks of its parent's keeper, which somebody may have held.

    def replan(self, delivery: object) -> None:
        """Take note that the lease of a delivery was extended by hand; else as ``drop``."""
        if self.is_here and isinstance(delivery, BaseDelivery):
            self._keeper.replan(delivery)

    def drop(self, delivery: object) -> None:
        """Leave the lease of a delivery alone from now on; anything else is ignored."""
        if self.is_here and isinstance(delivery, BaseDelivery):
            self._keeper.drop(delivery)

    def leave(self, holder: object) -> None:
        """Drop the deliveries that only this holder held."""
        if self.is_here:
            self._keeper.leave(holder)


class Home(Keeping):
    """The shared parts of a connection for callers that block.

    Args:
        connect: Opens a session with a new nonce.
        clock: The producer's clock.
        new_id: Makes job ids.
        lease: Seconds of a lease where the caller gives none.
    """

    def __init__(
        self,
        connect: Callable[[], Session],
        clock: Clock,
        new_id: Callable[[], str],
        lease: float,
    ) -> None:
        self._connect = connect
        self.clock = clock
        self.new_id = new_id
        self.lease = lease
        self.monotonic: Callable[[], float] = time.monotonic
        self._closed = False
        # Taken only by the first threads of a child, never at the time of a fork.
        self._starting = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._session = self._connect()
        self.consumers: set[Closing] = set()
        super().__init__(lambda: self._session, self.monotonic, self.clock, self.new_id)

    @property
    def session(self) -> Session:
        """The session of this process.

        Raises:
            Closed: If the connection is closed.
        """
        if not self.is_here:
            with self._starting:
                if self._closed:
                    raise closed()
                if not self.is_here:
                    self._start()
        return self._session

    @property
    def capabilities(self) -> Capabilities:
        """What the broker promised when the session was opened."""
        return self._session.capabilities

    def close(self) -> None:
        """End consumers, heartbeats and the session; harmless twice."""
        if self._closed:
            return
        self._closed = True
        if not self.is_here:
            return
        self._session.hurry()
        with ExitStack() as ends:
            ends.callback(self._session.close)
            ends.callback(self._keeper.close, self._session.patience)
            for consumer in list(self.consumers):
                ends.callback(consumer.close)
