"""``Queue``: checks what callers pass, and leaves the work to the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar, cast, overload

from qcore.backend import Inspection, QueueStats, Settle, Subscriptions, TakeRequest, Verb
from qcore.consume.commit import Effect
from qcore.consume.delivery import GOES_ON, intake
from qcore.consume.drafts import job_ids
from qcore.consume.home import Home
from qcore.consume.inspect import (
    PAGE,
    InspectedJob,
    checked_ids,
    checked_page,
    checked_state,
    inspected,
    parts,
)
from qcore.consume.reading import line_of
from qcore.consume.reserve import Found
from qcore.consume.settlement import Settlement, note_outcomes, settlement_steps
from qcore.errors import InvalidInput
from qcore.job import EMPTY, JobId
from qcore.options import Gate, Join, NewJob, count, lease_seconds, timeout_seconds
from qcore.policy import RetryPolicy
from qcore.queue.consumer import Consumer
from qcore.queue.delivery import Delivery
from qcore.queue.reading import Reading
from qcore.record import Keep

__all__ = ["Queue"]

T = TypeVar("T")


class Queue(Reading):
    """A named line of jobs. Made by ``Connection.queue``; safe for use by many threads.

    Attributes:
        name: The queue's name; ``queue/group`` for one that is bound to a group.
        retry: What ``with delivery`` does after an exception.
        keep: For how long a record of each job stays behind its end; ``None`` if none is kept.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        codec: str,
        retry: RetryPolicy,
        keep: Keep | None = None,
    ) -> None:
        super().__init__(name, home)
        self.retry = retry
        self.keep = keep
        self._codec = codec
        self._drafter = home.drafter(self._log, codec, keep)

    def __repr__(self) -> str:
        """The queue's name and adapter."""
        return f"<Queue {self.name} of {self._home.capabilities.adapter}>"

    def group(self, name: str) -> Queue:
        """The same queue as one group of its log sees it: its jobs, leases and dead letters.

        A queue that is bound to none is the group ``default``. Whichever group enqueues, every
        group gets the job. Costs nothing until it is used; see ``subscribe``.

        Args:
            name: 1 to 128 letters, digits, ``.``, ``_`` and ``-``.

        Raises:
            InvalidInput: If the name is none.
            UnsupportedCapability: If the queue is no log.
        """
        capabilities = self.session.capabilities
        capabilities.need("groups")
        line = line_of(self._log, name, capabilities)
        return Queue(line, self._home, self._codec, self.retry, self.keep)

    def enqueue(
        self,
        body: object,
        *,
        headers: Mapping[str, str] = EMPTY,
        id: str | None = None,
        dedup: str | None = None,
        delay: float = 0.0,
        at: datetime | float | None = None,
        priority: int = 0,
        ttl: float | None = None,
        tenant: str | None = None,
        front: bool = False,
        gate: Gate | None = None,
        keep: Keep | None = None,
        join: Join | None = None,
    ) -> JobId:
        """Store one job.

        Args:
            body: Bytes, or any value if the queue has a codec; or a ``NewJob``, which has its
                options in it.
            headers: Text by text.
            id: An id of the caller's; enqueuing it again changes nothing.
            dedup: A key; enqueuing it again within the window changes nothing.
            delay: Seconds until it is due.
            at: When it is due: an aware ``datetime`` or seconds since the Unix epoch; not with
                a delay.
            priority: -4 … 4, larger is more urgent.
            ttl: Seconds after it is due in which it must be taken, else it is dropped.
            tenant: On whose behalf; tenants take turns.
            front: Whether it goes before everything that waits on its level; with neither a delay
                nor a tenant.
            gate: How many of its kind may be in hand, or taken in a time.
            keep: For how long a record of it stays behind its end; by default the queue's.
            join: Store it only when the last of so many has asked for it; goes with an id.

        Returns:
            The id that stands; its ``created`` says whether the job is new.

        Raises:
            InvalidInput: If an argument is wrong; nothing was sent.
            UnsupportedCapability: If the adapter does not offer it; nothing was sent.
            Unavailable: If the broker stayed away; nothing was stored.
            Indeterminate: If the reply was lost and the broker stayed away.
        """
        job = NewJob(
            body,
            headers=headers,
            id=id,
            dedup=dedup,
            delay=delay,
            at=at,
            priority=priority,
            ttl=ttl,
            tenant=tenant,
            front=front,
            gate=gate,
            keep=keep,
            join=join,
        )
        return self.enqueue_many([job])[0]

    def enqueue_many(self, jobs: Iterable[object]) -> list[JobId]:
        """Store many jobs in one round trip, all or none.

        Args:
            jobs: ``NewJob`` values, or bodies without options.

        Returns:
            The ids, in order.

        Raises:
            QcoreError: As ``enqueue``.
        """
        self.session.check_open()
        drafts = self._drafter.draft(jobs, self.session.capabilities)
        return job_ids(self.session.enqueue(self._log, drafts)) if drafts else []

    @property
    def gaps(self) -> int:
        """How often this connection may have missed something; always 0 where jobs are stored."""
        if "gap" not in self.session.capabilities:
            return 0
        return cast("Subscriptions", self.session.backend).gaps(self.name)

    @overload
    def reserve(self, timeout: None = None, lease: float | None = None) -> Delivery: ...

    @overload
    def reserve(
        self, timeout: float | None = None, lease: float | None = None
    ) -> Delivery | None: ...

    def reserve(self, timeout: float | None = None, lease: float | None = None) -> Delivery | None:
        """Take one job.

        Args:
            timeout: Seconds to wait for it; 0 looks once, ``None`` waits without end.
            lease: Seconds that it stays hidden from others; by default the connection's.

        Returns:
            The delivery, or ``None`` when nothing came in time.

        Raises:
            UnsupportedCapability: If a lease is given and the adapter has none; nothing was sent.
            Unavailable: If the broker was away when the time was over.
            Closed: If the connection was closed meanwhile.
        """
        found = self.reserve_many(1, timeout, lease)
        return found[0] if found else None

    def reserve_many(
        self, limit: int, timeout: float | None = None, lease: float | None = None
    ) -> list[Delivery]:
        """Take one to ``limit`` jobs in one round trip, without waiting for more than the first.

        Raises:
            QcoreError: As ``reserve``.
        """
        self.session.check_open()
        limit = count("limit", limit, self.session.capabilities.limits.batch)
        return self._look(limit, timeout_seconds(timeout), lease=self._lease(lease), started=True)

    def consume(self, prefetch: int = 50, lease: float | None = None) -> Consumer:
        """Deliveries without end, as a context manager that iterates.

        Args:
            prefetch: At most so many are taken ahead; fewer while jobs take long.
            lease: Seconds that each stays hidden from others between two heartbeats.
        """
        self.session.check_open()
        capabilities = self.session.capabilities
        most = count("prefetch", prefetch, capabilities.limits.batch)
        # What cannot be given back when the consumer closes is not taken ahead.
        most = most if "release" in capabilities else 1
        look = partial(self._look, lease=self._lease(lease))
        return Consumer(self.name, self._home, look, most)

    def _lease(self, lease: float | None) -> float:
        if lease is None:
            return self._home.lease
        capabilities = self.session.capabilities
        capabilities.need("lease")
        return lease_seconds(lease, capabilities.limits)

    def _look(
        self,
        limit: int,
        timeout: float | None,
        *,
        lease: float,
        started: bool,
        stopped: Callable[[], bool] = lambda: False,
    ) -> list[Delivery]:
        def admit(found: Found) -> tuple[list[Delivery], list[Settle]]:
            fit, unfit = intake(self.name, found.taken, self.retry)
            deliveries = [
                Delivery(
                    job,
                    one,
                    lease=lease,
                    asked_at=found.asked_at,
                    ahead=not started,
                    home=self._home,
                    retry=self.retry,
                )
                for job, one in fit
            ]
            return deliveries, unfit

        request = TakeRequest(limit, round(lease * 1000), started)
        return self.session.reserve(self.name, request, timeout, admit, stopped)

    def ack_many(self, deliveries: Iterable[object]) -> list[bool]:
        """Ack many deliveries in one round trip.

        Args:
            deliveries: Deliveries or their receipts.

        Returns:
            For each whether it was still held; ``False`` means that its lease was lost.

        Raises:
            InvalidReceipt: If one is of another queue; nothing was sent.
        """
        return self.settle_many(Settlement(one, Verb.ACK) for one in deliveries)

    def settle_many(self, settlements: Iterable[Settlement]) -> list[bool]:
        """Settle many deliveries in one round trip, each in its own way.

        Returns:
            For each whether it was still held; ``False`` means that its lease was lost.

        Raises:
            InvalidReceipt: If one is of another queue; nothing was sent.
            UnsupportedCapability: If the adapter never does one of them; nothing was sent.
        """
        self.session.check_open()
        listed = list(settlements)
        steps = settlement_steps(self.name, listed, self.session.capabilities)
        if not steps:
            return [True] * len(listed)
        for one in listed:
            if one.verb not in GOES_ON:
                self._home.drop(one.delivery)
        asked_at = self._home.monotonic()
        held = list(self.session.settle(self.name, steps))
        note_outcomes(listed, held, asked_at)
        for one in listed:
            if one.verb is Verb.EXTEND:
                self._home.replan(one.delivery)
        return held

    def stats(self) -> QueueStats:
        """How many jobs are in each state.

        Raises:
            UnsupportedCapability: If the adapter keeps no jobs.
        """
        return self._inspect("stats", lambda inside: inside.stats(self.name))

    def peek(self, state: str = "ready", limit: int = 20, offset: int = 0) -> list[InspectedJob]:
        """Look at jobs in one state, next one first, without touching them.

        Args:
            state: ``ready``, ``delayed``, ``held`` or ``dead``.
            limit: How many at most.
            offset: How many to skip.
        """
        where = checked_state(state)
        limit, offset = checked_page(limit, offset, self.session.capabilities)
        rows = self._inspect("peek", lambda inside: inside.peek(self.name, where, limit, offset))
        return inspected(self.name, rows)

    def purge(self, state: str = "ready") -> int:
        """Drop all jobs that are ``ready``, ``delayed`` or ``dead``. Says how many."""
        where = checked_state(state, purge=True)
        return self._inspect("purge", lambda inside: inside.purge(self.name, where))

    def redrive(
        self,
        ids: Iterable[str] | None = None,
        *,
        where: Callable[[InspectedJob], bool] | None = None,
    ) -> int:
        """Make dead jobs ready again, all or some: attempt 1, crashes 0.

        Args:
            ids: Those that are named; all by default.
            where: Those for which this is true, of all dead jobs as ``peek`` shows them. Jobs that
                die meanwhile may be left out. Not with ids.

        Returns:
            How many.
        """
        chosen = checked_ids(ids)
        if where is None:
            return self._redrive(chosen)
        if chosen is not None:
            raise InvalidInput("name dead jobs or say which they are, not both: ids and where")
        fit = [one.id for one in self._all_dead() if where(one)]
        return sum([self._redrive(part) for part in parts(fit, self.session.capabilities)])

    def _redrive(self, ids: Sequence[str] | None) -> int:
        return self._inspect("redrive", lambda inside: inside.redrive(self.name, ids))

    def _all_dead(self) -> list[InspectedJob]:
        self.session.capabilities.need("redrive")
        found: list[InspectedJob] = []
        while page := self.peek("dead", PAGE, len(found)):
            found += page
        return found

    def remove(self, ids: Iterable[str]) -> int:
        """Drop the named dead jobs. Says how many there were."""
        chosen = checked_ids(ids) or []
        return self._inspect("dead_letter", lambda inside: inside.remove(self.name, chosen))

    def _inspect(self, name: str, look: Callable[[Inspection], T]) -> T:
        session = self.session
        session.check_open()
        session.capabilities.need(name)
        inside = partial(look, cast("Inspection", session.backend))
        effect = Effect.NONE if name in ("stats", "peek") else Effect.ONCE
        return session.insist(f"{name} jobs", inside, effect=effect)
