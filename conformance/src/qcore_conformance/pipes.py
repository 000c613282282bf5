"""One connection through the proxy, and what all connections share.

In go the bytes of a client and of a server; out go whole requests and whole replies, unless
the plan has a point at a boundary that they pass. While a point is waiting, each connection
carries one exchange at a time, so that "the next request" has surely not been sent.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum, auto

from attrs import define, evolve, field, frozen

from .conversation import Conversation, Request
from .plans import Cut, HalfOpen, Hook, Link, Plan, Point, When
from .resp import Splitter

__all__ = ["Exchange", "Pipe", "Stage", "Stream", "Wiring"]

_CHUNK = 65536


class Stage(Enum):
    """How far an exchange came."""

    HELD = auto()
    """The server has not got the whole request."""
    SENT = auto()
    """The server has the request, and has not replied."""
    REPLIED = auto()
    """The server has replied, and the client has not got the whole reply."""
    DONE = auto()
    """The reply was passed to the client."""


@frozen(kw_only=True)
class Exchange:
    """One request and its reply, by name and size; arguments are not kept."""

    number: int
    connection: int
    command: str
    request_bytes: int
    reply_bytes: int = 0
    stage: Stage = Stage.HELD
    points: tuple[Point, ...] = ()

    def stops_at(self, when: When) -> bool:
        """Whether the plan has a point at this boundary of the exchange."""
        return any(point.when is when for point in self.points)


@define
class Wiring:
    """What all connections of a proxy share: the plan, the line's quality, and the log."""

    chance: random.Random
    link: Link = field(factory=Link, init=False)
    plan: Plan = field(factory=Plan, init=False)
    log: list[Exchange] = field(factory=list[Exchange], init=False)
    fired: list[Point] = field(factory=list[Point], init=False)
    problems: list[Exception] = field(factory=list[Exception], init=False)

    def admit(self, connection: int, command: str, size: int) -> Exchange:
        """Give the next number to a request that is complete."""
        exchange = Exchange(
            number=len(self.log) + 1,
            connection=connection,
            command=command,
            request_bytes=size,
            points=self.plan.count(command),
        )
        self.log.append(exchange)
        return exchange

    def note(self, number: int, stage: Stage, reply_bytes: int = 0) -> None:
        """Write down how far an exchange came."""
        self.log[number - 1] = evolve(self.log[number - 1], stage=stage, reply_bytes=reply_bytes)


class _Severed(Exception):
    """The connection ends here: by the plan, or because a side is gone."""


@frozen
class Stream:
    """One side of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __attrs_post_init__(self) -> None:
        # A drained writer has nothing left in this process: "sent" means sent.
        self.writer.transport.set_write_buffer_limits(high=0)

    async def read(self) -> bytes:
        """Wait for the next bytes; nothing if the side has closed."""
        try:
            return await self.reader.read(_CHUNK)
        except OSError as error:
            raise _Severed from error

    async def write(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError as error:
            raise _Severed from error


@define(eq=False)
class Pipe:
    """A client and the server, and what is under way between them."""

    number: int
    _wiring: Wiring
    _client: Stream
    _server: Stream
    half_open: bool = field(default=False, init=False)
    _conversation: Conversation = field(factory=Conversation, init=False)
    _under_way: deque[Exchange] = field(factory=deque[Exchange], init=False)
    _answered: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def run(self) -> None:
        """Pass traffic until either side closes, the plan cuts, or the task is cancelled."""
        pumps = [
            asyncio.create_task(self._pass_requests()),
            asyncio.create_task(self._pass_replies()),
        ]
        try:
            ended, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            self._note_problems(ended)
            if self.half_open:
                await asyncio.Event().wait()
        finally:
            for pump in pumps:
                pump.cancel()
            self._client.writer.close()
            self._server.writer.close()

    def _note_problems(self, ended: set[asyncio.Task[None]]) -> None:
        """Keep what is no matter of the line: a failed hook, or bytes that are not RESP."""
        for pump in ended:
            error = pump.exception()
            if isinstance(error, Exception) and not isinstance(error, _Severed):
                self._wiring.problems.append(error)

    async def _messages(self, stream: Stream, split: Splitter) -> AsyncIterator[bytes]:
        while data := await stream.read():
            if lag := self._wiring.link.lag(self._wiring.chance):
                await asyncio.sleep(lag)
            for message in split.feed(data):
                yield message

    async def _pass_requests(self) -> None:
        async for message in self._messages(self._client, Splitter(inline=True)):
            await self._turn()
            request = Request.read(message)
            if request.command and not self.half_open:
                await self._ask(request, message)

    async def _turn(self) -> None:
        """Wait, while a point is waiting anywhere, until this connection is at rest."""
        while self._under_way and self._careful():
            self._answered.clear()
            await self._answered.wait()

    def _careful(self) -> bool:
        return self._wiring.plan.waiting or any(each.points for each in self._under_way)

    async def _ask(self, request: Request, message: bytes) -> None:
        exchange = self._wiring.admit(self.number, request.command, len(message))
        self._strike(exchange, When.BEFORE_REQUEST)
        if exchange.stops_at(When.INSIDE_REQUEST):
            message = await self._send_half(self._server, message)
            self._strike(exchange, When.INSIDE_REQUEST)
        self._conversation.ask(request)
        self._under_way.append(exchange)
        self._wiring.note(exchange.number, Stage.SENT)
        await self._send(self._server, message)

    async def _pass_replies(self) -> None:
        split = Splitter()
        async for message in self._messages(self._server, split):
            if self.half_open:
                continue
            if self._conversation.answer(message) is None:
                await self._send(self._client, message)
            else:
                await self._answer(self._under_way[0], message)
        await self._send(self._client, split.rest)

    async def _answer(self, exchange: Exchange, message: bytes) -> None:
        size = len(message)
        self._wiring.note(exchange.number, Stage.REPLIED, size)
        self._strike(exchange, When.BEFORE_REPLY)
        if exchange.stops_at(When.INSIDE_REPLY):
            message = await self._send_half(self._client, message)
            self._strike(exchange, When.INSIDE_REPLY)
        await self._send(self._client, message)
        self._wiring.note(exchange.number, Stage.DONE, size)
        self._strike(exchange, When.AFTER_REPLY)
        self._under_way.popleft()
        self._answered.set()

    def _strike(self, exchange: Exchange, when: When) -> None:
        """Let the points at this boundary happen; nothing else passes the proxy meanwhile."""
        for point in exchange.points:
            if point.when is not when:
                continue
            self._wiring.fired.append(point)
            if isinstance(point, Cut):
                point.run()
                raise _Severed
            if isinstance(point, HalfOpen):
                self.half_open = True
            elif isinstance(point, Hook):
                point.run()

    async def _send_half(self, to: Stream, message: bytes) -> bytes:
        """Send the first half and return the other."""
        middle = len(message) // 2
        await self._send(to, message[:middle])
        return message[middle:]

    async def _send(self, to: Stream, data: bytes) -> None:
        for piece, pause in self._wiring.link.pieces(data):
            await asyncio.sleep(pause)
            if self.half_open:
                return
            await to.write(piece)
