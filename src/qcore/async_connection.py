"""``connect_async``: a URL becomes a connection, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable
from typing import Any, Self, TypeVar, cast

from qcore.async_queue import AsyncQueue
from qcore.backend import Adapter, AsyncInspection
from qcore.capabilities import Capabilities
from qcore.clock import Clock, SystemClock
from qcore.consume.async_home import AsyncHome
from qcore.consume.async_session import AsyncSession
from qcore.consume.commit import Effect
from qcore.consume.opening import Opening, opening
from qcore.consume.session import Session
from qcore.errors import Closed
from qcore.ids import IdSource
from qcore.options import check_keep, codec_name, name_of
from qcore.policy import RetryPolicy, retry_policy
from qcore.record import Keep

__all__ = ["AsyncConnection", "connect_async"]

N = TypeVar("N")


def connect_async(
    url: str, *, require: Iterable[str] = (), clock: Clock | None = None
) -> AsyncConnection:
    """Open a connection to the broker that a URL names: await it, or use it with ``async with``.

    Args:
        url: Such as ``redis+streams://localhost:6379/0?namespace=shop``.
        require: Capabilities that the program relies on, such as ``"fenced"`` or
            ``"durability:process"``.
        clock: The producer's clock, and the broker's for ``memory://``.

    Raises:
        InvalidUrl: If the URL or one of its parameters is wrong.
        AdapterNotFound: If no installed package registers the scheme.
        UnsupportedCapability: If a requirement is not met; lists all that are missing.
        Unavailable: If the broker cannot be reached.
    """
    return AsyncConnection(opening(url, require, clock or SystemClock()))


class AsyncConnection:
    """A connection for the tasks of one event loop. Opened by ``await`` or ``async with``."""

    def __init__(self, plan: Opening) -> None:
        self._plan = plan
        self._opened: AsyncHome | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> Self:
        """Reach the broker.

        Raises:
            Unavailable: If it cannot be reached.
            UnsupportedCapability: If a requirement is not met.
        """
        async with self._opening:
            if self._opened is None:
                self._opened = AsyncHome(
                    await self._open_session(),
                    self._open_beats,
                    self._plan.clock,
                    IdSource(self._plan.clock).new,
                    self._plan.default_lease,
                )
        return self

    async def _open_session(self) -> AsyncSession:
        backend = self._plan.adapter.async_backend(self._plan.setup())
        session = AsyncSession(backend, self._plan.patience, self._plan.monotonic)
        try:
            self._plan.check(await session.open())
        except BaseException:
            await session.close()
            raise
        return session

    def _open_beats(self) -> Session:
        backend = self._plan.adapter.backend(self._plan.setup())
        session = Session(backend, self._plan.patience, self._plan.monotonic)
        try:
            session.open()
        except BaseException:
            session.close()
            raise
        return session

    def __await__(self) -> Generator[Any, None, Self]:
        """Open, and give the connection."""
        return self.open().__await__()

    def __repr__(self) -> str:
        """The URL with its secrets masked."""
        return f"<AsyncConnection {self._plan.url}>"

    @property
    def _home(self) -> AsyncHome:
        if self._opened is None:
            raise Closed("the connection is not open yet; await it or use 'async with'")
        return self._opened

    @property
    def adapter(self) -> Adapter:
        """The adapter that the URL named."""
        return self._plan.adapter

    @property
    def capabilities(self) -> Capabilities:
        """What this adapter with this server promises."""
        return self._home.capabilities

    def queue(
        self,
        name: str,
        *,
        codec: str = "bytes",
        retry: RetryPolicy | None = None,
        keep: Keep | None = None,
    ) -> AsyncQueue:
        """A queue of this connection; costs nothing until it is used.

        Args:
            name: 1 to 128 letters, digits, ``.``, ``_`` and ``-``.
            codec: How bodies are encoded: ``bytes``, ``json`` or ``msgpack``.
            retry: What ``with delivery`` does after an exception; by default five attempts,
                or no end of them where the adapter sets nothing aside.
            keep: For how long a record of each job that it enqueues stays behind the job's end;
                by default no record is kept.

        Raises:
            InvalidInput: If an argument is wrong.
            UnsupportedCapability: If the adapter cannot keep the policy, or no records.
        """
        policy = retry_policy(retry, self.capabilities)
        checked = name_of("queue name", name, self.capabilities.limits.name)
        check_keep(keep, self.capabilities)
        return AsyncQueue(checked, self._home, codec_name(codec), policy, keep)

    async def queues(self) -> list[str]:
        """The names of the queues that the broker keeps in this namespace, sorted.

        Raises:
            UnsupportedCapability: If the adapter keeps no jobs.
        """
        session = self._home.session
        session.check_open()
        session.capabilities.need("stats")
        inside = cast("AsyncInspection", session.backend)
        return list(await session.insist("list the queues", inside.queues, effect=Effect.NONE))

    async def health(self) -> dict[str, Any]:
        """Facts about the broker now, such as ``latency`` in seconds.

        Raises:
            Unavailable: If it cannot be reached.
        """
        session = self._home.session
        return dict(await session.look("check the broker", session.backend.health))

    def native(self, kind: type[N]) -> N | None:
        """The underlying client if it is a ``kind``: for what qcore does not offer."""
        return self._home.session.backend.native(kind)

    async def close(self) -> None:
        """Release what was taken ahead, let flushes end, wake waiters; harmless twice."""
        if self._opened is not None:
            await self._opened.close()

    async def __aenter__(self) -> Self:
        """Open."""
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()
