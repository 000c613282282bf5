"""Writing down what a process does to a queue, so that the account survives its death.

In go calls; out come files of one JSON object a line, which ``load`` merges by the clock that
all processes of a machine share. A killed process leaves its open call behind, and perhaps a
torn last line. A call whose outcome nobody knows retires its process id: what follows happens
under the next one. Nothing here waits.

    history = History(folder, "w3")
    with history.call("reserve", queue="mail") as call:
        delivery = queue.reserve(timeout=1)
        if delivery is None:
            call.empty()
        else:
            call.ok(job=delivery.job.id, receipt=delivery.receipt, number=delivery.number)
    with history.call("ack", queue="mail", job=job, receipt=receipt) as call:
        queue.ack(receipt)
        call.ok()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from .events import CorruptHistory, Details, Event, FaultKind, Kind, Verb
from .pens import Entry, Pen

__all__ = ["Call", "History", "NoOutcome", "last_event", "load", "outcome_of", "read_file"]

_TAIL = 4096
"""Bytes that surely hold the last line of a page."""
_NOT_APPLIED = frozenset(
    {
        "adapter-conflict",
        "adapter-not-found",
        "invalid-input",
        "invalid-receipt",
        "invalid-url",
        "lease-lost",
        "limit-exceeded",
        "not-applied",
        "rejected",
        "unavailable",
        "unsupported",
    }
)


class NoOutcome(RuntimeError):
    """The block of a call ended without an error, and without saying how the call ended."""


def outcome_of(error: BaseException) -> Kind:
    """Tell whether an error says that the call was certainly not applied.

    The word in the error's ``code`` decides. Any other error, known or not, leaves it open.
    """
    return Kind.FAIL if getattr(error, "code", None) in _NOT_APPLIED else Kind.INFO


class Call:
    """The record of one call, to put around it; made by ``History``.

    Entering writes ``invoke``. An error that leaves the block writes ``fail`` or ``info`` by
    ``outcome_of``, and goes on its way. Otherwise the block says how the call ended.
    """

    def __init__(self, begin: Callable[[], Entry], details: Details) -> None:
        self._begin = begin
        self._details = details
        self._entry: Entry | None = None
        self._told = False

    def ok(self, **details: Unpack[Details]) -> None:
        """Write that the call returned; once for each job that it returned."""
        self._tell(Kind.OK, details)

    def empty(self) -> None:
        """Write that a reserve or drain returned without a job."""
        self._tell(Kind.OK, {})

    def fail(self, error: str) -> None:
        """Write that the call was certainly not applied, and the name of the reason."""
        self._tell(Kind.FAIL, {"error": error})

    def info(self, error: str) -> None:
        """Write that nobody knows whether the call was applied, and the name of the reason."""
        self._tell(Kind.INFO, {"error": error})

    def __enter__(self) -> Self:
        self._entry = self._begin()
        self._entry.write(Kind.INVOKE, self._details)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._entry is None:
            return
        silent = not self._told
        if silent:
            outcome = Kind.INFO if error is None else outcome_of(error)
            self._tell(outcome, {"error": type(error or NoOutcome()).__name__})
        self._entry.close()
        if silent and error is None:
            raise NoOutcome("say how the call ended: ok, empty, fail or info")

    def _tell(self, kind: Kind, details: Details) -> None:
        if self._entry is None:
            raise NoOutcome("a call ends inside its `with` block")
        self._told = True
        self._entry.write(kind, details)


class History:
    """What one process of the operating system does, under one name.

    Threads may share it. A forked child has to open one of its own.

    Args:
        folder: Where the files of all processes lie; made if missing.
        name: Who writes, such as ``w3``; a restarted process may use its old name.
        clock: The time in nanoseconds, by a clock that all processes share.
    """

    def __init__(
        self, folder: Path, name: str, *, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._pen = Pen(folder, name, clock)

    @property
    def process(self) -> str:
        """The process id of now, such as ``w3.2``."""
        return self._pen.process

    def call(self, verb: str, **details: Unpack[Details]) -> Call:
        """Return the record of one call.

        Args:
            verb: One of ``Verb``, such as ``ack``.
            details: What is known before the call.

        Raises:
            ValueError: There is no such verb.
        """
        known = Verb(verb)
        return Call(lambda: self._pen.entry(known), details)

    def fault(self, fault: FaultKind, target: str = "") -> Call:
        """Return the record of a fault, to put around breaking *and* mending.

        Args:
            fault: What is broken.
            target: The name of the process that is struck, if it is one.
        """
        return self.call(Verb.FAULT, fault=fault, target=target)

    def fact(self, verb: str, **details: Unpack[Details]) -> None:
        """Write down what was found to have happened, such as a job among the dead letters.

        Raises:
            ValueError: There is no such verb.
        """
        entry = self._pen.entry(Verb(verb))
        entry.write(Kind.OK, details)
        entry.close()

    def close(self) -> None:
        """Close the file, once; nothing can be written afterwards."""
        self._pen.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_file(path: Path) -> list[Event]:
    """Read the events of one process id, without the last line if its writer died within it.

    Raises:
        CorruptHistory: Any other line cannot be read.
    """
    *lines, torn = path.read_bytes().split(b"\n")
    del torn
    return [Event.parse(line) for line in lines]


def load(folder: Path) -> tuple[Event, ...]:
    """Merge the files of a folder into one history, in the order of time.

    Raises:
        CorruptHistory: A line cannot be read, or there is no file.
    """
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise CorruptHistory(f"no history was written into {folder}")
    return merge(event for path in paths for event in read_file(path))


def last_event(folder: Path, name: str) -> Event | None:
    """The last that a process wrote down under a name; ``None`` if it wrote nothing yet.

    Raises:
        CorruptHistory: It is none of ours.
    """
    pages = list(folder.glob(f"{name}.*.jsonl"))
    if not pages:
        return None
    with max(pages, key=lambda page: int(page.suffixes[-2][1:])).open("rb") as page:
        page.seek(max(0, page.seek(0, os.SEEK_END) - _TAIL))
        whole = page.read().splitlines(keepends=True)
    lines = [line for line in whole[-2:] if line.endswith(b"\n")]
    return Event.parse(lines[-1]) if lines else None


def merge(events: Iterable[Event]) -> tuple[Event, ...]:
    """Sort events by time; of equal times, a call's begin stands before its end."""
    return tuple(sorted(events, key=lambda event: (event.time, event.kind is not Kind.INVOKE)))
