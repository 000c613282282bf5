"""The operations that the sweep of boundaries kills workers in, and what may have come of each.

Each has an act that gets everything ready, waits for its go and carries the operation out; what
the watcher prepares before; and the states that the queue may be in when the worker dies, from
"nothing was done" to "all was done".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs

import qcore
from tests.crash.scene import LEASE, Scene
from tests.crash.workers import Part
from tests.integration.actors import Hand, Line

__all__ = ["EXTENDED", "OPERATIONS", "Operation"]

Tally = Mapping[str, int]
"""How many jobs are in each state, without those that nobody is in."""

EXTENDED = 1.5 * LEASE
DELAY = 0.5


@attrs.frozen
class Operation:
    """One operation to die in.

    Attributes:
        name: What it is called when it fails.
        act: What the worker does.
        states: What may have come of it, in the order of progress.
        prepare: What the watcher does before the worker starts.
        feed: Whether a job is to come when the worker sleeps.
        begun: Whether a job must be known as started before the worker goes on.
        commands: What counts as an exchange; all of them if empty.
        list_only: Whether only the list adapter has it.
        afterwards: Looks at what is special, told whether the operation took place.
    """

    name: str
    act: Callable[[Part], None]
    states: Sequence[Tally]
    prepare: Callable[[Scene], object] = lambda _: None
    feed: bool = False
    begun: bool = False
    commands: frozenset[str] = frozenset()
    list_only: bool = False
    afterwards: Callable[[Scene, bool], None] = lambda _scene, _done: None


def plain(part: Part) -> None:
    """Enqueue one job."""
    line = part.line()
    part.await_go()
    line.enqueue(b"0")
    part.linger()


def delayed(part: Part) -> None:
    """Enqueue one job for later."""
    line = part.line()
    part.await_go()
    line.enqueue(b"0", delay=DELAY)
    part.linger()


def named(part: Part) -> None:
    """Enqueue one job with an id and a dedup key of the caller's."""
    line = part.line()
    part.await_go()
    line.enqueue(b"0", id="mine", dedup="key")
    part.linger()


def several(part: Part) -> None:
    """Enqueue jobs of all sorts in one batch."""
    line = part.line()
    part.await_go()
    line.enqueue_many(
        [
            qcore.NewJob(b"0"),
            qcore.NewJob(b"1", priority=4),
            qcore.NewJob(b"2", priority=-4, delay=DELAY),
            qcore.NewJob(b"3", id="mine"),
        ]
    )
    part.linger()


def take(part: Part) -> None:
    """Take two jobs."""
    line = part.line()
    part.await_go()
    line.reserve_many(2, 0)
    part.linger()


def wait(part: Part) -> None:
    """Sleep until there is a job, and take it."""
    line = part.line()
    part.await_go()
    line.reserve(10.0)
    part.linger()


def settle(part: Part, how: Callable[[Line, Sequence[Hand]], object], count: int) -> None:
    """Take jobs, and settle them in one way when told to."""
    line = part.line()
    hands = line.reserve_many(count, 0)
    part.await_go()
    how(line, hands)
    part.linger()


def ack(_: Line, hands: Sequence[Hand]) -> None:
    """The work is done."""
    hands[0].ack()


def release(_: Line, hands: Sequence[Hand]) -> None:
    """Give it back."""
    hands[0].release()


def retry(_: Line, hands: Sequence[Hand]) -> None:
    """Give it back for later."""
    hands[0].retry(DELAY, "it failed")


def dead_letter(_: Line, hands: Sequence[Hand]) -> None:
    """Set it aside."""
    hands[0].dead_letter("no good")


def extend(_: Line, hands: Sequence[Hand]) -> None:
    """Hold it longer."""
    hands[0].extend(EXTENDED)


def all_at_once(line: Line, hands: Sequence[Hand]) -> None:
    """Every way in one flush."""
    verbs = (qcore.Verb.ACK, qcore.Verb.RELEASE, qcore.Verb.RETRY, qcore.Verb.DEAD_LETTER)
    steps = [
        qcore.Settlement(hand.receipt, verb, DELAY if verb is qcore.Verb.RETRY else 0.0)
        for hand, verb in zip(hands, verbs, strict=True)
    ]
    line.settle_many(steps)


def redrive(part: Part) -> None:
    """Make dead jobs ready again."""
    line = part.line()
    part.await_go()
    line.redrive()
    part.linger()


def remove(part: Part) -> None:
    """Drop dead jobs by their ids."""
    line = part.line()
    ids = [job.id for job in line.peek("dead")]
    part.await_go()
    line.remove(ids)
    part.linger()


