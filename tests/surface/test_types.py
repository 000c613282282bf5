"""What type checkers infer from the public names; they run over this file with every change."""

from __future__ import annotations

from typing import assert_type

import qcore


def test_only_a_reserve_with_a_timeout_may_come_back_empty_handed() -> None:
    """Whoever waits without end need not ask whether something came."""
    with qcore.connect("memory://types") as connection:
        queue = connection.queue("q")
        queue.enqueue_many([b"a", b"b", b"c"])
        assert_type(queue.reserve(), qcore.Delivery).ack()
        found = assert_type(queue.reserve(timeout=1.0), qcore.Delivery | None)
        either = assert_type(_reserve(queue, 1.0), qcore.Delivery | None)
    assert found is not None
    assert either is not None


def _reserve(queue: qcore.Queue, seconds: float | None) -> qcore.Delivery | None:
    return queue.reserve(seconds, lease=2.0)
