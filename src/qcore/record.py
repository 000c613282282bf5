"""Records: what is kept about a job beside the job, also behind its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs
import msgspec

from qcore.codec import decode_body, encode_body
from qcore.errors import Corrupt
from qcore.states import State

__all__ = ["ENDS", "Keep", "Record", "Try", "encode_result"]

ENDS: frozenset[State] = frozenset({State.DONE, State.DEAD, State.DROPPED})
"""The states behind which nothing comes by itself."""


@attrs.frozen
class Keep:
    """For how long the record of a job stays behind each end, in seconds.

    0 is not at all, ``None`` for ever. A dead job that is redriven goes on with its record, if
    that is still there.

    Attributes:
        done: After the job was acked; its result goes with the record.
        dead: After it was set aside.
        dropped: After it was cancelled, purged or too late.
    """

    done: float | None = 500.0
    dead: float | None = 30 * 86_400.0
    dropped: float | None = 500.0


@attrs.frozen
class Try:
    """One delivery of a job that has ended.

    Attributes:
        number: Its delivery number.
        attempt: The attempt that it was part of.
        taken_at: When it began, in seconds since the Unix epoch on the broker's clock.
        ended_at: When it ended.
        outcome: What ended it: ``ack``, ``retry``, ``release``, ``dead_letter``, ``expire`` or
            ``exhaust`` (its lease ran out, and that was once too often) or ``cancel``.
        note: The error or the reason, if there is one.
    """

    number: int
    attempt: int
    taken_at: float
    ended_at: float
    outcome: str
    note: str = ""


@attrs.frozen
class Record:
    """What is known of a tracked job. Times are of the broker's clock, in unix seconds.

    Attributes:
        id: The job's id.
        state: Where it is.
        changed_at: Since when it is there; never earlier than what was said before.
        enqueued_at: When it was stored.
        due_at: When it is due, while it is delayed.
        taken_at: When it was last taken.
        ended_at: When it ended.
        number: Deliveries so far.
        attempt: The attempt that is next or under way.
        crashes: How often its worker died.
        worker: The nonce of the connection that took it last.
        note: The last error, or why it is dead; empty once it is done.
        tries: The last deliveries that have ended, at most five, oldest first.
        stored_result: The result with the name of its codec, as it was stored; empty for none.
        stored_report: What its worker last reported, as JSON; empty for nothing.
    """

    id: str
    state: State
    changed_at: float
    enqueued_at: float
    due_at: float | None = None
    taken_at: float | None = None
    ended_at: float | None = None
    number: int = 0
    attempt: int = 1
    crashes: int = 0
    worker: str = ""
    note: str = ""
    tries: Sequence[Try] = ()
    stored_result: bytes = attrs.field(default=b"", repr=False)
    stored_report: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will happen to the job by itself: done, dead or dropped."""
        return self.state in ENDS

    @property
    def result(self) -> Any:
        """What its worker gave as the result, decoded; ``None`` if it gave none.

        Raises:
            Corrupt: If that is not what its codec writes.
        """
        if not self.stored_result:
            return None
        codec, _, body = self.stored_result.partition(b"\n")
        return decode_body(codec.decode(errors="replace"), body)

    @property
    def progress(self) -> float | None:
        """How much of the work is done, from 0 to 1, as its worker last reported."""
        said = self._report.get("progress")
        return float(said) if isinstance(said, int | float) else None

    @property
    def meta(self) -> Mapping[str, str]:
        """What else its worker last reported, text by text."""
        return cast("Mapping[str, str]", self._report.get("meta", {}))

    @property
    def _report(self) -> dict[str, Any]:
        if not self.stored_report:
            return {}
        try:
            return msgspec.json.decode(self.stored_report, type=dict[str, Any])
        except ValueError as error:
            raise Corrupt(f"job {self.id}: its report is not JSON ({error})") from error


def encode_result(codec: str, value: object) -> bytes:
    """The stored form of a result.

    Raises:
        InvalidInput: If the codec cannot write the value.
    """
    return b"%b\n%b" % (codec.encode(), encode_body(codec, value))
