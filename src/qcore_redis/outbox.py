"""What acks enqueue in other queues, on its way there, and tell those who listen.

See ``scripts/lib/outbox.lua``.

A row is a serial of fixed length and, behind it, a msgpack text: the queue that gets the job, and
the job. Fields that this version does not know are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from qcore.backend import Enqueue, Further, Settle
from qcore.options import PRIORITIES
from qcore_redis.keys import message

__all__ = ["SERIAL", "effect_steps", "numbered_rows", "parcels"]

SERIAL = 14
"""Hexadecimal digits."""

_packed = msgspec.msgpack.Encoder().encode
_unpacked = msgspec.msgpack.Decoder(Further).decode


def effect_steps(step: Settle, channel_of: Callable[[str], str]) -> list[object]:
    """The words of a settle that stand behind an ack, for each of its effects."""
    words: list[object] = []
    for one in step.further:
        words += ("", "then", 0, _packed(one))
    for one in step.told:
        said = message(one.job.id, one.job.envelope)
        words += ("", "tell", 0, b"%b\n%b" % (channel_of(one.queue).encode(), said))
    return words


def numbered_rows(steps: Sequence[Settle], held: Sequence[bool], first: int) -> list[bytes]:
    """The rows that a settle put into the outbox.

    Args:
        steps: What was settled.
        held: Which of them took effect.
        first: The serial of the first row.
    """
    put = [one for step, done in zip(steps, held, strict=True) if done for one in step.further]
    return [b"%0*x" % (SERIAL, first + at) + _packed(one) for at, one in enumerate(put)]


def parcels(rows: Iterable[bytes]) -> list[tuple[str, list[Enqueue], list[bytes]]]:
    """Rows by the queues that get them, in order: the queue, its jobs, their rows.

    A row that nobody can read is in none of them, and stays where it is.
    """
    found: dict[str, tuple[str, list[Enqueue], list[bytes]]] = {}
    for row in rows:
        one = _read(row)
        if one is None:
            continue
        _, jobs, theirs = found.setdefault(one.queue, (one.queue, [], []))
        jobs.append(one.job)
        theirs.append(row)
    return list(found.values())


def _read(row: bytes) -> Further | None:
    try:
        one = _unpacked(row[SERIAL:])
    # Text that is no UTF-8 is no error of the library's own, nor is what nests too deep.
    except (ValueError, RecursionError):
        return None
    return one if one.job.priority in PRIORITIES else None
