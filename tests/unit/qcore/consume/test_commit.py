from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qcore.clock import ManualClock
from qcore.consume.commit import Call, Lane, Pause, Reentered, Send, committing, next_batch
from qcore.errors import Closed, Corrupt, Indeterminate, QcoreError, Rejected, Unavailable
from tests.unit.qcore.waiting import PATIENCE, eventually


class Gate:
    """A flush that stops until it is let through, and remembers what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.error: BaseException | None = None

    def flush(self, items: Sequence[int]) -> list[int]:
        """Ten times each item."""
        self.batches.append(list(items))
        self.entered.release()
        assert self.permits.acquire(timeout=PATIENCE)
        if self.error is not None:
            raise self.error
        return [item * 10 for item in items]

    def wait_inside(self) -> None:
        """Wait until a flush has begun."""
        assert self.entered.acquire(timeout=PATIENCE)

    def let_through(self, flushes: int = 1) -> None:
        """Let that many flushes go on."""
        self.permits.release(flushes)


class Crowd:
    """Threads that submit to one lane whose flush is a gate."""

    def __init__(self, pool: ThreadPoolExecutor, most: int = 100) -> None:
        self.gate = Gate()
        self.orphans: list[Sequence[int]] = []
        self.lane = Lane[int, int](self.gate.flush, most, self.orphans.append)
        self._pool = pool

    def begin(self, *items: int) -> Future[Sequence[int]]:
        """Submit from a thread whose flush has begun when this returns."""
        future = self._pool.submit(self.lane.submit, items)
        self.gate.wait_inside()
        return future

    def queue_up(self, *items: int, **options: Any) -> Future[Sequence[int]]:
        """Submit from a thread that stands in line when this returns."""
        before = len(self.lane)
        future = self._pool.submit(self.lane.submit, items, **options)
        eventually(lambda: len(self.lane) > before)
        return future


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    """A lane with threads."""
    with ThreadPoolExecutor(16) as pool:
        crowd = Crowd(pool)
        yield crowd
        crowd.gate.let_through(100)


def test_a_caller_alone_is_flushed_at_once() -> None:
    """Nothing is waited for."""
    lane = Lane[int, int](lambda items: [item + 1 for item in items], most=10)
    assert lane.submit([1, 2]) == [2, 3]
    assert lane.submit([]) == []


def test_callers_that_come_during_a_flush_share_the_next(crowd: Crowd) -> None:
    """Each gets the results of its own items, in order."""
    first = crowd.begin(1)
    others = [crowd.queue_up(number, number + 1) for number in (2, 4, 6)]
    crowd.gate.let_through(2)

    assert first.result(PATIENCE) == [10]
    assert [other.result(PATIENCE) for other in others] == [[20, 30], [40, 50], [60, 70]]
    assert crowd.gate.batches == [[1], [2, 3, 4, 5, 6, 7]]


def test_a_flush_holds_as_much_as_allowed() -> None:
    """What does not fit waits for the next; calls are never split."""
    with ThreadPoolExecutor(8) as pool:
        crowd = Crowd(pool, most=4)
        calls = [crowd.begin(0), crowd.queue_up(1, 2, 3), crowd.queue_up(4, 5), crowd.queue_up(6)]
        crowd.gate.let_through(10)
        assert [call.result(PATIENCE) for call in calls] == [[0], [10, 20, 30], [40, 50], [60]]
    assert crowd.gate.batches == [[0], [1, 2, 3], [4, 5, 6]]


def test_only_calls_of_one_kind_share_a_flush(crowd: Crowd) -> None:
    """And the order in which they came is kept."""
    calls = [crowd.begin(0)]
    calls += [crowd.queue_up(number, kind=kind) for number, kind in enumerate("aabba", start=1)]
    crowd.gate.let_through(10)
    assert [call.result(PATIENCE) for call in calls] == [[0], [10], [20], [30], [40], [50]]
    assert crowd.gate.batches == [[0], [1, 2], [3, 4], [5]]


def test_all_that_share_a_flush_get_its_error(crowd: Crowd) -> None:
    """And the next flush is not affected."""
    first = crowd.begin(0)
    sharing = [crowd.queue_up(1), crowd.queue_up(2)]
    crowd.gate.let_through()
    first.result(PATIENCE)

    crowd.gate.error = error = Rejected("no rights")
    crowd.gate.let_through()
    assert [call.exception(PATIENCE) for call in sharing] == [error, error]

    crowd.gate.error = None
    crowd.gate.let_through()
    assert crowd.lane.submit([3]) == [30]


def test_an_interrupted_flush_is_in_doubt_for_those_that_shared_it(crowd: Crowd) -> None:
    """The thread that sent it sees its interruption; nobody waits for ever."""
    first = crowd.begin(0)
    sharing = [crowd.queue_up(1), crowd.queue_up(2)]
    crowd.gate.error = KeyboardInterrupt()
    crowd.gate.let_through(2)

    assert isinstance(first.exception(PATIENCE), KeyboardInterrupt)
    kinds = {type(call.exception(PATIENCE)) for call in sharing}
    assert kinds == {KeyboardInterrupt, Indeterminate}


def test_no_thread_interrupts_another_for_good(crowd: Crowd) -> None:
    """After an interruption the lane works as before."""
    crowd.gate.error = KeyboardInterrupt()
    crowd.gate.let_through()
    with pytest.raises(KeyboardInterrupt):
        crowd.lane.submit([1])
    crowd.gate.error = None
    crowd.gate.let_through()
    assert crowd.lane.submit([2]) == [20]


class Interruption(Exception):
    """What a signal handler of a test raises."""


def interrupt_main(when: Callable[[], object]) -> threading.Thread:
    """Send this process a signal as soon as something is so."""

    def watch() -> None:
        eventually(when)
        signal.pthread_kill(main.ident or 0, signal.SIGUSR1)

    main = threading.main_thread()
    watcher = threading.Thread(target=watch)
    watcher.start()
    return watcher


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A signal raises in the main thread."""

    def interrupt(*_: object) -> None:
        raise Interruption

    before = signal.signal(signal.SIGUSR1, interrupt)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("interruptible")
