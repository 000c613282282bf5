"""Jobs with records, for the tests that look at them."""

from __future__ import annotations

from collections.abc import Callable

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, taken

__all__ = ["KEEP", "ending", "need", "tracked"]

KEEP = qcore.Keep()


def need(bed: Bed, *names: str) -> None:
    """Refuse to test an adapter that keeps no records, or lacks what else it takes."""
    if not bed.claims("records", *names):
        raise NotApplicable(f"{bed.capabilities.adapter} does not have {('records', *names)}")


def tracked(bed: Bed, codec: str = "bytes", keep: qcore.Keep = KEEP) -> qcore.Queue:
    """A queue whose jobs have records."""
    return bed.queue(codec=codec, keep=keep)


def ending(bed: Bed, end: str) -> Callable[[qcore.Queue], None]:
    """What brings the only job of a queue to an end."""

    def act(queue: qcore.Queue) -> None:
        if end == "dropped":
            assert queue.purge() == 1
        elif end == "done":
            taken(queue, LONG).ack(result=b"result")
        else:
            taken(queue, LONG).dead_letter("why")

    needs = {"done": [], "dead": ["dead_letter"], "dropped": ["purge"]}
    need(bed, *needs[end])
    return act
