"""The accounts of one run: what was enqueued, started, counted; and what became of it."""

from __future__ import annotations

import attrs

from qcore.cli.demo.events import Counted, Event, Holds, Ready, Started

__all__ = ["Ledger", "Outcome"]


@attrs.frozen
class Outcome:
    """What one design did.

    Attributes:
        enqueued: Jobs that were enqueued.
        done: Jobs that were done, each counted once however often it was done.
        redelivered: Jobs that somebody started after somebody else had taken them.
        twice: Jobs that were done more than once.
        lost: Jobs that were never done.
        words_expected: The words of all files.
        words_counted: The words that the consumers counted, each job once.
        recovery: Seconds from the kill to the start of the last job that came back, or ``None``.
    """

    enqueued: int
    done: int
    redelivered: int
    twice: int
    lost: int
    words_expected: int
    words_counted: int
    recovery: float | None

    @property
    def whole(self) -> bool:
        """Whether every job was done, and the words prove it."""
        return self.lost == 0 and self.words_counted == self.words_expected


class Ledger:
    """Notes what happens; told everything, asks nobody."""

    def __init__(self) -> None:
        self.ready: set[int] = set()
        self.held: tuple[str, ...] | None = None
        self._expected: dict[str, int] = {}
        self._counted: dict[str, int] = {}
        self._times_counted: dict[str, int] = {}
        self._taken_by: dict[str, int] = {}
        self._came_back: dict[str, float] = {}
        self._killed_at: float | None = None

    def enqueued(self, job: str, words: int) -> None:
        """A job was enqueued, for a file with so many words."""
        self._expected[job] = words

    def killed(self, at: float) -> None:
        """A consumer was killed, at a time on the monotonic clock."""
        self._killed_at = at

    def note(self, consumer: int, event: Event) -> None:
        """A consumer told something."""
        match event:
            case Ready():
                self.ready.add(consumer)
            case Holds(ids):
                self.held = ids
                for job in ids:
                    self._taken_by.setdefault(job, consumer)
            case Started(job, at):
                if self._taken_by.setdefault(job, consumer) != consumer:
                    self._came_back[job] = at
            case Counted(job, words):
                self._counted[job] = words
                self._times_counted[job] = self._times_counted.get(job, 0) + 1

    @property
    def done(self) -> int:
        """How many jobs are done so far."""
        return len(self._counted)

    @property
    def complete(self) -> bool:
        """Whether every job that was enqueued is done."""
        return self._expected.keys() <= self._counted.keys()

    def outcome(self) -> Outcome:
        """What has become of the jobs."""
        lost = self._expected.keys() - self._counted.keys()
        return Outcome(
            enqueued=len(self._expected),
            done=len(self._counted),
            redelivered=len(self._came_back),
            twice=sum(times > 1 for times in self._times_counted.values()),
            lost=len(lost),
            words_expected=sum(self._expected.values()),
            words_counted=sum(self._counted.values()),
            recovery=self._recovery(),
        )

    def _recovery(self) -> float | None:
        if self._killed_at is None or not self._came_back:
            return None
        return max(0.0, max(self._came_back.values()) - self._killed_at)
