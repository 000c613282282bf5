"""Who listens to the topics of a store. Used under the store's lock."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable

import attrs

from qcore.backend import Enqueue

__all__ = ["Ear", "Ears"]

_MOST_UNREAD = 32 << 20
"""Bytes that wait for a listener at most, as many as Redis keeps for one."""


@attrs.define(eq=False)
class Ear:
    """One who listens to one topic.

    Attributes:
        is_cut: Whether it was left alone with what it had, since it did not keep up.
    """

    is_cut: bool = False
    _unread: deque[Enqueue] = attrs.field(factory=deque[Enqueue])
    _bytes: int = 0

    @property
    def pending(self) -> bool:
        """Whether there is something to take."""
        return bool(self._unread)

    def hear(self, job: Enqueue) -> None:
        """Keep a message until it is taken, unless that is too much."""
        if self._bytes + len(job.envelope) > _MOST_UNREAD:
            self.is_cut = True
            return
        self._bytes += len(job.envelope)
        self._unread.append(job)

    def take(self, limit: int) -> list[Enqueue]:
        """Hand over the first messages, at most ``limit``."""
        found = [self._unread.popleft() for _ in range(min(limit, len(self._unread)))]
        self._bytes -= sum(len(job.envelope) for job in found)
        return found


class Ears:
    """Everybody who listens in one store."""

    def __init__(self) -> None:
        self._of: defaultdict[Hashable, list[Ear]] = defaultdict(list)

    def open(self, topic: Hashable) -> Ear:
        """Another one who listens, from now on."""
        ear = Ear()
        self._of[topic].append(ear)
        return ear

    def close(self, topic: Hashable, ear: Ear) -> None:
        """One listens no more; harmless twice."""
        self._keep(topic, [one for one in self._of.get(topic, ()) if one is not ear])

    def tell(self, topic: Hashable, job: Enqueue) -> int:
        """Let everybody hear a message; says how many did."""
        ears = self._of.get(topic, [])
        for ear in ears:
            ear.hear(job)
        heard = [ear for ear in ears if not ear.is_cut]
        self._keep(topic, heard)
        return len(heard)

    def _keep(self, topic: Hashable, ears: list[Ear]) -> None:
        if ears:
            self._of[topic] = ears
        else:
            self._of.pop(topic, None)
