"""A way to a broker of the test's own that can be cut, and one beside it that is whole."""

from __future__ import annotations

import qcore

from .bed import Bed
from .calls import Call, counts, prepared
from .outcomes import NotApplicable, NotRun
from .plans import Cut, When
from .proxy import CountingProxy
from .scenes import taken

__all__ = ["Line"]


class Line:
    """A way to a broker of the test's own that can be cut, and one beside it that is whole."""

    def __init__(self, bed: Bed, *needs: str) -> None:
        if bed.capabilities.value("delivery") != "at_least_once":
            raise NotApplicable("nothing stays that could be counted")
        for name in needs:
            if not bed.claims(name):
                raise NotApplicable(f"{bed.capabilities.adapter} does not claim '{name}'")
        self.bed = bed
        self.server = bed.server()
        self.proxy: CountingProxy = bed.proxy(self.server)
        self.beside = bed.connect(bed.url_at(self.server.address))
        if "stats" not in self.beside.capabilities:
            raise NotRun("without stats nobody can tell what a call did")

    def connect(self, patience: float | None = None) -> qcore.Connection:
        """A connection by the way that can be cut."""
        return self.bed.connect(self.bed.url_at(self.proxy.address, patience=patience))

    def cut(self, exchange: int, when: When) -> None:
        """Cut at this boundary of the next but so many request that carries an operation."""
        wanted = self.bed.harness.requests
        self.proxy.plan(Cut(exchange=exchange, when=when, commands=wanted))

    def carried(self) -> int:
        """How many requests that carry operations have passed."""
        wanted = self.bed.harness.requests
        return sum(not wanted or one.command in wanted for one in self.proxy.log)

    def rehearsed(self, call: Call) -> int:
        """Make a call where nothing happens to it; says how many requests it takes.

        Twice, since the first time a broker may have to be taught how it is done.
        """
        connection, requests = self.connect(), 0
        for name in ("rehearsal-1", "rehearsal-2"):
            queue, beside = connection.queue(name), self.beside.queue(name)
            hands = prepared(call, beside, queue)
            before = self.carried()
            answer = call.act(queue, hands)
            requests = self.carried() - before
            if (answer, counts(beside)) != (call.answer, call.after):
                raise AssertionError(f"{call} gives {answer!r} even if nothing breaks")
        return requests

    def warm(self) -> None:
        """Teach the broker what it has to be taught, so that a call takes as long as ever after."""
        queue = self.beside.queue("warm")
        queue.enqueue(b"")
        taken(queue).ack()
