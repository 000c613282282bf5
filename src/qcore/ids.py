"""Ids of jobs and nonces of connections.

A job id is a version 7 UUID (RFC 9562) as 32 hexadecimal digits: it sorts by time, never runs
backwards within a process, and starts from fresh randomness after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from qcore.clock import Clock, SystemClock

__all__ = ["IdSource", "new_nonce"]

_TAIL_BITS = 74
_STEP_BITS = 32


def _random_bits(bits: int, entropy: Callable[[int], bytes]) -> int:
    octets = (bits + 7) // 8
    return int.from_bytes(entropy(octets), "big") >> (octets * 8 - bits)


def _layout(millis: int, tail: int) -> str:
    """48 bits of time, version 7, 12 bits, variant 10, 62 bits."""
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    value = (millis << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low
    return f"{value:032x}"


class IdSource:
    """Makes ids that are unique across processes and monotone within one.

    Args:
        clock: Where the time part comes from.
        entropy: Gives that many random bytes; ``os.urandom`` by default.
    """

    def __init__(
        self, clock: Clock | None = None, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._clock = clock or SystemClock()
        self._entropy = entropy
        self._restart()

    def _restart(self) -> None:
        # A child of fork may have inherited a lock that its parent held.
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._millis = 0
        self._tail = 0

    def new(self) -> str:
        """Make one id: 32 lower-case hexadecimal digits."""
        if self._pid != os.getpid():
            self._restart()
        now = int(self._clock.time() * 1000)
        with self._lock:
            if now > self._millis:
                self._millis = now
                self._tail = _random_bits(_TAIL_BITS - 1, self._entropy)
            else:
                # Same millisecond, or a clock set back: go on from the last id.
                self._tail += 1 + _random_bits(_STEP_BITS, self._entropy)
                if self._tail >> _TAIL_BITS:
                    self._millis += 1
                    self._tail = _random_bits(_TAIL_BITS - 1, self._entropy)
            return _layout(self._millis, self._tail)


def new_nonce(entropy: Callable[[int], bytes] = os.urandom) -> str:
    """Make the nonce of one connection: 16 hexadecimal digits that are never used again."""
    return entropy(8).hex()
