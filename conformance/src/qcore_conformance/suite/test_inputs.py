"""Wrong inputs: each is refused as what it is before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, taken
from qcore_conformance.waiting import scaled

_HUGE = 10**400
_NO_NUMBER: tuple[Any, ...] = (True, False, "1", b"1", [1], 1 + 0j)
_NO_TIME: tuple[Any, ...] = (-1, -0.001, math.nan, math.inf, -math.inf, _HUGE, *_NO_NUMBER)


@attrs.frozen
class _Scene:
    """What a wrong call is made on."""

    connection: qcore.Connection
    queue: qcore.Queue
    delivery: qcore.Delivery

    def enqueue(self, **options: Any) -> object:
        """Enqueue alone; the same options go into a batch by ``enqueue_many``."""
        return self.queue.enqueue(b"refused", **options)

    def enqueue_many(self, **options: Any) -> object:
        """Enqueue as one of many."""
        return self.queue.enqueue_many([b"refused", qcore.NewJob(b"refused", **options)])

    def settle(self, verb: qcore.Verb, seconds: Any) -> object:
        """Settle as one of many."""
        return self.queue.settle_many([qcore.Settlement(self.delivery, verb, seconds)])


@attrs.frozen
class _Argument:
    """One argument of some calls, with values that are wrong for all of them."""

    wrong: tuple[Any, ...]
    calls: tuple[Callable[[_Scene, Any], object], ...]
    capability: str = "delivery"


_ARGUMENTS: Mapping[str, _Argument] = {
    "timeout": _Argument(
        _NO_TIME,
        (
            lambda scene, wrong: scene.queue.reserve(timeout=wrong),
            lambda scene, wrong: scene.queue.reserve_many(2, timeout=wrong),
        ),
    ),
    "limit": _Argument(
        (0, -1, 1.5, None, *_NO_TIME[2:]),
        (
            lambda scene, wrong: scene.queue.reserve_many(wrong, timeout=0.0),
            lambda scene, wrong: scene.queue.consume(prefetch=wrong),
        ),
    ),
    "lease": _Argument(
        (0, 1e9, *_NO_TIME),
        (
            lambda scene, wrong: scene.queue.reserve(timeout=0.0, lease=wrong),
            lambda scene, wrong: scene.queue.reserve_many(2, timeout=0.0, lease=wrong),
            lambda scene, wrong: scene.queue.consume(lease=wrong),
        ),
        "lease",
    ),
    "extend": _Argument(
        (0, 1e9, None, *_NO_TIME),
        (
            lambda scene, wrong: scene.delivery.extend(wrong),
            lambda scene, wrong: scene.settle(qcore.Verb.EXTEND, wrong),
        ),
        "extend",
    ),
    "retry": _Argument(
        (1e12, None, *_NO_TIME),
        (
            lambda scene, wrong: scene.delivery.retry(wrong),
            lambda scene, wrong: scene.settle(qcore.Verb.RETRY, wrong),
        ),
        "retry",
    ),
    "delay": _Argument(
        (1e12, None, *_NO_TIME),
        (
            lambda scene, wrong: scene.enqueue(delay=wrong),
            lambda scene, wrong: scene.enqueue_many(delay=wrong),
        ),
        "delay",
    ),
    "at": _Argument(
        (1e12, *_NO_TIME),
        (
            lambda scene, wrong: scene.enqueue(at=wrong),
            lambda scene, wrong: scene.enqueue_many(at=wrong),
        ),
        "delay",
    ),
    "priority": _Argument(
        (5, -5, 10**30, 0.5, None, math.nan, math.inf, *_NO_NUMBER),
        (
            lambda scene, wrong: scene.enqueue(priority=wrong),
            lambda scene, wrong: scene.enqueue_many(priority=wrong),
        ),
        "priority",
    ),
    "page": _Argument(
        (-1, 1.5, None, *_NO_TIME[2:]),
        (
            lambda scene, wrong: scene.queue.peek(limit=wrong),
            lambda scene, wrong: scene.queue.peek(offset=wrong),
        ),
        "peek",
    ),
    "body": _Argument(
        (None, "text", 1, [b""], {"a": 1}),
        (
            lambda scene, wrong: scene.queue.enqueue(wrong),
            lambda scene, wrong: scene.queue.enqueue_many([b"refused", wrong]),
        ),
    ),
    "id": _Argument(
        ("", " ", "a b", "ä", "n" * 129, "a\n", 1, True, b"id"),
        (
            lambda scene, wrong: scene.enqueue(id=wrong),
            lambda scene, wrong: scene.enqueue_many(id=wrong),
            lambda scene, wrong: scene.enqueue(dedup=wrong),
        ),
        "idempotent_id",
    ),
    "policy": _Argument(
        _NO_TIME,
        (
            lambda _, wrong: qcore.RetryPolicy(first_delay=wrong),
            lambda _, wrong: qcore.RetryPolicy(max_delay=wrong),
            lambda scene, wrong: scene.connection.queue("q", retry=wrong),
        ),
    ),
}


def _scene(bed: Bed) -> _Scene:
    """A queue with one job in hand and one that is ready, so that a call could do harm."""
    connection = bed.connect()
    queue = connection.queue("q")
    queue.subscribe()
    queue.enqueue(b"in hand")
    delivery = taken(queue, LONG if bed.claims("lease") else None)
    queue.enqueue(b"ready")
    return _Scene(connection, queue, delivery)


def _wrong_calls(scene: _Scene, name: str) -> Iterator[Callable[[], object]]:
    for wrong in _ARGUMENTS[name].wrong:
        for call in _ARGUMENTS[name].calls:
            yield lambda call=call, wrong=wrong: call(scene, wrong)  # type: ignore[misc]


@invariant("Q-INPUT-01")
@pytest.mark.parametrize("name", _ARGUMENTS)
def test_a_wrong_argument_is_refused_and_changes_nothing(bed: Bed, name: str) -> None:
    """With an error that is a ``ValueError`` too; whether alone or as one of many."""
    if not bed.claims(_ARGUMENTS[name].capability):
        raise NotApplicable(f"{bed.capabilities.adapter} refuses the call as such")
    scene = _scene(bed)
    before = _stored(bed, scene)

    for call in _wrong_calls(scene, name):
        with pytest.raises(qcore.InvalidInput) as caught:
            call()
        assert isinstance(caught.value, ValueError)

    assert _stored(bed, scene) == before
    assert taken(scene.queue).job.body == b"ready"
    assert scene.queue.reserve(timeout=scaled(0.1)) is None
    scene.delivery.ack()


def _stored(bed: Bed, scene: _Scene) -> object:
    leftovers = bed.harness.leftovers(bed.namespace)
    stats = scene.queue.stats() if bed.claims("stats") else None
    return stats, None if leftovers is None else sorted(leftovers)


@invariant("Q-INPUT-01")
def test_a_wrong_argument_sends_nothing(bed: Bed) -> None:
    """Seen from between the client and its broker."""
    proxy = bed.proxy(bed.server())
    connection = bed.connect(bed.url_at(proxy.address))
    queue = connection.queue("q")
    queue.subscribe()
    queue.enqueue(b"in hand")
    scene = _Scene(connection, queue, taken(queue, LONG if bed.claims("lease") else None))
    before = len(proxy.log)

    for name, argument in _ARGUMENTS.items():
        for call in _wrong_calls(scene, name) if bed.claims(argument.capability) else ():
            with pytest.raises(qcore.InvalidInput):
                call()

    assert [exchange.command for exchange in proxy.log[before:]] == []
    scene.delivery.ack()
