"""Reading a queue that is kept as a log: groups, replay and history."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, cast

from qcore.async_queue.recording import AsyncRecording
from qcore.backend import AsyncGroups, AsyncHistory, AsyncSubscriptions
from qcore.consume.async_home import AsyncHome
from qcore.consume.commit import Effect
from qcore.consume.reading import (
    LogEntry,
    StartsAt,
    begun,
    log_entries,
    queue_of,
    span_of,
    start_of,
)
from qcore.options import job_id

__all__ = ["AsyncReading"]

T = TypeVar("T")


class AsyncReading(AsyncRecording):
    """The calls of a queue that read it more than once; they need ``groups`` or ``history``."""

    def __init__(self, name: str, home: AsyncHome) -> None:
        super().__init__(name, home)
        self._log = queue_of(name)

    async def subscribe(self, start: StartsAt | None = None) -> None:
        """Receive what is enqueued from now on: in effect when this returns.

        Where the adapter only reaches listeners, listen. Where the queue is a log, begin the
        group if there is none. Elsewhere no effect, since what is stored waits anyway.

        Args:
            start: For logs, the first entry that a new group gets: ``"all"`` for the oldest that
                is left, which is the default, ``"new"`` for none of those so far, a job's id, an
                aware ``datetime`` or seconds since the Unix epoch. A group that has begun goes on.

        Raises:
            HistoryGone: If the log does not reach back that far.
            UnsupportedCapability: If a start is given and the queue is no log; nothing was sent.
        """
        session = self.session
        session.check_open()
        if start is not None:
            session.capabilities.need("groups")
        if "groups" in session.capabilities:
            first = start_of("start", "all" if start is None else start, session.capabilities)
            reached = await self._groups(
                "subscribe", lambda inside: inside.begin(self.name, first), Effect.SAME
            )
            begun(self._log, f"{start!r}", reached=reached)
        elif session.capabilities.value("settlement") == "automatic":
            backend = cast("AsyncSubscriptions", session.backend)
            await session.insist(
                "subscribe", partial(backend.subscribe, self.name), effect=Effect.NONE
            )

    async def rewind(self, start: StartsAt) -> None:
        """Let this group begin anew at ``start``, see ``subscribe``; others are not disturbed.

        What it has in hand is lost to its holders, and what waits for another attempt begins
        again with its first if it lies behind ``start``. Its dead letters stay.

        Raises:
            HistoryGone: If the log does not reach back that far; nothing was changed.
            UnsupportedCapability: If the queue is no log; nothing was sent.
            Indeterminate: If the reply was lost.
        """
        session = self.session
        session.check_open()
        session.capabilities.need("groups")
        first = start_of("start", start, session.capabilities)
        reached = await self._groups(
            "rewind", lambda inside: inside.rewind(self.name, first), Effect.ONCE
        )
        begun(self._log, f"{start!r}", reached=reached)

    async def unsubscribe(self) -> None:
        """Remove this group with its progress, leases and dead letters.

        Nothing is lost to others, and retention no longer waits for it. Stop its consumers
        first: a take of a group that is not there begins it anew, with the oldest entry.

        Raises:
            UnsupportedCapability: If the queue is no log; nothing was sent.
        """
        await self._groups("unsubscribe", lambda inside: inside.end(self.name), Effect.SAME)

    async def groups(self) -> list[str]:
        """The names of the groups that have begun, sorted; see ``group`` for their ``stats``.

        Raises:
            UnsupportedCapability: If the queue is no log; nothing was sent.
        """
        listed = await self._groups(
            "list groups", lambda inside: inside.groups(self._log), Effect.NONE
        )
        return list(listed)

    async def _groups(
        self, doing: str, act: Callable[[AsyncGroups], Awaitable[T]], effect: Effect
    ) -> T:
        session = self.session
        session.check_open()
        session.capabilities.need("groups")
        inside = partial(act, cast("AsyncGroups", session.backend))
        return await session.insist(doing, inside, effect=effect)

    async def history(
        self,
        start: StartsAt = "all",
        end: StartsAt = "all",
        *,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[LogEntry]:
        """Entries of the log in order, settled or not; reading them changes nothing.

        Args:
            start: The first of them, as for ``subscribe``; by default the oldest that is left.
            end: The last of them, a job's id or a time; by default the newest.
            after: The id of the last entry of the page before, to go on behind it.
            limit: How many at most.
            newest_first: Whether to read from the end to the start.

        Raises:
            HistoryGone: If the log does not reach back that far.
            UnsupportedCapability: If the queue is no log; nothing was sent.
        """
        session = self.session
        session.check_open()
        session.capabilities.need("history")
        span = span_of(start, end, after, limit, session.capabilities, newest_first=newest_first)
        rows = await self._history("read the log", lambda inside: inside.read(self._log, span))
        return log_entries(self._log, rows, " or ".join(f"{one!r}" for one in (start, end, after)))

    async def lookup(self, id: str) -> LogEntry | None:
        """The entry of a job; ``None`` if the log does not, or no longer, hold it.

        Raises:
            UnsupportedCapability: If the queue is no log; nothing was sent.
        """
        session = self.session
        session.check_open()
        session.capabilities.need("history")
        wanted = job_id("id", id, session.capabilities.limits.name)
        found = await self._history("look a job up", lambda inside: inside.find(self._log, wanted))
        return None if found is None else log_entries(self._log, [found], id)[0]

    async def _history(self, doing: str, look: Callable[[AsyncHistory], Awaitable[T]]) -> T:
        inside = partial(look, cast("AsyncHistory", self.session.backend))
        return await self.session.insist(doing, inside, effect=Effect.NONE)
