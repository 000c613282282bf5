"""Any sequence of calls on the queues of an adapter that only reaches listeners, against a model.

Each connection that listens to a queue hears all that is sent to it from then on, once, what one
connection sent in its order; whoever does not listen hears nothing, then or later.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import hypothesis.strategies as st

import qcore
from qcore_conformance.waiting import scaled

from .ledger import check
from .play import Machine, step

__all__ = ["Listening"]

_QUEUES = 2
_CONNECTIONS = 3

_lines = st.integers(0, _QUEUES - 1)
_ways = st.integers(0, _CONNECTIONS - 1)


@attrs.define(eq=False)
class _Ear:
    """What a connection that listens to a queue has still to hear, by who sent it."""

    queue: qcore.Queue
    awaited: dict[int, list[bytes]] = attrs.field(factory=dict[int, list[bytes]])

    @property
    def waiting(self) -> int:
        """How many jobs are to come."""
        return sum(map(len, self.awaited.values()))

    def heard(self, body: bytes) -> None:
        """Hear a job: the next of one of the senders."""
        for line in self.awaited.values():
            if line[:1] == [body]:
                del line[0]
                return
        order = {sender: line for sender, line in self.awaited.items() if line}
        check(allowed=False, objection=f"job {body.decode()} came, awaited were {order}")


class Listening(Machine):
    """Several queues and connections; each connection listens to some of them."""

    def begin(self) -> None:
        """Open the connections; nobody listens yet."""
        self._bodies = 0
        self._closed = 0
        self._connections = [self.bed.connect() for _ in range(_CONNECTIONS)]
        self._ears: dict[tuple[int, int], _Ear] = {}

    def leave(self) -> None:
        """Close them."""
        for connection in self._connections:
            connection.close()

    def _queue(self, line: int, way: int) -> qcore.Queue:
        return self._connections[way].queue(f"{self.game.name}-{self.number}-{line}")

    @step(line=_lines, way=_ways)
    def subscribe(self, line: int, way: int) -> None:
        """Listen from now on; twice is as good as once."""
        self.tell(f"queue {line}, connection {way}: subscribe")
        queue = self._queue(line, way)
        queue.subscribe()
        self._ears.setdefault((line, way), _Ear(queue))

    @step(line=_lines, way=_ways, count=st.integers(1, 4))
    def enqueue(self, line: int, way: int, count: int) -> None:
        """One job, or several in one call."""
        bodies = [b"%d" % (self._bodies + number) for number in range(1, count + 1)]
        self._bodies += count
        names = ", ".join(f"job {body.decode()}" for body in bodies)
        self.tell(f"queue {line}, connection {way}: enqueue {names}")
        ids = self._queue(line, way).enqueue_many(bodies)
        ears = [ear for (where, _), ear in self._ears.items() if where == line]
        self.answer(f"heard by {[one.receivers for one in ids]}")
        check(len(ids) == count, f"{count} jobs were given {len(ids)} ids")
        for ear in ears:
            ear.awaited.setdefault(way, []).extend(bodies)
        if self.bed.claims("receivers"):
            self._reached(ids, len(ears))

    def _reached(self, ids: Sequence[qcore.JobId], ears: int) -> None:
        """A broker may take a while to see that somebody hung up."""
        for one in ids:
            good = one.receivers is not None and ears <= one.receivers <= ears + self._closed
            check(good, f"{one.receivers} heard it, where {ears} listen")

    @step(line=_lines, way=_ways, limit=st.integers(1, 4), single=st.booleans())
    def reserve(self, line: int, way: int, limit: int, *, single: bool) -> None:
        """Hear what is to come, and no more."""
        if (ear := self._ears.get((line, way))) is not None:
            self._hear(line, way, ear, 1 if single else limit)

    def _hear(self, line: int, way: int, ear: _Ear, limit: int) -> None:
        self.tell(f"queue {line}, connection {way}: reserve {limit}")
        timeout = scaled(10.0) if ear.waiting else 0.0
        found = ear.queue.reserve_many(limit, timeout)
        bodies = [one.job.body for one in found]
        self.answer(", ".join(f"job {body.decode()}" for body in bodies) or "nothing")
        check(len(found) <= limit, f"{len(found)} came where {limit} were asked for")
        check(found or not ear.waiting, f"nothing came in {timeout:g} s, though {ear.waiting} must")
        for body in bodies:
            ear.heard(body)
        done = ear.queue.ack_many(found)
        check(all(done), "taking a job has ended it, and yet an ack was refused")

    @step(line=_lines, way=_ways)
    def consume(self, line: int, way: int) -> None:
        """Hear one job through a consumer."""
        ear = self._ears.get((line, way))
        if ear is None or not ear.waiting:
            return
        self.tell(f"queue {line}, connection {way}: consume")
        with ear.queue.consume() as consumer:
            delivery = self.next_of(consumer)
            self.answer(f"job {delivery.job.body.decode()}")
            ear.heard(delivery.job.body)
            delivery.ack()

    @step(way=_ways)
    def reopen(self, way: int) -> None:
        """Close a connection and open another one, which listens to nothing yet."""
        self.tell(f"connection {way}: close, and open another")
        self._connections[way].close()
        self._closed += sum(connection == way for _, connection in self._ears)
        self._ears = {place: ear for place, ear in self._ears.items() if place[1] != way}
        self._connections[way] = self.bed.connect()

    def end(self) -> None:
        """Hear the rest: nothing is missing, and nothing is left."""
        for (line, way), ear in self._ears.items():
            while ear.waiting:
                self._hear(line, way, ear, 4)
        for (line, way), ear in self._ears.items():
            self._hear(line, way, ear, 4)
            if self.bed.claims("gap"):
                check(ear.queue.gaps == 0, f"{ear.queue.gaps} gaps were told of, and none was made")
