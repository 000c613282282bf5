"""One way to write a scenario, two colours to run it in.

A scenario is plain blocking code against ``qcore.Connection``. In the other colour it gets a
stand-in that has the same names, runs every awaited call on an event loop in a thread of its own,
and hands out stand-ins for what comes back. So each scenario is written once.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from enum import StrEnum
from typing import Any, Self, cast

import attrs

import qcore

__all__ = ["Colour", "LoopThread", "connected"]

_WRAPPED = (
    qcore.AsyncConnection,
    qcore.AsyncQueue,
    qcore.AsyncDelivery,
    qcore.AsyncConsumer,
)


class Colour(StrEnum):
    """Whether code blocks or awaits."""

    SYNC = "sync"
    ASYNC = "async"


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the loop and wait for its result."""
        return self.submit(coroutine).result()

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; cancelling the future cancels it there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> None:
        """Cancel what still runs, and end the loop."""

        async def cancel_all() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def connected(
    url: str, colour: Colour, loop: LoopThread, *, require: Iterable[str] = ()
) -> qcore.Connection:
    """Open a connection in the given colour, to be used as if it blocked."""
    if colour is Colour.SYNC:
        return qcore.connect(url, require=require)

    async def open_it() -> qcore.AsyncConnection:
        return await qcore.connect_async(url, require=require)

    return cast("qcore.Connection", _StandIn(loop.run(open_it()), loop))


class _StandIn:
    """Looks like the blocking twin of an asyncio object."""

    def __init__(self, target: Any, loop: LoopThread) -> None:
        self._target = target
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._target)

    def __getattr__(self, name: str) -> Any:
        value = self._call(lambda: getattr(self._target, name))
        if callable(value) and not isinstance(value, type):
            return self._method(value)
        return value

    def _method(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(lambda: method(*map(bare, args), **kwargs))

        return call

    def twin(self) -> Any:
        """The object that this one stands for."""
        return self._target

    def _call(self, function: Callable[[], Any]) -> Any:
        async def on_loop() -> Any:
            result = function()
            return await result if inspect.isawaitable(result) else result

        return self._wrapped(self._loop.run(on_loop()))

    def _wrapped(self, result: Any) -> Any:
        if isinstance(result, _WRAPPED):
            return _StandIn(result, self._loop)
        if _is_list(result):
            return [self._wrapped(one) for one in result]
        return result

    def __enter__(self) -> Self:
        self._loop.run(self._target.__aenter__())
        return self

    def __exit__(self, *error: object) -> Any:
        return self._loop.run(self._target.__aexit__(*error))

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def following() -> Any:
            try:
                return True, await anext(self._target)
            except StopAsyncIteration:
                return False, None

        more, result = self._loop.run(following())
        if not more:
            raise StopIteration
        return self._wrapped(result)


def bare(value: Any) -> Any:
    """What is handed to the other colour: no stand-ins, but what they stand for."""
    if isinstance(value, _StandIn):
        return value.twin()
    if isinstance(value, qcore.Settlement):
        return attrs.evolve(value, delivery=bare(value.delivery))
    if _is_list(value):
        return [bare(one) for one in value]
    return value


def _is_list(value: object) -> bool:
    return isinstance(value, list)