def test_a_caller_interrupted_in_line_is_never_sent(crowd: Crowd) -> None:
    """Its items were not under way yet, so they are left out of the next flush."""
    first = crowd.begin(0)
    watcher = interrupt_main(lambda: len(crowd.lane) == 1)
    with pytest.raises(Interruption):
        crowd.lane.submit([1])
    watcher.join()
    second = crowd.queue_up(2)
    crowd.gate.let_through(2)

    assert (first.result(PATIENCE), second.result(PATIENCE)) == ([0], [20])
    assert crowd.gate.batches == [[0], [2]]
    assert crowd.orphans == []


@pytest.mark.usefixtures("interruptible")
def test_results_of_a_caller_that_has_gone_are_handed_back(crowd: Crowd) -> None:
    """They came too late for it, and nobody else would give them back."""
    first = crowd.begin(0)
    sender = crowd.queue_up(1)
    watcher = interrupt_main(lambda: crowd.gate.batches == [[0], [1, 2]])

    def free_first() -> None:
        eventually(lambda: len(crowd.lane) == 2)
        crowd.gate.let_through()

    helper = threading.Thread(target=free_first)
    helper.start()
    outcome: list[Sequence[int]] = []
    with suppress(Interruption, Indeterminate):
        outcome.append(crowd.lane.submit([2]))
    watcher.join()
    helper.join()
    first.result(PATIENCE)
    crowd.gate.let_through(10)
    if sender.exception(PATIENCE) is None:
        assert sender.result() == [10]
        assert crowd.orphans + outcome == [[20]]


def test_a_handler_that_interrupts_a_like_call_is_refused_rather_than_stuck() -> None:
    """The thread below it holds the turn and cannot go on before the handler returns."""
    refusals: list[QcoreError] = []

    def handler(items: Sequence[int]) -> Sequence[int]:
        try:
            lane.submit([9])
        except Reentered as error:
            refusals.append(error)
        return items

    lane = Lane[int, int](handler, most=10)
    assert lane.submit([1]) == [1]
    assert len(refusals) == 1
    assert lane.submit([2]) == [2]


def test_finishing_sends_what_is_waiting_and_refuses_what_comes_later(crowd: Crowd) -> None:
    """Nothing that was accepted is dropped."""
    first, second = crowd.begin(1), crowd.queue_up(2)
    closer = threading.Thread(target=crowd.lane.finish, args=(PATIENCE,))
    closer.start()
    crowd.gate.let_through(2)
    closer.join()

    assert (first.result(PATIENCE), second.result(PATIENCE)) == ([10], [20])
    with pytest.raises(Closed):
        crowd.lane.submit([3])
    assert crowd.gate.batches[2:] == []


def test_finishing_does_not_wait_longer_than_told(crowd: Crowd) -> None:
    """What was not sent by then never is."""
    first, second = crowd.begin(1), crowd.queue_up(2)
    crowd.lane.finish(0.01)
    crowd.gate.let_through(2)

    assert first.result(PATIENCE) == [10]
    assert isinstance(second.exception(PATIENCE), Closed)
    assert crowd.gate.batches == [[1]]


