"""Histories written by hand: each call in one line, in seconds."""

from __future__ import annotations

from typing import Self, Unpack

from qcore_conformance.checker import check
from qcore_conformance.events import Details, Event, FaultKind, Kind, Verb
from qcore_conformance.guarantees import Guarantees
from qcore_conformance.history import merge
from qcore_conformance.verdicts import Result

JOB = "p-1"
OPEN = "open"


class Tape:
    """A history under construction; every call returns the tape.

    A call begins at ``at`` and takes ``took`` seconds. It is about the job ``p-1`` in the queue
    ``q``, made by ``p`` if it enqueues and by ``w`` otherwise, and ends with ``ok``.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._calls = 0

    @property
    def events(self) -> tuple[Event, ...]:
        """The history so far, in the order of time."""
        return merge(self._events)

    def do(
        self,
        verb: str,
        at: float,
        *,
        by: str = "",
        took: float = 0.01,
        end: str = "ok",
        **details: Unpack[Details],
    ) -> Self:
        """Add a call; ``end`` is ok, fail, info or open."""
        self._calls += 1
        who = f"{by or ('p' if verb == 'enqueue' else 'w')}.1"
        about = Details(queue="q", job=JOB)
        about.update(details)
        self._add(at, who, Kind.INVOKE, verb, about)
        if end != OPEN:
            self._add(at + took, who, Kind(end), verb, about)
        return self

    def empty(
        self, at: float, *, verb: str = "reserve", took: float = 0.01, group: str = ""
    ) -> Self:
        """Add a reserve or drain that found nothing."""
        self._calls += 1
        about = Details(queue="q", group=group)
        self._add(at, "w.1", Kind.INVOKE, verb, about)
        self._add(at + took, "w.1", Kind.OK, verb, about)
        return self

    def drained(self, at: float = 100.0, *, apart: float = 20.0, group: str = "") -> Self:
        """End the run properly: two drains that found nothing."""
        return self.empty(at, verb="drain", group=group).empty(
            at + apart, verb="drain", group=group
        )

    def fault(self, fault: FaultKind, at: float, *, target: str = "", took: float = 0.01) -> Self:
        """Add a fault that is mended after so many seconds."""
        self._calls += 1
        about = Details(fault=fault, target=target)
        self._add(at, "test.1", Kind.INVOKE, Verb.FAULT, about)
        self._add(at + took, "test.1", Kind.OK, Verb.FAULT, about)
        return self

    def fact(self, verb: str, at: float, **details: Unpack[Details]) -> Self:
        """Add what was found to have happened before."""
        self._calls += 1
        about = Details(queue="q", job=JOB)
        about.update(details)
        self._add(at, "test.1", Kind.OK, verb, about)
        return self

    def result(self, name: str, promised: Guarantees | None = None) -> Result:
        """The answer of one check."""
        return check(self.events, promised or Guarantees())[name]

    def _add(self, at: float, who: str, kind: Kind, verb: str, about: Details) -> None:
        self._events.append(
            Event(
                time=round((1 + at) * 1e9),
                process=who,
                call=self._calls,
                kind=kind,
                verb=Verb(verb),
                **about,
            )
        )
