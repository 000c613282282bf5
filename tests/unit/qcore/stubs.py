"""An adapter whose broker can be told to misbehave, over stores in memory."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import attrs

import qcore
from qcore.async_connection import AsyncConnection
from qcore.backend import (
    AsyncBackend,
    Enqueue,
    Enqueued,
    Fault,
    Flush,
    Settle,
    Setup,
    Taken,
    TakeRequest,
    Verb,
)
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities, Claim
from qcore.clock import SystemClock
from qcore.connection import Connection
from qcore.consume.drafts import Drafter
from qcore.consume.opening import Opening
from qcore.ids import IdSource
from qcore.memory.adapter import MemoryAdapter, MemoryBackend
from qcore.url import Parameter, SchemeParts, parse_url, typed

__all__ = [
    "AsyncStub",
    "Away",
    "Lost",
    "Refused",
    "Script",
    "StubAdapter",
    "drafter",
    "listening",
    "spoilt",
]

T = TypeVar("T")


class Away(Exception):
    """The broker cannot be reached; nothing was done."""


class Lost(Exception):
    """The reply did not come."""


class Refused(Exception):
    """The broker does not want to."""


_FAULTS: Mapping[type[BaseException], Fault] = {
    Away: Fault.UNAVAILABLE,
    Lost: Fault.INDETERMINATE,
    Refused: Fault.REJECTED,
}

Act = BaseException | Callable[[], object]
"""An error to raise, or something to do."""


class Script:
    """What happens in a broker, and what was asked of it.

    Attributes:
        before: By operation, what happens at each call before it is done.
        after: The same, when it was done and before the reply.
        calls: Every call: the operation, its number where it has one, and what was passed.
        always: By operation, an error of every call.
    """

    def __init__(self) -> None:
        self.before: defaultdict[str, deque[Act]] = defaultdict(deque)
        self.after: defaultdict[str, deque[Act]] = defaultdict(deque)
        self.always: dict[str, BaseException] = {}
        self.calls: list[tuple[str, int, Any]] = []
        self.closed = 0

    def enter(self, name: str, number: int = 0, passed: object = None) -> object:
        """A call begins."""
        self.calls.append((name, number, passed))
        if name in self.always:
            raise self.always[name]
        return _happen(self.before[name])

    def leave(self, name: str) -> object:
        """A call was done."""
        return _happen(self.after[name])

    def numbers(self, name: str) -> list[int]:
        """The flush numbers of an operation."""
        return [number for called, number, _ in self.calls if called == name]

    def passed(self, name: str) -> list[Any]:
        """What was passed to an operation."""
        return [passed for called, _, passed in self.calls if called == name]

    def beats(self, token: str) -> int:
        """How often a lease was extended."""
        steps = [step for steps in self.passed("settle") for step in steps]
        return sum(step.token == token and step.verb is Verb.EXTEND for step in steps)

    @staticmethod
    def classify(error: BaseException) -> Fault | None:
        """What the errors of this module mean."""
        return _FAULTS.get(type(error))


def _happen(acts: deque[Act]) -> object:
    if not acts:
        return None
    act = acts.popleft()
    if isinstance(act, BaseException):
        raise act
    return act()


class Stub(MemoryBackend):
    """A backend that follows a script."""

    script: Script
    promises: Capabilities

    def open(self) -> Capabilities:
        """As promised."""
        self.script.enter("open")
        super().open()
        return self.promises

    def close(self) -> None:
        """Count it."""
        self.script.closed += 1
        self.script.enter("close")
        super().close()

    def enqueue(self, queue: str, jobs: Sequence[Enqueue], flush: Flush) -> Sequence[Enqueued]:
        """By the script."""
        self.script.enter("enqueue", flush.number, jobs)
        answer = super().enqueue(queue, jobs, flush)
        self.script.leave("enqueue")
        return answer

    def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """By the script."""
        self.script.enter("take", flush.number, request)
        answer = super().take(queue, request, flush)
        self.script.leave("take")
        return answer

    def wait(self, queues: Sequence[str], timeout: float) -> None:
        """By the script."""
        self.script.enter("wait", 0, timeout)
        super().wait(queues, timeout)

    def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """By the script."""
        self.script.enter("settle", flush.number, steps)
        answer = super().settle(queue, steps, flush)
        self.script.leave("settle")
        return answer

    def health(self) -> Mapping[str, Any]:
        """By the script."""
        self.script.enter("health")
        return super().health()

    def stats(self, queue: str) -> qcore.QueueStats:
        """By the script."""
        self.script.enter("stats")
        answer = super().stats(queue)
        self.script.leave("stats")
        return answer

    def purge(self, queue: str, state: qcore.State) -> int:
        """By the script."""
        self.script.enter("purge")
        answer = super().purge(queue, state)
        self.script.leave("purge")
        return answer

    def subscribe(self, queue: str) -> None:
        """By the script."""
        self.script.enter("subscribe", 0, queue)

    def gaps(self, queue: str) -> int:
        """As many as there are letters."""
        return len(queue)

    def classify(self, error: BaseException) -> Fault | None:
        """What the errors of this module mean."""
        return self.script.classify(error)

    def native(self, kind: type[T]) -> T | None:
        """The script."""
        return self.script if isinstance(self.script, kind) else None


class AsyncStub:
    """A backend for asyncio that follows a script, whose acts may be awaitable."""

    def __init__(self, inner: AsyncBackend, script: Script) -> None:
        self._inner = inner
        self.script = script

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def open(self) -> Capabilities:
        """As promised, after a while."""
        found = await self._inner.open()
        await asyncio.sleep(0)
        return found

    async def enqueue(
        self, queue: str, jobs: Sequence[Enqueue], flush: Flush
    ) -> Sequence[Enqueued]:
        """By the script."""
        await _settled(self.script.enter("enqueue", flush.number, jobs))
        answer = await self._inner.enqueue(queue, jobs, flush)
        await _settled(self.script.leave("enqueue"))
        return answer

    async def take(self, queue: str, request: TakeRequest, flush: Flush) -> Taken:
        """By the script."""
        await _settled(self.script.enter("take", flush.number, request))
        answer = await self._inner.take(queue, request, flush)
        await _settled(self.script.leave("take"))
        return answer

    async def settle(self, queue: str, steps: Sequence[Settle], flush: Flush) -> Sequence[bool]:
        """By the script."""
        await _settled(self.script.enter("settle", flush.number, steps))
        answer = await self._inner.settle(queue, steps, flush)
        await _settled(self.script.leave("settle"))
        return answer


async def _settled(act: object) -> None:
    if isinstance(act, Awaitable):
        await cast("Awaitable[object]", act)


class StubAdapter:
    """Opens connections that follow a script; ``server`` may promise less than the adapter could.

    Args:
        promises: By default all that memory promises.
        memory: Where the jobs are, to be shared with another.
    """

    scheme: str = "memory"
    parameters: Sequence[Parameter] = MemoryAdapter.parameters

    def __init__(
        self, promises: Capabilities | None = None, memory: MemoryAdapter | None = None
    ) -> None:
        self.script = Script()
        self.opening_script = Script()
        self.opened = 0
        self.memory = memory or MemoryAdapter()
        self._promises = promises or self.memory.promises()
        self.server = self._promises
        self._lock = threading.Lock()

    def promises(self) -> Capabilities:
        """As told."""
        return self._promises

    def backend(self, setup: Setup) -> Stub:
        """A connection to the store of this adapter."""
        with self._lock:
            self.opened += 1
        made = self.memory.backend(setup)
        stub = Stub.__new__(Stub)
        stub.__dict__.update(made.__dict__)
        stub.script, stub.promises = self.script, self.server
        return stub

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same for asyncio; all but opening and closing happens by the script."""
        stub = self.backend(setup)
        stub.script = self.opening_script
        return cast("AsyncBackend", AsyncStub(lift_inline(stub), self.script))

    def opening(
        self, url: str = "memory://stub", require: Sequence[str] = (), **params: str
    ) -> Opening:
        """What a connection is made from."""
        query = "&".join(f"{name}={value}" for name, value in params.items())
        parsed = parse_url(f"{url}?{query}")
        given = typed(parsed, self.parameters)
        parts = SchemeParts("memory")
        return Opening(parsed, self, parts, given, frozenset(require), SystemClock())

    def connect(self, **params: str) -> Connection:
        """A connection."""
        return Connection(self.opening(**params))

    def connect_async(self, url: str = "memory://stub", **params: str) -> AsyncConnection:
        """A connection for asyncio."""
        return AsyncConnection(self.opening(url, **params))


def spoilt(*missing: str) -> Capabilities:
    """The promises of memory without some."""
    full = MemoryAdapter().promises()
    claims = {name: claim for name, claim in full.claims.items() if name not in missing}
    return attrs.evolve(full, claims=claims)


def listening() -> Capabilities:
    """The promises of an adapter that reaches listeners only, whose takes end the job."""
    kept = {"delivery", "scope", "wake", "order", "priority", "delay", "thread_safe"}
    full = MemoryAdapter().promises()
    claims = {name: claim for name, claim in full.claims.items() if name in kept}
    claims |= {"settlement": Claim("automatic"), "gap": Claim(value=True)}
    return attrs.evolve(full, claims=claims)


def drafter(queue: str, codec: str) -> Drafter:
    """Makes drafts for a queue, at the beginning of time."""
    return Drafter(queue, codec, IdSource().new, lambda: 0.0)
