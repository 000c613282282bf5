"""Gates of a queue in memory: who may be taken now, and who waits until that is so."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

import attrs

from qcore.backend import GateLimits
from qcore.memory.entry import Entry

__all__ = ["Gates"]

_ANY = 1 << 30


@attrs.define
class Gates:
    """What jobs of one key may take up, and those that wait for it, by level and key."""

    _waiting: dict[tuple[int, str], deque[Entry]] = attrs.field(
        factory=dict[tuple[int, str], deque[Entry]]
    )
    _held: Counter[str] = attrs.field(factory=Counter[str])
    _windows: dict[str, tuple[float, int]] = attrs.field(factory=dict[str, tuple[float, int]])

    def room(self, entry: Entry, now: float) -> int:
        """How many jobs like this one may be taken now."""
        gate = entry.gate
        if gate is None:
            return _ANY
        room = _ANY if gate.concurrency is None else gate.concurrency - self._held[gate.key]
        if gate.rate is not None:
            ends, count = self._windows.get(gate.key, (0.0, 0))
            room = min(room, gate.rate - (count if ends > now else 0))
        return max(0, room)

    def enter(self, entry: Entry, now: float) -> None:
        """Count a job that is taken."""
        if entry.gate is not None and entry.gate.concurrency is not None:
            self._held[entry.gate.key] += 1
        if entry.gate is not None and entry.gate.rate is not None:
            self._note_window(entry.gate, now)

    def _note_window(self, gate: GateLimits, now: float) -> None:
        if gate.key not in self._windows or self._windows[gate.key][0] <= now:
            running = {key: kept for key, kept in self._windows.items() if kept[0] > now}
            number = round(now * 1000) // gate.window_ms
            self._windows = {**running, gate.key: ((number + 1) * gate.window_ms / 1000, 0)}
        ends, count = self._windows[gate.key]
        self._windows[gate.key] = (ends, count + 1)

    def leave(self, entry: Entry) -> None:
        """Free what a job took up whose delivery ended."""
        if entry.gate is not None and entry.gate.concurrency is not None:
            self._held[entry.gate.key] -= 1
            if not self._held[entry.gate.key]:
                del self._held[entry.gate.key]

    def park(self, entry: Entry, gate: GateLimits) -> None:
        """Let a job wait behind the others of its level."""
        self._line(entry, gate).append(entry)

    def give_back(self, entry: Entry, gate: GateLimits) -> None:
        """Let a job that came out of hands wait before the others of its level."""
        self._line(entry, gate).appendleft(entry)

    def _line(self, entry: Entry, gate: GateLimits) -> deque[Entry]:
        self._waiting = {place: line for place, line in self._waiting.items() if line}
        return self._waiting.setdefault((entry.priority, gate.key), deque[Entry]())

    def open_line(self, level: int, now: float) -> deque[Entry] | None:
        """Jobs of a level, first of all that wait at a gate, which lets the next of them go on."""
        foremost = dict(reversed(self._by_key()))
        for key in sorted(foremost):
            line = foremost[key]
            if line[0].priority == level and self.room(line[0], now):
                return line
        return None

    def passable(self, now: float) -> int:
        """How many of those that wait may go on now."""
        passed, shut = Counter[str](), set[str]()
        for key, line in self._by_key():
            if key not in shut:
                room = max(0, self.room(line[0], now) - passed[key])
                passed[key] += min(len(line), room)
                shut |= {key} if room < len(line) else set()
        return passed.total()

    def next_window(self, now: float) -> float | None:
        """When a window ends at whose gate somebody waits."""
        keys = {key for (_, key), line in self._waiting.items() if line}
        ends = [self._windows[key][0] for key in keys if key in self._windows]
        return min((end for end in ends if end > now), default=None)

    def lines(self) -> Iterator[deque[Entry]]:
        """All that wait, by key and those of a key most urgent first."""
        return (line for _, line in self._by_key())

    def _by_key(self) -> list[tuple[str, deque[Entry]]]:
        places = sorted(self._waiting, key=lambda place: (f"{place[1]}|", -place[0]))
        return [(key, line) for level, key in places if (line := self._waiting[level, key])]
