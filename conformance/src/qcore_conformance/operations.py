"""Whole calls, put together from the events of their begin and their end.

In goes a history, out come operations with the span of time in which each took effect, if it
did. Whatever is judged later rests on these spans alone: an effect took place somewhere
between ``begin`` and ``end``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from attrs import evolve, frozen

from .events import Event, FaultKind, Kind, Verb

__all__ = ["FOREVER", "Operation", "nanoseconds", "operations_of", "seconds"]

FOREVER = 2**63 - 1
"""The end of a call that nobody saw end."""


@frozen(eq=False)
class Operation:
    """One call, or one job of a call that returned several.

    Args:
        begin: When it was made; 0 if all that is known is that it happened.
        end: When its outcome was known; ``FOREVER`` if that never came.
        outcome: ``ok``, ``fail``, or ``info`` for all that nobody knows.
        said: What begin and end said about it together.
    """

    begin: int
    end: int
    outcome: Kind
    said: Event

    @property
    def verb(self) -> Verb:
        """What was called."""
        return self.said.verb

    @property
    def name(self) -> str:
        """The name of the process, without the number of the process id."""
        return self.said.process.rpartition(".")[0]

    @property
    def lane(self) -> tuple[str, str]:
        """Queue and group that it was made on."""
        return self.said.queue or "", self.said.group or ""

    @property
    def sure(self) -> bool:
        """Whether it took effect for certain."""
        return self.outcome is Kind.OK

    @property
    def possible(self) -> bool:
        """Whether it may have taken effect."""
        return self.outcome is not Kind.FAIL

    @property
    def unknown(self) -> bool:
        """Whether nobody knows."""
        return self.outcome is Kind.INFO

    def strikes(self, name: str) -> bool:
        """Whether, as a fault, it struck the process of that name."""
        return not self.said.target or self.said.target == name


def seconds(nanoseconds: int) -> float:
    """Convert from the unit of the clock."""
    return nanoseconds / 1e9


def nanoseconds(seconds: float) -> int:
    """Convert to the unit of the clock."""
    return round(seconds * 1e9)


def operations_of(events: Iterable[Event]) -> tuple[Operation, ...]:
    """Put calls together, in the order of their begin.

    A call that never ended was cut short by the death of its process, if the history knows
    of a kill; it has surely ended with that.
    """
    calls: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in events:
        calls[event.process, event.call].append(event)
    found = [operation for call in calls.values() for operation in _of_call(call)]
    kills = sorted(
        (each for each in found if each.said.fault is FaultKind.KILL_WORKER),
        key=lambda kill: kill.end,
    )
    return tuple(sorted((_cut_short(each, kills) for each in found), key=lambda each: each.begin))


def _of_call(events: list[Event]) -> Iterator[Operation]:
    invoke = next((event for event in events if event.kind is Kind.INVOKE), None)
    ends = [event for event in events if event.kind is not Kind.INVOKE]
    for end in ends:
        if invoke is None:
            yield Operation(0, end.time, end.kind, end)
        else:
            yield Operation(invoke.time, end.time, end.kind, end.after(invoke))
    if invoke is not None and not ends:
        yield Operation(invoke.time, FOREVER, Kind.INFO, invoke)


def _cut_short(operation: Operation, kills: list[Operation]) -> Operation:
    if operation.end < FOREVER or operation.verb is Verb.FAULT:
        return operation
    ends = (
        kill.end
        for kill in kills
        if kill.said.target == operation.name and kill.end >= operation.begin
    )
    return evolve(operation, end=next(ends, FOREVER))