def test_many_threads_get_their_own_results() -> None:
    """And far fewer flushes than calls are needed."""
    flushes: list[int] = []

    def flush(items: Sequence[int]) -> list[int]:
        flushes.append(len(items))
        return [-item for item in items]

    lane = Lane[int, int](flush, most=50)

    def work(start: int) -> bool:
        return all(lane.submit([n, n + 1]) == [-n, -n - 1] for n in range(start, start + 300))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(0, 8000, 1000)))
    assert sum(flushes) == 8 * 300 * 2
    assert max(flushes) <= 50


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.booleans())), st.integers(1, 9)
)
def test_batches_keep_the_order_and_leave_nobody_out(
    calls: list[tuple[int, str, bool]], most: int
) -> None:
    """Whatever they weigh; only those that have gone are missing."""
    made = [Call[int]([], weight, kind, gone) for weight, kind, gone in calls]
    waiting, seen = deque(made), list[Call[int]]()
    while waiting:
        batch = next_batch(waiting, most)
        assert batch or not waiting
        assert len({call.kind for call in batch}) <= 1
        assert len(batch) <= 1 or sum(call.weight for call in batch) <= most
        seen += batch
    assert seen == [call for call in made if not call.gone]


class Line:
    """A program that commits, driven by hand; pauses pass on a manual clock."""

    def __init__(self, *, replay: bool = True, insist: bool = True) -> None:
        self.clock = ManualClock()
        self.program = committing(10.0, self.clock.monotonic, replay=replay, insist=insist)
        assert isinstance(next(self.program), Send)

    def fail(self, error: Exception) -> float:
        """Answer a send with an error; give the seconds of the pause that follows."""
        pause = self.program.throw(error)
        assert isinstance(pause, Pause)
        self.clock.advance(pause.seconds)
        assert isinstance(self.program.send(True), Send)  # noqa: FBT003  (the reply of a step)
        return pause.seconds

    def fail_for_ever(self, error: Exception) -> None:
        """Answer every send with an error."""
        while True:
            self.fail(error)

    def answer(self, reply: object) -> object:
        """Answer a send; give the result."""
        with pytest.raises(StopIteration) as end:
            self.program.send(reply)
        return end.value.value


def test_a_flush_is_sent_again_until_the_broker_is_back() -> None:
    """With pauses that grow, and the first answer that comes."""
    line = Line()
    pauses = [line.fail(Unavailable("away")) for _ in range(5)]
    assert line.answer(["done"]) == ["done"]
    assert all(0 < pause <= 2.0 for pause in pauses)
    assert pauses[-1] > pauses[0]


def test_patience_ends() -> None:
    """With the error, never later than promised."""
    line = Line()
    with pytest.raises(Unavailable, match="away"):
        line.fail_for_ever(Unavailable("away"))
    assert line.clock.monotonic() == pytest.approx(10.0)


def test_a_lost_reply_is_replayed_only_where_that_is_safe() -> None:
    """Elsewhere the caller must decide."""
    line = Line()
    line.fail(Indeterminate("lost"))
    assert line.answer(["first answer"]) == ["first answer"]
    with pytest.raises(Indeterminate):
        Line(replay=False).fail(Indeterminate("lost"))


@pytest.mark.parametrize(
    "later", [Unavailable("away"), Rejected("no"), Corrupt("bad"), Closed("x")]
)
def test_once_in_doubt_always_in_doubt(later: QcoreError) -> None:
    """That a replay was refused says nothing about the first try."""
    line = Line()
    line.fail(Indeterminate("lost"))
    with pytest.raises(Indeterminate, match="lost"):
        line.fail_for_ever(later)


def test_what_is_refused_for_good_is_not_repeated() -> None:
    """Repeating would not help."""
    with pytest.raises(Rejected):
        Line().fail(Rejected("no"))


def test_one_that_does_not_insist_repeats_only_in_doubt() -> None:
    """Its caller has a time limit of its own."""
    with pytest.raises(Unavailable):
        Line(insist=False).fail(Unavailable("away"))
    line = Line(insist=False)
    line.fail(Indeterminate("lost"))
    line.fail(Unavailable("away"))
    assert line.answer(["first answer"]) == ["first answer"]


def test_closing_ends_the_patience() -> None:
    """The reply of a pause says so."""
    line = Line()
    assert isinstance(line.program.throw(Unavailable("away")), Pause)
    with pytest.raises(Unavailable):
        line.program.send(False)  # noqa: FBT003  (the reply of a step)
