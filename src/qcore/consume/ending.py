"""Waiting for the end of a tracked job, written once for both colours.

In: how long to wait. Out: the record as it was seen last, with its end if that came; ``None`` if
there is no record. A timeout is no error. A broker that cannot be reached is tried again, with
back-off, until the time is over but at least once; only then its error goes up.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from qcore.consume.commit import Pause
from qcore.errors import Unavailable
from qcore.policy import backoff
from qcore.record import Record
from qcore.sansio import Program

__all__ = ["LONGEST_WAIT", "Await", "Recall", "ending"]

LONGEST_WAIT = 5.0
"""Seconds of one wait: what a word of the end that was lost on its way can cost at most."""


@attrs.frozen
class Recall:
    """Read the record; the reply is it, or ``None``."""


@attrs.frozen
class Await:
    """Wait for the end, at most ``seconds``."""

    seconds: float


def ending(
    timeout: float | None, monotonic: Callable[[], float]
) -> Program[Recall | Await | Pause, Record | None]:
    """Look at a record until its job has ended or the time is over.

    Args:
        timeout: Seconds to look; 0 looks once, ``None`` never gives up.
        monotonic: Tells the time.

    Raises:
        Unavailable: If the broker was away when the time was over.
    """
    deadline = None if timeout is None else monotonic() + timeout
    failures = 0
    while True:
        try:
            record: Record | None = yield Recall()
            failures = 0
            remaining = LONGEST_WAIT if deadline is None else deadline - monotonic()
            if record is None or record.has_ended or remaining <= 0:
                return record
            yield Await(min(remaining, LONGEST_WAIT))
        except Unavailable:
            failures += 1
            remaining = LONGEST_WAIT if deadline is None else max(0.0, deadline - monotonic())
            is_over = remaining <= 0 and failures > 1
            if is_over or not (yield Pause(min(backoff(failures), remaining))):
                raise
