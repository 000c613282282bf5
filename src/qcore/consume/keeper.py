"""The keeper: extends leases from a thread of its own, so that long or busy code keeps its jobs.

In: deliveries to keep, who holds them, and which of them were started. Out: ``lose()`` on those
that the broker gave to somebody else. Extends and start marks of one queue share a flush. A
broker that is away is tried again at the next beat; a delivery whose lease ran out meanwhile
shows it by its own clock.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs

from qcore.backend import Settle, Verb
from qcore.consume.delivery import BaseDelivery
from qcore.errors import Closed
from qcore.job import Receipt
from qcore.log import HEARTBEAT_FAILED, LEASE_LOST, Logger

__all__ = ["Keeper", "Settler"]

_BEATS_PER_LEASE = 3
_LINGER = 0.005
"""Seconds that a start mark waits; a job that ends sooner needs none."""


class Settler(Protocol):
    """What the keeper needs of a session."""

    def settle(self, queue: str, steps: Sequence[Settle]) -> Sequence[bool]:
        """Send steps of one queue."""
        ...


@attrs.define(eq=False)
class _Kept:
    delivery: BaseDelivery
    beat_at: float
    mark_at: float | None = None
    holders: set[int] = attrs.field(factory=set[int])

    @property
    def next_at(self) -> float:
        return self.beat_at if self.mark_at is None else min(self.beat_at, self.mark_at)


def _next_beat(delivery: BaseDelivery) -> float:
    """When to extend: with time left for two more tries, however long ago the lease began."""
    return delivery.until - delivery.lease * (1 - 1 / _BEATS_PER_LEASE)


class Keeper:
    """Keeps the leases of deliveries that are in hand.

    Args:
        connect: Gives the session to send with; called in the keeper's thread at first need.
        monotonic: Tells the time.
    """

    def __init__(self, connect: Callable[[], Settler], monotonic: Callable[[], float]) -> None:
        self._connect = connect
        self._monotonic = monotonic
        self._kept: dict[Receipt, _Kept] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wake_at = float("inf")
        self._closed = False
        self._log = Logger()

    @property
    def running(self) -> bool:
        """Whether there was anything to keep so far."""
        return self._thread is not None

    def keep(self, delivery: BaseDelivery, holder: object, *, mark: bool = False) -> None:
        """Extend this delivery's lease until ``drop``, or until nobody holds it any more.

        Args:
            delivery: What to keep.
            holder: Who wants it kept, see ``leave``.
            mark: Whether to tell the broker that work on it has started.
        """
        with self._changed:
            if self._closed:
                return
            kept = self._kept.get(delivery.receipt)
            if kept is None:
                kept = _Kept(delivery, _next_beat(delivery))
                self._kept[delivery.receipt] = kept
            kept.holders.add(id(holder))
            if mark:
                kept.mark_at = self._monotonic() + _LINGER
            self._start_thread()
            self._hasten(kept)

    def replan(self, delivery: BaseDelivery) -> None:
        """Take note that the lease of a delivery was extended by hand."""
        with self._changed:
            kept = self._kept.get(delivery.receipt)
            if kept is not None:
                kept.beat_at = _next_beat(delivery)
                self._hasten(kept)

    def drop(self, delivery: BaseDelivery) -> None:
        """Leave this delivery's lease alone from now on."""
        with self._changed:
            self._kept.pop(delivery.receipt, None)

    def leave(self, holder: object) -> None:
        """Drop the deliveries that only this holder held."""
        with self._changed:
            for receipt, kept in list(self._kept.items()):
                kept.holders.discard(id(holder))
                if not kept.holders:
                    del self._kept[receipt]

    def _hasten(self, kept: _Kept) -> None:
        if kept.next_at < self._wake_at:
            self._changed.notify()

    def close(self, timeout: float) -> None:
        """Stop; leases run out by themselves.

        Args:
            timeout: Seconds to let the flush end that is under way.
        """
        with self._changed:
            self._closed = True
            self._kept.clear()
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _start_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="qcore-keeper", daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        while (due := self._next_due()) is not None:
            by_queue: defaultdict[str, list[tuple[_Kept, Settle]]] = defaultdict(list)
            for kept in due:
                by_queue[kept.delivery.job.queue].append((kept, self._step(kept)))
            for queue, pairs in by_queue.items():
                self._send(queue, pairs)

    def _next_due(self) -> list[_Kept] | None:
        """Sleep until something is due; ``None`` when closed."""
        with self._changed:
            while not self._closed:
                now = self._monotonic()
                if due := [kept for kept in self._kept.values() if kept.next_at <= now]:
                    return due
                self._wake_at = min(
                    (kept.next_at for kept in self._kept.values()), default=float("inf")
                )
                pause = self._wake_at - now
                self._changed.wait(None if pause == float("inf") else pause)
        return None

    def _step(self, kept: _Kept) -> Settle:
        token, lease = kept.delivery.receipt.token, kept.delivery.lease
        now = self._monotonic()
        if kept.mark_at is not None and kept.mark_at <= now:
            kept.mark_at = None
            return Settle(token, Verb.START)
        kept.beat_at = now + lease / _BEATS_PER_LEASE
        return Settle(token, Verb.EXTEND, round(lease * 1000))

    def _send(self, queue: str, pairs: list[tuple[_Kept, Settle]]) -> None:
        asked_at = self._monotonic()
        try:
            held = self._connect().settle(queue, [step for _, step in pairs])
        except Closed:
            return
        except Exception as error:  # noqa: BLE001  (whatever it was, the next beat comes)
            self._log.warning(HEARTBEAT_FAILED, queue=queue, error=str(error))
            return
        for (kept, step), is_held in zip(pairs, held, strict=True):
            if not is_held:
                self._lost(kept.delivery)
            elif step.verb is Verb.EXTEND:
                kept.delivery.renewed(step.millis / 1000, asked_at)

    def _lost(self, delivery: BaseDelivery) -> None:
        with self._changed:
            ours = self._kept.pop(delivery.receipt, None) is not None
        # What was settled while the beat was on its way is not lost.
        if ours and not delivery.settled:
            delivery.lose()
            job = delivery.job
            self._log.warning(LEASE_LOST, queue=job.queue, job_id=job.id, attempt=delivery.attempt)
