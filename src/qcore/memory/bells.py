"""Who waits for work in a store, and whom a change wakes: no more than there is work for.

Used under the store's lock; only ``Sleeper.sleep`` is called without it. A sleeper that was rung
looks for itself; one that leaves without having looked is made up for by the next change.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Hashable, Sequence

__all__ = ["Bells", "Sleeper"]


class Sleeper:
    """One who waits.

    Args:
        lines: What may bring work.
        owner: On whose behalf, see ``Bells.ring_all``.
        looks_at: When it looks again by itself, in seconds of the monotonic clock.
    """

    def __init__(self, lines: Sequence[Hashable], owner: object, looks_at: float) -> None:
        self.lines = lines
        self.owner = owner
        self.looks_at = looks_at
        # A lock rather than an event, as it may be released from within a signal handler.
        self._bell = threading.Lock()
        self._bell.acquire()
        self._is_rung = False

    def sleep(self, seconds: float) -> None:
        """Return when rung, or after so many seconds."""
        self._bell.acquire(timeout=seconds)

    def ring(self) -> None:
        """Wake it; harmless twice."""
        if not self._is_rung:
            self._is_rung = True
            self._bell.release()


class Bells:
    """Everybody who waits in one store, first come first rung."""

    def __init__(self) -> None:
        self._asleep: defaultdict[Hashable, dict[Sleeper, None]] = defaultdict(dict)

    def enter(self, sleeper: Sleeper) -> None:
        """Note that somebody begins to wait."""
        for line in sleeper.lines:
            self._asleep[line][sleeper] = None

    def leave(self, sleeper: Sleeper) -> None:
        """Note that somebody waits no more; harmless twice."""
        for line in sleeper.lines:
            self._asleep[line].pop(sleeper, None)
            if not self._asleep[line]:
                del self._asleep[line]

    def count(self, line: Hashable) -> int:
        """How many wait for this line."""
        return len(self._asleep.get(line, ()))

    def ring(self, line: Hashable, jobs: int) -> None:
        """Wake one for each job that could be taken now."""
        for sleeper in list(self._asleep.get(line, ()))[:jobs]:
            self._wake(sleeper)

    def ring_before(self, line: Hashable, due_at: float) -> None:
        """Wake one that plans anew, if nobody looks again as early as ``due_at``."""
        sleepers = self._asleep.get(line)
        if sleepers and due_at < min(sleeper.looks_at for sleeper in sleepers):
            self._wake(next(iter(sleepers)))

    def ring_all(self, owner: object) -> None:
        """Wake everybody who waits on behalf of ``owner``."""
        sleepers = {one for line in self._asleep.values() for one in line if one.owner is owner}
        for sleeper in sleepers:
            self._wake(sleeper)

    def _wake(self, sleeper: Sleeper) -> None:
        self.leave(sleeper)
        sleeper.ring()
