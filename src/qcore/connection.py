"""``connect``: a URL becomes a connection, in code that blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self, TypeVar, cast

from qcore.backend import Adapter, Backend, Inspection
from qcore.capabilities import Capabilities
from qcore.clock import Clock, SystemClock
from qcore.consume.commit import Effect
from qcore.consume.home import Home
from qcore.consume.opening import Opening, opening
from qcore.consume.session import Session
from qcore.ids import IdSource
from qcore.options import check_keep, codec_name, name_of
from qcore.policy import RetryPolicy, retry_policy
from qcore.queue import Queue
from qcore.record import Keep

__all__ = ["Connection", "connect"]

N = TypeVar("N")


def connect(url: str, *, require: Iterable[str] = (), clock: Clock | None = None) -> Connection:
    """Open a connection to the broker that a URL names.

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
    return Connection(opening(url, require, clock or SystemClock()))


class Connection:
    """An open connection: owns sockets and heartbeats, hands out queues. Safe for many threads."""

    def __init__(self, plan: Opening) -> None:
        self._plan = plan
        self._home = Home(
            self._open_session, plan.clock, IdSource(plan.clock).new, plan.default_lease
        )

    def _open_session(self) -> Session:
        backend: Backend = self._plan.adapter.backend(self._plan.setup())
        session = Session(backend, self._plan.patience, self._plan.monotonic)
        try:
            self._plan.check(session.open())
        except BaseException:
            session.close()
            raise
        return session

    def __repr__(self) -> str:
        """The URL with its secrets masked."""
        return f"<Connection {self._plan.url}>"

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
    ) -> Queue:
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
        return Queue(checked, self._home, codec_name(codec), policy, keep)

    def queues(self) -> list[str]:
        """The names of the queues that the broker keeps in this namespace, sorted.

        Raises:
            UnsupportedCapability: If the adapter keeps no jobs.
        """
        session = self._home.session
        session.check_open()
        session.capabilities.need("stats")
        inside = cast("Inspection", session.backend)
        return list(session.insist("list the queues", inside.queues, effect=Effect.NONE))

    def health(self) -> dict[str, Any]:
        """Facts about the broker now, such as ``latency`` in seconds.

        Raises:
            Unavailable: If it cannot be reached.
        """
        session = self._home.session
        return dict(session.look("check the broker", session.backend.health))

    def native(self, kind: type[N]) -> N | None:
        """The underlying client if it is a ``kind``: for what qcore does not offer."""
        return self._home.session.backend.native(kind)

    def close(self) -> None:
        """Release what was taken ahead, let flushes end, wake waiters; harmless twice."""
        self._home.close()

    def __enter__(self) -> Self:
        """The connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
