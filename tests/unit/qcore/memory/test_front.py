from __future__ import annotations

from qcore.backend import Enqueue
from tests.unit.qcore.memory.lines import Line


def test_what_goes_to_the_front_is_next_on_its_level() -> None:
    """The first of one call first, also before turns, and once if its id is known."""
    line = Line()
    line.put("plain")
    line.queue.enqueue(
        [
            Enqueue("a", b"", front=True),
            Enqueue("tenant", b"", tenant="t"),
            Enqueue("b", b"", front=True, unique=True),
            Enqueue("idle", b"", priority=-1, front=True),
        ],
        line.clock.time(),
    )
    assert not line.queue.enqueue([Enqueue("b", b"", front=True, unique=True)], 0.0)[0].created
    line.queue.enqueue([Enqueue("c", b"", front=True)], line.clock.time())
    assert line.ids() == ["c", "a", "b", "plain", "tenant", "idle"]
