"""What the queues of one connection share: the session of this process, the keeper, the clock.

After a fork the child gets a session of its own at first use: new sockets, locks, nonce and
keeper. What the parent holds stays the parent's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

from qcore.clock import Clock
from qcore.consume.delivery import BaseDelivery
from qcore.consume.keeper import Keeper
from qcore.consume.session import Session
from qcore.errors import Closed

__all__ = ["Closing", "Home"]


class Closing(Protocol):
    """Something that wants to end before the session does."""

    def close(self) -> None:
        """End now."""
        ...


class Home:
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
        self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        self._session = self._connect()
        self.keeper = Keeper(lambda: self._session, self.monotonic)
        self.consumers: set[Closing] = set()

    @property
    def session(self) -> Session:
        """The session of this process.

        Raises:
            Closed: If the connection is closed.
        """
        if self._pid != os.getpid():
            if self._closed:
                raise Closed("the connection is closed; open a new one")
            self._start()
        return self._session

    def keep(self, delivery: BaseDelivery, *, mark: bool = False) -> None:
        """Keep the lease of a delivery of this process, where there are leases."""
        if "extend" in self.session.capabilities:
            self.keeper.keep(delivery, mark=mark)

    def close(self) -> None:
        """End consumers, heartbeats and the session; harmless twice."""
        if self._closed:
            return
        self._closed = True
        if self._pid != os.getpid():
            return
        for consumer in list(self.consumers):
            consumer.close()
        self.keeper.close()
        self._session.close()
