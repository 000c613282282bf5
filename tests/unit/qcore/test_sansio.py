from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import pytest

from qcore.sansio import Program, arun, run

S = TypeVar("S")
T = TypeVar("T")


class Runner(Protocol):
    """Either colour, for steps that are performed by a plain function."""

    def __call__(self, program: Program[S, T], perform: Callable[[S], Any]) -> T:
        """Run the program."""
        ...


def run_async(program: Program[S, T], perform: Callable[[S], Any]) -> T:
    """``arun`` in a loop of its own."""

    async def performed(step: S) -> Any:
        await asyncio.sleep(0)
        return perform(step)

    return asyncio.run(arun(program, performed))


both = pytest.mark.parametrize("runner", [run, run_async])


def adding(*steps: int) -> Program[int, int]:
    """Sum up the replies."""
    total = 0
    for step in steps:
        total += yield step
    return total


@both
def test_a_program_is_sent_its_replies_and_gives_its_result(runner: Runner) -> None:
    """One reply for each step, in order."""
    assert runner(adding(1, 2, 3), lambda step: step * 10) == 60


@both
def test_a_program_without_steps_is_done_at_once(runner: Runner) -> None:
    """Nothing is performed."""
    assert runner(adding(), lambda _: pytest.fail("performed")) == 0


@both
def test_a_program_may_consist_of_programs(runner: Runner) -> None:
    """``yield from`` keeps results and types."""

    def whole() -> Program[int, tuple[int, int]]:
        first = yield from adding(1, 2)
        second = yield from adding(3)
        return first, second

    assert runner(whole(), lambda step: step) == (3, 3)


def failing(_: object) -> object:
    """A step that cannot be performed."""
    raise TimeoutError("too late")


@both
def test_an_error_of_a_step_is_thrown_into_the_program(runner: Runner) -> None:
    """Which may go on with other steps."""

    def patient() -> Program[str, str]:
        try:
            yield "first"
        except TimeoutError as error:
            return f"saw {error}"
        return "saw nothing"

    assert runner(patient(), failing) == "saw too late"


@both
def test_an_error_that_the_program_does_not_catch_goes_up(runner: Runner) -> None:
    """After the program was closed."""
    closed: list[bool] = []

    def tidy() -> Program[str, None]:
        try:
            yield "first"
        finally:
            closed.append(True)

    with pytest.raises(TimeoutError, match="too late"):
        runner(tidy(), failing)
    assert closed == [True]


@both
def test_an_error_of_the_program_itself_goes_up(runner: Runner) -> None:
    """As from a plain function."""

    def wrong() -> Program[int, None]:
        yield 1
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        runner(wrong(), lambda step: step)


@both
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_passes_through(runner: Runner, error: type[BaseException]) -> None:
    """The program may tidy up, and nothing is swallowed."""
    seen: list[type[BaseException]] = []

    def watching() -> Program[int, None]:
        try:
            yield 1
        except BaseException as caught:
            seen.append(type(caught))
            raise

    def interrupted(_: object) -> object:
        raise error

    with pytest.raises(error):
        runner(watching(), interrupted)
    assert seen == [error]


@both
def test_a_step_that_raises_stop_iteration_does_not_end_the_program(runner: Runner) -> None:
    """It would look like a result otherwise."""

    def perform(_: object) -> object:
        return next(iter(()))

    with pytest.raises(RuntimeError):
        runner(adding(1), perform)


@pytest.mark.asyncio
async def test_cancelling_reaches_the_program() -> None:
    """As an error at the step that was under way."""
    seen: list[str] = []

    def watching() -> Program[str, None]:
        try:
            yield "sleep"
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    started = asyncio.Event()

    async def sleep(_: str) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(arun(watching(), sleep))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
