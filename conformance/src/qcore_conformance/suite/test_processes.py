"""Processes that come from one another, and event loops that meet."""

from __future__ import annotations

from pathlib import Path

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour, LoopThread
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.scripts import forking
from qcore_conformance.waiting import scaled

_SCRIPT = Path(forking.__file__)


@pytest.mark.parametrize("start", ["fork", "spawn"])
@in_colour(Colour.SYNC, "an event loop does not survive a fork")
@invariant("Q-THR-02")
def test_parent_and_child_are_both_served(bed: Bed, start: str) -> None:
    """At the same time and afterwards, each with its own answers."""
    family = bed.worker(_SCRIPT, QCORE_START=start)

    family.expect(0, within=120.0)

    assert {"parent done", "child done", "exit 0", "afterwards done", "over"} <= {*family.lines}


@in_colour(Colour.SYNC, "an event loop does not survive a fork")
@invariant("Q-THR-02")
def test_a_child_cannot_settle_what_its_parent_holds(bed: Bed) -> None:
    """A fork does not make two holders out of one; where taking ends a job there is no harm."""
    family = bed.worker(_SCRIPT, QCORE_START="fork")

    settled = family.wait_for("settled", within=120.0)

    explicit = bed.capabilities.value("settlement") == "explicit"
    assert settled == f"settled {qcore.LeaseLost.code if explicit else 'acked'}"
    family.expect(0, within=120.0)


@in_colour(Colour.ASYNC, "only asyncio has event loops")
@invariant("Q-THR-02")
def test_another_event_loop_is_refused_and_does_not_hang(bed: Bed) -> None:
    """A connection belongs to the loop that opened it, which goes on as before."""
    queue = bed.queue()
    queue.subscribe()
    other = LoopThread()
    try:

        async def open_and_use() -> None:
            connection = await qcore.connect_async(bed.url)
            async with connection:
                await _used_by(bed.loop, connection)

        other.run(open_and_use())
    finally:
        other.close()
    queue.enqueue(b"after")


async def _used_by(loop: LoopThread, connection: qcore.AsyncConnection) -> None:
    """Use a connection on another loop."""
    using = loop.submit(connection.queue("q").enqueue(b"never"))
    with pytest.raises(qcore.InvalidInput, match="loop"):
        using.result(scaled(10.0))
