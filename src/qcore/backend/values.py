"""The values that cross the seam, in batches, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, StrEnum

import attrs

from qcore.states import State

__all__ = [
    "Enqueue",
    "Enqueued",
    "Fault",
    "Flush",
    "Further",
    "GateLimits",
    "JoinTerms",
    "LoggedJob",
    "PeekedJob",
    "QueueStats",
    "Settle",
    "Span",
    "Start",
    "TakeRequest",
    "Taken",
    "TakenJob",
    "Verb",
]


class Verb(StrEnum):
    """How a delivery ends, or goes on."""

    ACK = "ack"
    RELEASE = "release"
    RETRY = "retry"
    DEAD_LETTER = "dead_letter"
    EXTEND = "extend"
    START = "start"
    REPORT = "report"


class Fault(Enum):
    """What an error of the client library means for the operation that met it."""

    UNAVAILABLE = "nothing was done; it may work later"
    REJECTED = "nothing was done, and repeating will not help"
    INDETERMINATE = "it may or may not have been done"
    CORRUPT = "stored data is not what the adapter wrote"
    CLOSED = "the connection was closed by this program"


@attrs.frozen
class Flush:
    """The number of one batch on one lane of one connection.

    Attributes:
        lane: A short word; one flush of a lane is under way at a time.
        number: Grows by one with each flush of the lane; a replay repeats it.
    """

    lane: str
    number: int


@attrs.frozen
class GateLimits:
    """What a job has to pass when it is taken.

    Attributes:
        key: Whose limits these are: jobs of one key are counted together.
        concurrency: How many jobs that say so may be held at one time; ``None`` for any number.
        rate: How many jobs that say so may be taken in one window; ``None`` for any number.
        window_ms: The length of a window. Windows begin at multiples of it on the broker's clock.
    """

    key: str
    concurrency: int | None = None
    rate: int | None = None
    window_ms: int = 0


@attrs.frozen
class JoinTerms:
    """Who has to ask for a job before it is stored.

    Attributes:
        of: How many have to ask.
        member: Who asks; the same one again does not count.
        within_ms: Milliseconds for which, from the last who asked, is known who did.
    """

    of: int
    member: str
    within_ms: int


@attrs.frozen
class Enqueue:
    """One job to store.

    Attributes:
        id: The job's id.
        envelope: What to store, opaque.
        priority: -4 … 4.
        delay_ms: Milliseconds from the broker's now until it is due.
        at_ms: Unix milliseconds when it is due, judged by the broker; ``None`` for ``delay_ms``.
        unique: Whether the id is the caller's and must be checked.
        dedup: A dedup key, or ``None``.
        ttl_ms: Milliseconds after it is due in which it must be taken for the first time, else it
            is dropped; ``None`` for no end.
        tenant: Whose turn it waits for; ``None`` for that of all jobs without one.
        front: Whether it goes before everything that waits on its level; with neither a delay nor
            a tenant. Of several that are stored together the first one is next.
        gate: What it has to pass when it is taken; ``None`` for nothing.
        keep_ms: Milliseconds that its record stays behind each end, see ``Keep``: done, dead,
            dropped; -1 for ever, 0 not at all. ``None`` if no record is kept.
        join: Who has to ask for it; ``None`` if it is stored at once. What is stored is the job of
            the last who asks. Goes with ``unique``.
    """

    id: str
    envelope: bytes
    priority: int = 0
    delay_ms: int = 0
    at_ms: int | None = None
    unique: bool = False
    dedup: str | None = None
    ttl_ms: int | None = None
    tenant: str | None = None
    front: bool = False
    gate: GateLimits | None = None
    keep_ms: tuple[int, int, int] | None = None
    join: JoinTerms | None = None


@attrs.frozen
class Enqueued:
    """What became of one ``Enqueue``: the id that stands, and whether it is stored by this."""

    id: str
    created: bool = True
    receivers: int | None = None


@attrs.frozen
class TakeRequest:
    """What to take.

    Attributes:
        limit: At most that many jobs; fewer are returned at once rather than waited for.
        lease_ms: How long they stay hidden from others, from the broker's now.
        started: Whether they go into the hands of code that works on them. If not, they were
            taken ahead: their expiry costs no attempt until ``Verb.START`` says otherwise.
    """

    limit: int
    lease_ms: int
    started: bool = True


@attrs.frozen
class TakenJob:
    """One job as it was taken.

    Attributes:
        token: The opaque proof that a settle needs.
        id: The job's id.
        envelope: What was stored.
        number: The delivery number: grows by one at every take, never reset.
        attempt: How often the job was tried and failed, plus one.
        crashes: How often its holder died while working on it.
        alone: Whether nothing else may be worked on beside it, since it may kill its worker.
    """

    token: str
    id: str
    envelope: bytes
    number: int = 1
    attempt: int = 1
    crashes: int = 0
    alone: bool = False


@attrs.frozen
class Taken:
    """The answer of ``take``.

    Attributes:
        jobs: At most ``limit`` of them.
        more: Whether work was left behind, so that the next ``take`` will find something.
        next_due: Seconds until something becomes due or a lease ends; ``None`` if nothing will.
    """

    jobs: Sequence[TakenJob]
    more: bool = False
    next_due: float | None = None


@attrs.frozen
class Further:
    """A job that an ack enqueues.

    Attributes:
        queue: Where to.
        job: What to store. Whoever may try it twice knows it by its id, also where that is not
            the caller's.
    """

    queue: str
    job: Enqueue


@attrs.frozen
class Settle:
    """One step for one delivery.

    Attributes:
        token: As in ``TakenJob``.
        verb: What to do.
        millis: The delay of a retry or the length of an extended lease, in milliseconds.
        note: The error of a retry or the reason of a dead letter, kept for inspection; of a
            report what goes into the record.
        result: What an ack puts into the record, opaque; empty for nothing.
        further: What an ack enqueues in the same step: all of it if the delivery was held, else
            nothing. It may reach other queues a little later, and is there once.
        told: What an ack says to those who listen to topics, which are named where ``Further`` has
            its queue: all of it if the delivery was held, else nothing.
    """

    token: str
    verb: Verb
    millis: int = 0
    note: str = ""
    result: bytes = b""
    further: Sequence[Further] = ()
    told: Sequence[Further] = ()


@attrs.frozen
class QueueStats:
    """How many jobs a queue has in each state, and how many ever came and went.

    At rest ``enqueued == ready + delayed + held + dead + acked + dropped``. While it is ``paused``
    nothing is delivered.

    ``outbox`` counts what acks of this queue enqueued elsewhere and nobody has brought there yet.

    ``oldest`` is the age in seconds of the oldest entry that a group has not settled; ``None`` if
    there is none, or where there are no groups.
    """

    ready: int = 0
    delayed: int = 0
    held: int = 0
    dead: int = 0
    enqueued: int = 0
    acked: int = 0
    dropped: int = 0
    paused: bool = False
    oldest: float | None = attrs.field(default=None, eq=False)
    outbox: int = 0

    @property
    def lag(self) -> int:
        """How many jobs have yet to be settled."""
        return self.ready + self.delayed + self.held


@attrs.frozen
class Start:
    """Where in a log something begins, or ends.

    Attributes:
        kind: ``all``, ``new``, ``id`` or ``time``.
        id: The job's id, for ``id``.
        millis: Unix milliseconds of the broker's clock, for ``time``.
    """

    kind: str
    id: str = ""
    millis: int = 0


@attrs.frozen
class Span:
    """What to read of a log.

    Attributes:
        start: The first entry: ``all``, ``id`` or ``time``.
        end: The last entry: ``all``, ``id`` or ``time``; of an ``id`` the entry itself belongs in.
        after: An id behind which to go on in the direction of reading, or ``""``.
        limit: At most so many.
        newest_first: Whether to read from the end.
    """

    start: Start
    end: Start
    after: str = ""
    limit: int = 100
    newest_first: bool = False


@attrs.frozen
class LoggedJob:
    """One entry of a log.

    Attributes:
        id: The job's id.
        stored: The envelope.
        at: When the broker stored it, in unix seconds of its clock.
    """

    id: str
    stored: bytes
    at: float


@attrs.frozen
class PeekedJob:
    """One job as ``peek`` sees it.

    Attributes:
        id: The job's id, or the raw text of an item that is none.
        state: Where it is.
        stored: The envelope, or raw bytes that nobody could read.
        due_in: Seconds until it is due or its lease ends; ``None`` where nothing is awaited.
        number: Deliveries so far.
        attempt: The attempt that is next or under way.
        crashes: Crashes so far.
        note: The last error or the reason of its death.
    """

    id: str
    state: State
    stored: bytes
    due_in: float | None = None
    number: int = 0
    attempt: int = 1
    crashes: int = 0
    note: str = ""
