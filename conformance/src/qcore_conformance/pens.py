"""The files of a history while they are written: one for each process id, one line an event.

In go events, out come lines that are with the kernel when ``write`` returns, so that they
outlive a killed process. Nothing here waits.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from .events import Details, Event, Kind, Verb

__all__ = ["Entry", "Pen"]


@define(eq=False)
class _Page:
    """A process id, its file, and how many calls are under way in its name."""

    process: str
    file: int
    calls: int = 0
    under_way: int = 0


@define(eq=False)
class Entry:
    """One call in the history: its number, and the page on which it began."""

    _pen: Pen
    _page: _Page
    _number: int
    _verb: Verb

    @property
    def process(self) -> str:
        """The process id under which the call runs."""
        return self._page.process

    def write(self, kind: Kind, details: Details) -> None:
        """Write one event of the call."""
        event = Event(
            time=self._pen.clock(),
            process=self._page.process,
            call=self._number,
            kind=kind,
            verb=self._verb,
            **details,
        )
        os.write(self._page.file, event.line())
        if kind is Kind.INFO:
            self._pen.turn(self._page)

    def close(self) -> None:
        """Say that nothing more will be written about the call."""
        self._pen.finish(self._page)


@define(eq=False)
class Pen:
    """Writes in the name of one process id after the other; threads may share it."""

    _folder: Path
    _name: str
    clock: Callable[[], int]
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _page: _Page = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._page = self._fresh()

    @property
    def process(self) -> str:
        """The process id of now, such as ``w3.2``."""
        return self._page.process

    def entry(self, verb: Verb) -> Entry:
        """Begin an entry on the page of now."""
        with self._lock:
            self._page.calls += 1
            self._page.under_way += 1
            return Entry(self, self._page, self._page.calls, verb)

    def turn(self, page: _Page) -> None:
        """Retire a page: what begins from now on stands on the next one."""
        with self._lock:
            if page is self._page:
                self._page = self._fresh()

    def finish(self, page: _Page) -> None:
        """Note that an entry is complete; the last one of a retired page closes its file."""
        with self._lock:
            page.under_way -= 1
            if page is not self._page and not page.under_way:
                os.close(page.file)

    def close(self) -> None:
        """Close the page of now; entries under way can no longer be written."""
        with self._lock:
            os.close(self._page.file)

    def _fresh(self) -> _Page:
        """Take the lowest process id of this name that nobody has had."""
        for number in itertools.count(1):
            process = f"{self._name}.{number}"
            path = self._folder / f"{process}.jsonl"
            try:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
                return _Page(process, os.open(path, flags, 0o600))
            except FileExistsError:
                continue
        raise AssertionError("numbers do not end")