def purge(part: Part, state: str) -> None:
    """Drop all jobs of one state."""
    line = part.line()
    part.await_go()
    line.purge(state)
    part.linger()


def close(part: Part) -> None:
    """Leave with one job in hand and others behind it that nobody began."""
    part.take_ahead()
    client = part.connect()
    with client.queue("work").consume(prefetch=10) as hands:
        next(hands)
        part.await_go()
    client.close()
    part.linger()


def ready(count: int) -> Callable[[Scene], object]:
    """So many jobs wait."""
    return lambda scene: scene.watch.enqueue_many([str(number).encode() for number in range(count)])


def dead(count: int) -> Callable[[Scene], object]:
    """So many jobs are dead."""

    def prepare(scene: Scene) -> None:
        ready(count)(scene)
        for delivery in scene.watch.reserve_many(count, 0):
            delivery.dead_letter("no good")

    return prepare


def later(count: int) -> Callable[[Scene], object]:
    """So many jobs are delayed."""
    return lambda scene: scene.watch.enqueue_many(
        [qcore.NewJob(str(number).encode(), delay=60.0) for number in range(count)]
    )


def ghost(scene: Scene) -> None:
    """A job lies in the processing list of a connection that is gone."""
    scene.watch.enqueue_many([b"0", b"1"])
    keys = scene.keys
    scene.ask("LMOVE", f"{keys.tag}:ready:0", keys.claim_of("ghost"), "RIGHT", "LEFT")
    scene.ask("LMOVE", f"{keys.tag}:ready:0", keys.claim_of("ghost"), "RIGHT", "LEFT")
    scene.ask("ZADD", keys.one("waiters"), 1, "ghost")


def same_id_again(scene: Scene, done: bool) -> None:  # noqa: FBT001  (what became of it)
    """The caller's second try adds nothing if the first one counted."""
    again = scene.watch.enqueue(b"0", id="mine", dedup="key")
    assert (again, again.created) == ("mine", not done)


def settling(
    name: str,
    how: Callable[[Line, Sequence[Hand]], object],
    after: Tally,
    count: int = 1,
) -> Operation:
    """An operation that ends deliveries."""
    act = partial(settle, how=how, count=count)
    return Operation(name, act, [{"held": count}, after], prepare=ready(count))


ENQUEUES = (
    Operation("enqueue", plain, [{}, {"ready": 1}]),
    Operation("enqueue delayed", delayed, [{}, {"delayed": 1}]),
    Operation("enqueue with an id", named, [{}, {"ready": 1}], afterwards=same_id_again),
    Operation("enqueue many", several, [{}, {"ready": 3, "delayed": 1}]),
)

TAKES = (
    Operation("take", take, [{"ready": 3}, {"ready": 1, "held": 2}], prepare=ready(3)),
    Operation("wait", wait, [{"ready": 1}, {"claimed": 1}, {"held": 1}], feed=True),
    Operation(
        "sweep", take, [{"claimed": 2}, {"ready": 2}, {"held": 2}], prepare=ghost, list_only=True
    ),
)

SETTLES = (
    settling("ack", ack, {"acked": 1}),
    settling("release", release, {"ready": 1}),
    settling("retry", retry, {"delayed": 1}),
    settling("dead-letter", dead_letter, {"dead": 1}),
    Operation("extend", partial(settle, how=extend, count=1), [{"held": 1}], prepare=ready(1)),
    settling("settle many", all_at_once, {"acked": 1, "ready": 1, "delayed": 1, "dead": 1}, 4),
    Operation(
        "close",
        close,
        [{"held": 3}, {"held": 1, "ready": 2}],
        prepare=ready(3),
        begun=True,
        # The keeper opens a session of its own at a time of its own.
        commands=frozenset({"EVALSHA", "DEL"}),
    ),
)

CARE = (
    Operation("redrive", redrive, [{"dead": 2}, {"ready": 2}], prepare=dead(2)),
    Operation("remove", remove, [{"dead": 2}, {"dropped": 2}], prepare=dead(2)),
    Operation(
        "purge ready",
        partial(purge, state="ready"),
        [{"ready": 2}, {"dropped": 2}],
        prepare=ready(2),
    ),
    Operation(
        "purge delayed",
        partial(purge, state="delayed"),
        [{"delayed": 2}, {"dropped": 2}],
        prepare=later(2),
        afterwards=lambda scene, _: scene.hasten(),
    ),
    Operation(
        "purge dead", partial(purge, state="dead"), [{"dead": 2}, {"dropped": 2}], prepare=dead(2)
    ),
)

OPERATIONS: Mapping[str, Sequence[Operation]] = {
    "enqueue": ENQUEUES,
    "take": TAKES,
    "settle": SETTLES,
    "care": CARE,
}
