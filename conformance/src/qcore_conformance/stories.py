"""The life of each job, and the life of each queue, told from the operations of a run.

In goes a history, out comes a ``Run``: for each job and each group that reads it a ``Story``
with its deliveries and what ended them, for each queue and group a ``Lane`` with the reserves
that found nothing. All checks read these; none of them looks at the events again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from attrs import define, field, frozen

from .events import Event, Verb
from .guarantees import Guarantees
from .operations import FOREVER, Operation, nanoseconds, operations_of

__all__ = ["ENDS", "Lane", "Run", "Story", "Taking", "read_run"]

SETTLES = frozenset({Verb.ACK, Verb.RELEASE, Verb.RETRY, Verb.DEAD})
ENDS = frozenset({Verb.ACK, Verb.DEAD, Verb.DROP})
TAKES = frozenset({Verb.RESERVE, Verb.DRAIN})


@define(eq=False)
class Taking:
    """One delivery of a job: the reserve that returned it, and what its holder did then."""

    take: Operation
    settles: list[Operation] = field(factory=list[Operation])
    extends: list[Operation] = field(factory=list[Operation])

    def hidden_until(self, lease: float | None, *, seen: int) -> int | None:
        """Return the time before which the lease has surely not run out; None: no lease.

        The broker counted from some moment within the call, so the earliest counts. Of the
        extends those count that had begun at the time ``seen`` from which one looks.
        """
        extends = (op for op in self.extends if op.sure and op.begin <= seen)
        spans = [(op.begin, op.said.lease or lease) for op in (self.take, *extends)]
        return max((at + nanoseconds(s) for at, s in spans if s is not None), default=None)

    def visible_from(self, lease: float | None) -> int | None:
        """Return the time after which the lease has surely run out; None: no lease."""
        possible = (op for op in self.extends if op.possible)
        spans = [(op.end, op.said.lease or lease) for op in (self.take, *possible)]
        return max((at + nanoseconds(s) for at, s in spans if s is not None), default=None)

    def freed_at(self) -> int | None:
        """Return when its holder first may have given it up; None: it never tried."""
        return min((op.begin for op in self.settles if op.possible), default=None)

    def settled(self, *verbs: Verb) -> list[Operation]:
        """Return its settles of these kinds that may have taken effect."""
        return [op for op in self.settles if op.verb in verbs and op.possible]


@define(eq=False)
class Story:
    """All that happened to one job, as one group saw it.

    Args:
        job: The id of the job.
        group: The group; empty where there are none.
        enqueues: All attempts to enqueue it, those that failed too.
        takings: Its deliveries, in the order in which they returned.
        ends: Acks, dead letters and drops, those that failed too.
        redrives: What brought it back from the dead.
    """

    job: str
    group: str
    enqueues: list[Operation] = field(factory=list[Operation])
    takings: list[Taking] = field(factory=list[Taking])
    ends: list[Operation] = field(factory=list[Operation])
    redrives: list[Operation] = field(factory=list[Operation])

    @property
    def enqueued(self) -> Operation | None:
        """The first enqueue that certainly took effect."""
        return next((op for op in self.enqueues if op.sure), None)

    @property
    def since(self) -> Operation:
        """The first enqueue that certainly took effect, of a job that has one.

        Raises:
            LookupError: No enqueue of this job returned.
        """
        if self.enqueued is None:
            raise LookupError(f"no enqueue of {self.job} returned")
        return self.enqueued

    @property
    def last(self) -> int:
        """When the last thing happened to it of which the end is known."""
        held = [op for each in self.takings for op in (each.take, *each.settles, *each.extends)]
        ends = [op.end for op in (*self.enqueues, *held, *self.ends)]
        return max((end for end in ends if end < FOREVER), default=0)

    @property
    def queue(self) -> str:
        """The queue that it was first put into."""
        return self.enqueues[0].lane[0] if self.enqueues else ""

    @property
    def lane(self) -> tuple[str, str]:
        """Queue and group."""
        return self.queue, self.group

    def copies(self, *, idempotent: bool) -> int:
        """Return how many copies of the job there may be at most."""
        possible = sum(op.possible for op in self.enqueues)
        return min(possible, 1) if idempotent else possible

    @property
    def over(self) -> list[Operation]:
        """What may have ended it for good: a redrive takes a dead letter back."""
        revived = max((op.begin for op in self.redrives if op.sure), default=-1)
        return [
            op
            for op in self.ends
            if op.possible and not (op.verb is Verb.DEAD and op.end <= revived)
        ]

    @property
    def drained(self) -> bool:
        """Whether it was still there at the end of the run."""
        return any(each.take.verb is Verb.DRAIN for each in self.takings)

    def redriven(self, before: int) -> bool:
        """Whether it may have been brought back from the dead before a moment."""
        return any(op.possible and op.begin <= before for op in self.redrives)


@define(eq=False)
class Lane:
    """What one group saw of one queue as a whole."""

    empties: list[Operation] = field(factory=list[Operation])
    """Reserves that returned without a job."""
    ghosts: list[Operation] = field(factory=list[Operation])
    """Reserves of which nobody knows what they took."""
    drains: list[Operation] = field(factory=list[Operation])
    subscribes: list[Operation] = field(factory=list[Operation])
    consumers: set[str] = field(factory=set[str])


@frozen(eq=False)
class Run:
    """A history, read and sorted."""

    events: tuple[Event, ...]
    operations: tuple[Operation, ...]
    stories: tuple[Story, ...]
    lanes: Mapping[tuple[str, str], Lane]
    faults: tuple[Operation, ...]

    @property
    def start(self) -> int:
        """The time of the first event."""
        return self.events[0].time if self.events else 0

    def lane_of(self, story: Story) -> Lane:
        """Return the lane on which a job was to be found; an empty one if nobody read it."""
        return self.lanes.get(story.lane) or Lane()

    def faults_within(self, begin: int, end: int) -> list[Operation]:
        """Return the faults that were not over at ``begin`` and had begun by ``end``."""
        return [fault for fault in self.faults if fault.begin <= end and fault.end >= begin]

    def forgot(self, promised: Guarantees, begin: int, end: int) -> bool:
        """Whether the broker may have come back with an older state in that span."""
        faults = self.faults_within(begin, end)
        return any(fault.said.fault and promised.may_forget(fault.said.fault) for fault in faults)


def read_run(events: Iterable[Event]) -> Run:
    """Read a history, which is in the order of time."""
    events = tuple(events)
    operations = operations_of(events)
    lanes = _lanes(operations)
    return Run(
        events=events,
        operations=operations,
        stories=tuple(_stories(operations, lanes)),
        lanes=lanes,
        faults=tuple(op for op in operations if op.verb is Verb.FAULT),
    )


def _lanes(operations: Iterable[Operation]) -> dict[tuple[str, str], Lane]:
    lanes: dict[tuple[str, str], Lane] = defaultdict(Lane)
    for op in operations:
        if op.verb is Verb.SUBSCRIBE:
            lanes[op.lane].subscribes.append(op)
        if op.verb not in TAKES:
            continue
        lane = lanes[op.lane]
        lane.consumers.add(op.name)
        if op.verb is Verb.DRAIN:
            lane.drains.append(op)
        if op.unknown:
            lane.ghosts.append(op)
        elif op.sure and op.said.job is None:
            lane.empties.append(op)
    return dict(lanes)


def _stories(operations: Iterable[Operation], lanes: Mapping[tuple[str, str], Lane]) -> list[Story]:
    """Tell the story of each job once for each group that reads its queue."""
    by_job: dict[str, list[Operation]] = defaultdict(list)
    for op in operations:
        if op.said.job is not None:
            by_job[op.said.job].append(op)
    groups: dict[str, set[str]] = defaultdict(set)
    for queue, group in lanes:
        groups[queue].add(group)
    return [
        _story(job, group, ops)
        for job, ops in by_job.items()
        for group in sorted(_groups_of(ops, groups))
    ]


def _groups_of(ops: list[Operation], groups: Mapping[str, set[str]]) -> set[str]:
    seen = {op.lane[1] for op in ops if op.verb is not Verb.ENQUEUE}
    read = {group for op in ops if op.verb is Verb.ENQUEUE for group in groups.get(op.lane[0], ())}
    return seen | read or {""}


def _story(job: str, group: str, ops: list[Operation]) -> Story:
    story = Story(job, group)
    mine = [op for op in ops if op.verb is Verb.ENQUEUE or op.lane[1] == group]
    story.enqueues = [op for op in mine if op.verb is Verb.ENQUEUE]
    story.ends = [op for op in mine if op.verb in ENDS]
    story.redrives = [op for op in mine if op.verb is Verb.REDRIVE]
    taken = [op for op in mine if op.verb in TAKES and op.sure]
    story.takings = [Taking(op) for op in _in_order(taken)]
    for op in mine:
        taking = _taking_of(op, story.takings)
        if taking is not None and op.verb is Verb.EXTEND:
            taking.extends.append(op)
        elif taking is not None and op.verb in SETTLES:
            taking.settles.append(op)
    return story


def _in_order(taken: list[Operation]) -> list[Operation]:
    """Sort deliveries by number where numbers tell them apart, else by when they returned."""
    by_end = sorted(taken, key=lambda op: op.end)
    numbers = {op.said.number for op in taken} - {None}
    if len(numbers) < len(taken):
        return by_end
    return sorted(by_end, key=lambda op: op.said.number or 0)


def _taking_of(op: Operation, takings: list[Taking]) -> Taking | None:
    """Find the delivery that a settle is about: by receipt, else the holder's last one."""
    before = [each for each in takings if each.take.end <= op.begin]
    if op.said.receipt is not None:
        before = [each for each in before if each.take.said.receipt == op.said.receipt]
    mine = [each for each in before if each.take.name == op.name]
    if op.said.receipt is None:
        before = []
    return next(reversed(mine or before), None)
