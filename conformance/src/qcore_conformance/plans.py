"""What the proxy is to break, and where: plans as values, and the counting that finds the place.

An *exchange* is one request with its reply. A point names an exchange by its number, counted
from the moment the point was planned, and one of the five boundaries of that exchange.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto

from attrs import define, field, frozen, validators

__all__ = ["Cut", "HalfOpen", "Hook", "Link", "Plan", "Point", "When", "boundaries"]


class When(Enum):
    """The boundaries of an exchange, in the order in which it passes them."""

    BEFORE_REQUEST = auto()
    """The request is complete at the proxy; the server has seen none of it."""
    INSIDE_REQUEST = auto()
    """The server has received the first half of the request's bytes."""
    BEFORE_REPLY = auto()
    """The server has run the request and replied; the client has seen none of the reply."""
    INSIDE_REPLY = auto()
    """The client has received the first half of the reply's bytes."""
    AFTER_REPLY = auto()
    """The client has the reply; the next request has not reached the server."""


def _names(commands: Iterable[str]) -> frozenset[str]:
    return frozenset(commands)


@frozen(kw_only=True)
class Point:
    """A place in the traffic; planned as one of its three kinds.

    Args:
        exchange: Which exchange, from 1, counted from the moment of planning.
        when: Which boundary of it.
        commands: Count only these commands, in capitals; all of them if empty.
    """

    exchange: int = field(validator=validators.ge(1))
    when: When
    commands: frozenset[str] = field(factory=frozenset[str], converter=_names)


def _nothing() -> None:
    pass


@frozen(kw_only=True)
class Cut(Point):
    """Close the connection on both sides.

    Args:
        run: Called first, while the whole proxy stands still, as for ``Hook``. This is the
            way to kill a client at a boundary: what it had sent already goes nowhere.
    """

    run: Callable[[], object] = _nothing


@frozen(kw_only=True)
class HalfOpen(Point):
    """Keep the connection open on both sides and swallow all that either says from now on."""


@frozen(kw_only=True)
class Hook(Point):
    """Call a function while the whole proxy stands still, then go on.

    The function may pause processes, break servers, and call the proxy's methods. It must not
    wait for anything that has to pass through this proxy.
    """

    run: Callable[[], object]


@define
class _Armed:
    point: Point
    seen: int = 0


@define
class Plan:
    """The points that have not come up yet, and how far each has counted."""

    _armed: list[_Armed] = field(factory=list[_Armed], init=False)

    @property
    def waiting(self) -> bool:
        """Whether any point is still to come up."""
        return bool(self._armed)

    def add(self, *points: Point) -> None:
        """Begin to count for each of the points."""
        self._armed.extend(_Armed(point) for point in points)

    def clear(self) -> None:
        """Forget all points that have not come up."""
        self._armed.clear()

    def count(self, command: str) -> tuple[Point, ...]:
        """Count one more exchange and return the points whose exchange it is."""
        due: list[Point] = []
        for armed in list(self._armed):
            if armed.point.commands and command not in armed.point.commands:
                continue
            armed.seen += 1
            if armed.seen == armed.point.exchange:
                due.append(armed.point)
                self._armed.remove(armed)
        return tuple(due)


@frozen(kw_only=True)
class Link:
    """The quality of the line, the same in both directions.

    Args:
        delay: Seconds that each piece of traffic waits.
        jitter: Up to so many seconds more, drawn anew for each piece.
        bandwidth: Bytes a second; 0 is unlimited.
        split: Send one byte at a time.
    """

    delay: float = field(default=0.0, validator=validators.ge(0))
    jitter: float = field(default=0.0, validator=validators.ge(0))
    bandwidth: int = field(default=0, validator=validators.ge(0))
    split: bool = False

    def lag(self, chance: random.Random) -> float:
        """Return how many seconds the next piece of traffic waits."""
        return self.delay + (chance.uniform(0, self.jitter) if self.jitter else 0.0)

    def pieces(self, data: bytes) -> Iterator[tuple[bytes, float]]:
        """Cut data into what is sent at once, each with the seconds that it takes."""
        size = 1 if self.split else len(data)
        if self.bandwidth:
            size = min(size, max(1, self.bandwidth // 20))
        for at in range(0, len(data), max(1, size)):
            piece = data[at : at + size]
            yield piece, len(piece) / self.bandwidth if self.bandwidth else 0.0


def boundaries(
    exchanges: int, whens: tuple[When, ...] = (When.BEFORE_REPLY, When.AFTER_REPLY)
) -> Iterator[tuple[int, When]]:
    """Enumerate the points of a crash-point sweep over an operation of so many exchanges.

    The default boundaries are the two that differ for a worker that dies: the request ran and
    its reply is lost, or the reply arrived and the next request was never sent.
    """
    return ((exchange, when) for exchange in range(1, exchanges + 1) for when in whens)
